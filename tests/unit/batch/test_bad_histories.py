"""One bad history is answered with an error and counted, and all others are answered as they are without it."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from bad_histories import BAD_IDS, BAD_LINES, table_of

from ssna.batch import lines as lines_module
from ssna.batch import recommend_all
from ssna.batch.lines import read_lines
from ssna.batch.stream import Stream
from ssna.core.errors import DataError
from ssna.data.dataset import IdMap
from ssna.recommender import Recommender
from ssna.scoring import PopularityScorer

pytestmark = pytest.mark.slow

ITEMS, GOOD = 12, b'{"user": "u", "history": ["1"]}'


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    ids = tuple(str(row) for row in range(1, ITEMS + 1))
    counts = torch.arange(ITEMS + 1).flip(0)
    return Recommender(PopularityScorer(counts), IdMap(ids), ("", *(f"text {item}" for item in ids)), counts.numpy())


@pytest.fixture(scope="module")
def model(recommender, tmp_path_factory):
    recommender.save(tmp_path_factory.mktemp("bad") / "model")
    return tmp_path_factory.getbasetemp() / "bad0" / "model"


def streamed(recommender: Recommender, content: bytes, **options) -> tuple[list[dict], Stream]:
    stream = Stream(recommender, k=2, **options)
    return [json.loads(line) for line in stream.answers(read_lines(io.BytesIO(content), "it"), "it")], stream


# JSON lines


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_is_answered_with_its_number_and_what_is_wrong_and_its_neighbours_are_answered(recommender, kind):
    bad, code = BAD_LINES[kind]
    found, stream = streamed(recommender, b"\n".join([GOOD, bad, GOOD]))
    assert found[0] == found[2] == streamed(recommender, GOOD)[0][0]
    assert (found[1]["line"], found[1]["error"]["code"]) == (2, code)
    assert "\n" not in found[1]["error"]["message"]
    assert (stream.report.answered, stream.report.errors) == (2, 1)
    assert stream.report.first_error == f"line 2: {found[1]['error']['message']}"


@pytest.mark.parametrize("kind", BAD_LINES)
def test_strict_ends_at_a_bad_line_behind_the_answers_of_those_before_it(recommender, kind):
    stream, found = Stream(recommender, strict=True), []
    with pytest.raises(DataError, match="it, line 3: "):
        found.extend(
            stream.answers(read_lines(io.BytesIO(b"\n".join([GOOD, GOOD, BAD_LINES[kind][0], GOOD])), ""), "it")
        )
    assert (len(found), stream.report.answered) == (2, 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"7", 'the line: must be an object'),
        (b"{}", "history: is missing"),
        (b'{"history": null}', "history: must be a list"),
        (b'{"history": [null]}', "history.0: must be text"),
        (b'{"history": ["1", [2]]}', "history.1: must be text"),
        (b'{"history": [""]}', "history.0: must not be empty"),
        (b'{"history": [" "]}', "history.0: must not be blank"),
        (b'{"history": [1.5]}', "history.0: must be text"),
        (b'{"history": [1e999]}', "history.0: must be text"),
        (b'{"history": [], "history": []}', "the key 'history' occurs twice"),
        (b'{"history": [], "user": [1]}', "user: must be text, a finite number, or null"),
        (b'{"history": [], "user": true}', "user: must be text, a finite number, or null"),
        (b'{"history": [], "user": 1e999}', "user: must be text, a finite number, or null"),
        (b'{"history": [], "user": ' + b"9" * 5000 + b"}", "too many digits"),
        (b"[" * 100_000, "nested too deep"),
        (b'\xef\xbb\xbf{"history": []}', "byte order mark, which nobody sees"),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_what_is_wrong_with_a_line_is_said(recommender, line, message):
    found, _ = streamed(recommender, GOOD + b"\n" + line)
    assert message in found[1]["error"]["message"]
    assert len(found[1]["error"]["message"]) < 200


def test_a_line_with_an_error_names_its_user_where_that_can_be_read(recommender):
    found, _ = streamed(recommender, GOOD + b'\n{"user": "me", "history": 1}\n{"user": [1], "history": 1}')
    assert [line["user"] for line in found] == ["u", "me", None]


def test_ids_of_whole_numbers_may_be_numbers_and_users_come_back_as_they_came(recommender):
    users = ['"ü\\u2028"', "7", "-0.5", "null", str(2**70)]
    content = "\n".join(f'{{"user": {user}, "history": [1, 2.0, "3"]}}' for user in users).encode()
    found, _ = streamed(recommender, content)
    assert [line["user"] for line in found] == [json.loads(user) for user in users]
    assert [[item["item"] for item in line["items"]] for line in found] == [["4", "5"]] * 5


def test_a_line_that_is_too_long_is_not_kept_and_the_next_one_is_read(recommender, monkeypatch):
    monkeypatch.setattr(lines_module, "LONGEST", 100)
    for length in (99, 100, 101, 1000):
        line = GOOD[:-1].ljust(length - 1) + b"}"
        found, _ = streamed(recommender, b"\n".join([GOOD, line, GOOD, line]))
        wrong = [each["error"]["code"] for each in found if "error" in each]
        assert (len(found), wrong) == (4, [] if length <= 100 else ["too_large"] * 2), length


def test_lines_may_end_as_on_windows_and_blank_ones_are_none(recommender):
    found, stream = streamed(recommender, b"\r\n".join([GOOD, b"", b"  ", GOOD]) + b"\r\n")
    assert (len(found), stream.report.errors) == (2, 0)


def test_where_no_line_is_a_history_the_form_of_one_is_named(recommender):
    with pytest.raises(DataError, match=r'it has no line such as \{"user": "me", .*; line 1: the line is not JSON'):
        streamed(recommender, b"user,history\na,1\n")


# Parquet


@pytest.mark.parametrize("kind", BAD_IDS)
def test_a_bad_row_has_an_error_and_its_neighbours_have_items(model, tmp_path, kind):
    table = table_of([b"a", b"b", b"c"], [[b"1"], [b"2", BAD_IDS[kind], b"3"], [b"x", b"2"]])
    pq.write_table(table, tmp_path / "users.parquet")
    report = recommend_all(model, tmp_path / "users.parquet", tmp_path / "out.parquet", 2, quiet=True)
    found = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["user"] for row in found] == ["a", "b", "c"]
    assert [(row["items"], row["known"], row["error"]) for row in (found[0], found[2])] == [
        (["2", "3"], 1, None),
        (["1", "3"], 1, None),
    ]
    assert (found[1]["items"], found[1]["scores"], found[1]["known"]) == (None, None, None)
    assert found[1]["error"].startswith("history.1: ")
    assert (report.histories, report.errors, report.unanswerable) == (3, 1, 0)


def test_a_user_that_cannot_be_written_is_an_error_too(model, tmp_path):
    pq.write_table(table_of([b"\xff", None, b"c"], [[b"1"]] * 3), tmp_path / "users.parquet")
    recommend_all(model, tmp_path / "users.parquet", tmp_path / "out.parquet", 2, quiet=True)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["user"].to_pylist() == [None, None, "c"]
    assert found["error"].to_pylist() == ["user: is not UTF-8", None, None]


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        (pa.array([1.0, np.nan, 2.5, np.inf]), [False, True, True, True]),
        (pa.array([True, False, True, True]), [True] * 4),
        (pa.array([1, 2, None, 4]), [False, False, True, False]),
        (pa.array([b"1", b"\xff", b"2", b"3"]), [False, True, False, False]),
    ],
    ids=["floats", "truth values", "integers", "bytes"],
)
def test_ids_of_other_types_are_ids_or_errors(model, tmp_path, values, wrong):
    lists = pa.ListArray.from_arrays(pa.array(range(5), pa.int32()), values)
    pq.write_table(pa.table({"user": range(4), "history": lists}), tmp_path / "users.parquet")
    recommend_all(model, tmp_path / "users.parquet", tmp_path / "out", 2, quiet=True)
    found = pq.read_table(tmp_path / "out")
    assert [error is not None for error in found["error"].to_pylist()] == wrong
    assert [known for known in found["known"].to_pylist() if known is not None] == [1] * wrong.count(False)


def test_strict_ends_at_a_bad_row_and_leaves_no_file(model, tmp_path):
    pq.write_table(table_of([b"a", b"b"], [[b"1"], [b""]]), tmp_path / "users.parquet")
    with pytest.raises(DataError, match=r"history 2 cannot be answered; history\.0: must not be empty; correct it"):
        recommend_all(model, tmp_path / "users.parquet", tmp_path / "out.parquet", 2, strict=True, quiet=True)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_errors_of_earlier_starts_are_counted_again(model, tmp_path, name):
    pq.write_table(table_of([b"a", b"b"], [[b"1"], [b""]]), tmp_path / "users.parquet")
    reports = [recommend_all(model, tmp_path / "users.parquet", tmp_path / name, 2, quiet=True) for _ in range(2)]
    assert [(report.histories, report.reused, report.errors) for report in reports] == [(2, 0, 1), (0, 2, 1)]
