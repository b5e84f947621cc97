"""Batches of histories: the items of recommend, in order, whatever the parts, the kills and the files' types."""

import os
import random
import signal
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ssna.batch import recommend_all
from ssna.batch import run as module
from ssna.core.errors import SsnaError
from ssna.data.dataset import IdMap
from ssna.nn.sasrec import RecencyMean
from ssna.recommender import Recommender
from ssna.scoring import Ensemble, FrequencyWeights, Member, VectorScorer

pytestmark = pytest.mark.slow

ITEMS, USERS, PART = 30, 100, 16


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    rng = np.random.default_rng(0)
    vectors = torch.from_numpy(rng.normal(size=(ITEMS + 1, 8)).astype(np.float32))
    vectors[0] = 0
    ids = tuple(str(row) for row in range(1, ITEMS + 1))
    texts = ("", *(f"text {item}" for item in ids))
    counts = np.concatenate([[0], rng.permutation(ITEMS)])
    return Recommender(VectorScorer(vectors, RecencyMean(3, 0.5), 10), IdMap(ids), texts, counts)


@pytest.fixture(scope="module")
def model(recommender, tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch") / "model"
    recommender.save(folder)
    return folder


def histories_of(count: int, seed: int = 0) -> list[list[str] | None]:
    """Known and unknown ids, empty histories, and one in ten that is missing altogether."""
    rng = np.random.default_rng(seed)
    return [
        None if row % 10 == 9 else [str(item) for item in rng.integers(1, ITEMS + 4, rng.integers(0, 7))]
        for row in range(count)
    ]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(module, "PART", PART)
    monkeypatch.setattr(module, "BLOCK", 5)


@pytest.fixture
def users(tmp_path):
    table = pa.table({"user": [f"u{row}" for row in range(USERS)], "history": histories_of(USERS), "more": [0] * USERS})
    pq.write_table(table, tmp_path / "users.parquet", row_group_size=23)
    return tmp_path / "users.parquet"


def expected(recommender: Recommender, histories, k: int = 4, **options) -> list[tuple[list[str], int]]:
    answers = recommender.recommend([history or [] for history in histories], k, **options)
    known = [len(history or []) - len(answer.unknown) for history, answer in zip(histories, answers, strict=True)]
    return [([s.item for s in answer.items], count) for answer, count in zip(answers, known, strict=True)]


def found(table: pa.Table) -> list[tuple[list[str], int]]:
    return list(zip(table["items"].to_pylist(), table["known"].to_pylist(), strict=True))


@pytest.mark.parametrize("name", ["items", "items.parquet"])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_the_items_are_those_of_recommend_in_the_order_of_the_histories(
    small, recommender, model, users, tmp_path, name, exclude_seen
):
    report = recommend_all(model, users, tmp_path / name, 4, exclude_seen=exclude_seen, quiet=True)
    table = pq.read_table(tmp_path / name)
    assert table["user"].to_pylist() == [f"u{row}" for row in range(USERS)]
    assert found(table) == expected(recommender, histories_of(USERS), exclude_seen=exclude_seen)
    assert (report.histories, report.reused) == (USERS, 0)


def test_new_items_are_raised_as_recommend_raises_them(small, model, users, tmp_path, monkeypatch):
    plain = Recommender.load(model)
    weights = FrequencyWeights.equal(1, np.concatenate([plain.counts[:-5], np.zeros(5, dtype=np.int64)]))
    raising = replace(plain, scorer=Ensemble([Member(plain.scorer, 1.0, 1.0)], weights))
    raising.save(tmp_path / "raising")
    recommend_all(tmp_path / "raising", users, tmp_path / "items", 4, new_items=0.5, quiet=True)
    answers = expected(raising, histories_of(USERS), new_items=0.5)
    assert found(pq.read_table(tmp_path / "items")) == answers != expected(raising, histories_of(USERS))
    with pytest.raises(SsnaError, match=r"new_items 0\.5 \(asked for: 0\.0\)"):
        recommend_all(tmp_path / "raising", users, tmp_path / "items", 4, quiet=True)
    with pytest.raises(SsnaError, match="new_items must be 0"):
        recommend_all(model, users, tmp_path / "others", 4, new_items=0.5, quiet=True)


def test_scores_go_with_their_items(small, recommender, model, users, tmp_path):
    recommend_all(model, users, tmp_path / "items", 4, quiet=True)
    answers = recommender.recommend([history or [] for history in histories_of(USERS)], 4)
    scores = pq.read_table(tmp_path / "items")["scores"].to_pylist()
    for row, answer in zip(scores, answers, strict=True):
        assert row == pytest.approx([s.score for s in answer.items], abs=1e-5)


def test_lists_end_where_no_item_is_left(small, recommender, model, tmp_path):
    everything = [[str(item) for item in range(1, ITEMS)], ["1"]]
    pq.write_table(pa.table({"user": [1, 2], "history": everything}), tmp_path / "users.parquet")
    recommend_all(model, tmp_path / "users.parquet", tmp_path / "items", 100, quiet=True)
    assert [len(items) for items, _ in found(pq.read_table(tmp_path / "items"))] == [1, ITEMS - 1]


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.int64()), pa.large_list(pa.large_string()), pa.list_(pa.dictionary(pa.int32(), pa.string()))],
    ids=str,
)
@pytest.mark.parametrize("user", [pa.int64(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_ids_and_users_may_be_of_other_types(small, recommender, model, tmp_path, kind, user):
    histories = [history for history in histories_of(40) if history is not None]
    lists = pa.array(histories, pa.list_(pa.string()))
    values = lists.values.cast(pa.int64()) if kind.value_type == pa.int64() else lists.values
    values = values.dictionary_encode() if pa.types.is_dictionary(kind.value_type) else values.cast(kind.value_type)
    typed = (pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray).from_arrays(lists.offsets, values)
    users = pa.array([str(row) for row in range(len(histories))])
    users = users.dictionary_encode() if pa.types.is_dictionary(user) else users.cast(user)
    pq.write_table(pa.table({"user": users, "history": typed}), tmp_path / "users.parquet")
    recommend_all(model, tmp_path / "users.parquet", tmp_path / "items.parquet", 4, quiet=True)
    table = pq.read_table(tmp_path / "items.parquet")
    assert found(table) == expected(recommender, histories)
    assert [str(name) for name in table["user"].to_pylist()] == [str(row) for row in range(len(histories))]


def test_the_files_of_a_folder_are_read_in_the_order_of_their_names(small, recommender, model, tmp_path):
    (tmp_path / "users").mkdir()
    for name, start in (("b", 40), ("a", 0), ("c", 41)):
        rows = range(start, {"a": 40, "b": 41, "c": 70}[name])
        table = pa.table({"user": list(rows), "history": [histories_of(70)[row] for row in rows]})
        pq.write_table(table, tmp_path / "users" / f"{name}.parquet", row_group_size=7)
    recommend_all(model, tmp_path / "users", tmp_path / "items", 4, quiet=True)
    table = pq.read_table(tmp_path / "items")
    assert table["user"].to_pylist() == list(range(70))
    assert found(table) == expected(recommender, histories_of(70))


@pytest.mark.parametrize("name", ["items", "items.parquet"])
def test_no_histories_give_an_empty_result(small, model, tmp_path, name):
    empty = pa.table({"user": pa.array([], pa.string()), "history": pa.array([], pa.list_(pa.string()))})
    pq.write_table(empty, tmp_path / "users.parquet")
    recommend_all(model, tmp_path / "users.parquet", tmp_path / name, 4, quiet=True)
    assert pq.read_table(tmp_path / name).num_rows == 0


# a second start


def stopped_after(monkeypatch, blocks: int) -> None:
    calls, answer = iter(range(blocks)), module.rank_block

    def stop(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return answer(*arguments)

    monkeypatch.setattr(module, "rank_block", stop)


@pytest.mark.parametrize("name", ["items", "items.parquet"])
@pytest.mark.parametrize("blocks", [0, 1, 9, 21])
def test_a_second_start_goes_on_behind_the_last_whole_part(
    small, recommender, model, users, tmp_path, name, blocks, monkeypatch
):
    with monkeypatch.context() as patched:
        stopped_after(patched, blocks)
        with pytest.raises(KeyboardInterrupt):
            recommend_all(model, users, tmp_path / name, 4, quiet=True)
    report = recommend_all(model, users, tmp_path / name, 4, quiet=True)
    assert (report.reused % PART, report.reused + report.histories) == (0, USERS)
    assert report.reused > 0 or blocks < 9
    assert found(pq.read_table(tmp_path / name)) == expected(recommender, histories_of(USERS))


@pytest.mark.parametrize("name", ["items", "items.parquet"])
def test_a_start_after_the_end_does_nothing(small, model, users, tmp_path, name):
    recommend_all(model, users, tmp_path / name, 4, quiet=True)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    report = recommend_all(model, users, tmp_path / name, 4, quiet=True)
    assert (report.histories, report.reused) == (0, USERS)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == before


def test_nothing_but_the_one_file_is_left_in_the_end(small, model, users, tmp_path):
    recommend_all(model, users, tmp_path / "items.parquet", 4, quiet=True)
    assert {path.name for path in tmp_path.iterdir()} == {"users.parquet", "items.parquet"}


def test_a_part_that_was_deleted_is_made_again(small, recommender, model, users, tmp_path):
    recommend_all(model, users, tmp_path / "items", 4, quiet=True)
    (tmp_path / "items" / "part-00002.parquet").unlink()
    report = recommend_all(model, users, tmp_path / "items", 4, quiet=True)
    assert report.histories == PART
    assert found(pq.read_table(tmp_path / "items")) == expected(recommender, histories_of(USERS))


def test_a_damaged_part_is_named(small, model, users, tmp_path):
    recommend_all(model, users, tmp_path / "items", 4, quiet=True)
    part = tmp_path / "items" / "part-00002.parquet"
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(SsnaError, match=r"part-00002\.parquet is damaged"):
        recommend_all(model, users, tmp_path / "items", 4, quiet=True)


def test_killed_at_random_moments_it_neither_repeats_nor_loses_an_answer(small, recommender, model, users, tmp_path):
    rng, out, killed = random.Random(0), tmp_path / "items.parquet", 0
    for _ in range(300):
        child = os.fork()
        if child == 0:
            recommend_all(model, users, out, 4, quiet=True)
            os._exit(0)
        time.sleep(rng.uniform(0.0, 0.06))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if out.exists():
            assert found(pq.read_table(out)) == expected(recommender, histories_of(USERS))
            out.unlink()
        if killed == 20:
            break
    recommend_all(model, users, out, 4, quiet=True)
    assert killed == 20
    assert found(pq.read_table(out)) == expected(recommender, histories_of(USERS))


# what does not fit


@pytest.mark.parametrize("name", ["items", "items.parquet"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("k", r"k 4 \(asked for: 5\)"),
        ("seen", "exclude_seen True"),
        ("model", "another model"),
        ("users", "another file"),
    ],
)
def test_another_question_under_the_same_output_is_refused(
    small, recommender, model, users, tmp_path, name, change, message
):
    recommend_all(model, users, tmp_path / name, 4, quiet=True)
    if change == "model":
        model = tmp_path / "other"
        recommender.remove_items(["3"]).save(model)
    if change == "users":
        table = pa.table({"user": [f"u{row}" for row in range(USERS)], "history": histories_of(USERS, seed=1)})
        pq.write_table(table, users)
    with pytest.raises(SsnaError, match=message):
        recommend_all(
            model, users, tmp_path / name, 5 if change == "k" else 4, exclude_seen=change != "seen", quiet=True
        )


@pytest.mark.parametrize("name", ["items", "items.parquet"])
def test_an_output_of_another_format_says_which_one_is_read_and_what_to_do(
    small, model, users, tmp_path, name, monkeypatch
):
    monkeypatch.setattr(module, "FORMAT", 1)
    recommend_all(model, users, tmp_path / name, 4, quiet=True)
    monkeypatch.undo()
    with pytest.raises(SsnaError, match=f"{name} has format 1, this ssna reads 3; delete it, or name another"):
        recommend_all(model, users, tmp_path / name, 4, quiet=True)


def test_a_second_run_at_the_same_time_is_refused(small, model, users, tmp_path, monkeypatch):
    answer = module.rank_block

    def meanwhile(*arguments):
        with pytest.raises(SsnaError, match="being written by another run"):
            recommend_all(model, users, tmp_path / "items", 4, quiet=True)
        return answer(*arguments)

    monkeypatch.setattr(module, "rank_block", meanwhile)
    recommend_all(model, users, tmp_path / "items", 4, quiet=True)


@pytest.mark.parametrize(
    ("out", "message"),
    [("full", "left alone"), ("note.txt", "is a file"), ("foreign.parquet", "ssna did not make it")],
)
def test_an_output_that_is_something_else_is_left_alone(small, model, users, tmp_path, out, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("")
    (tmp_path / "note.txt").write_text("")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    with pytest.raises(SsnaError, match=message):
        recommend_all(model, users, tmp_path / out, 4, quiet=True)
    assert pq.read_table(tmp_path / "foreign.parquet").column_names == ["a"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["precious"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"user": [1]}), "no column 'history'"),
        (pa.table({"history": [["1"]]}), "no column 'user'"),
        (pa.table({"user": [1], "history": ["1"]}), "not lists of item ids"),
        (pa.table({"user": [1], "history": [[["1"]]]}), "holds no histories"),
        (None, "holds no histories"),
    ],
    ids=["no history", "no user", "strings", "nested", "no parquet"],
)
def test_histories_that_cannot_be_read_are_an_error_of_one_line(small, model, tmp_path, table, message):
    path = tmp_path / "users.parquet"
    path.write_text("user,history") if table is None else pq.write_table(table, path)
    with pytest.raises(SsnaError, match=message) as error:
        recommend_all(model, path, tmp_path / "items", 4, quiet=True)
    assert "\n" not in str(error.value)


def test_an_output_begun_without_a_single_part_is_no_hindrance(small, recommender, model, users, tmp_path):
    pq.write_table(pa.table({"user": [1], "history": [[["1"]]]}), tmp_path / "nested.parquet")
    with pytest.raises(SsnaError):
        recommend_all(model, tmp_path / "nested.parquet", tmp_path / "items", 4, quiet=True)
    recommend_all(model, users, tmp_path / "items", 4, quiet=True)
    assert found(pq.read_table(tmp_path / "items")) == expected(recommender, histories_of(USERS))


def test_arrow_finds_the_rows_that_python_finds():
    ids = IdMap(("a", "ü", "c c"))
    asked = ["c c", "x", "a", "", "ü", "a"]
    assert ids.rows_of(pa.array(asked)).tolist() == ids.rows(asked).tolist() == [3, 0, 1, 0, 2, 1]
    assert ids.rows_of(pa.array(["a", None])).tolist() == [1, 0]
