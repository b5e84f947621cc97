"""Whatever stands in a file: rows are counted under a reason, or one clear error; never a traceback, a hang, or half a
folder."""

import gzip
import signal
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ssna
from data_files import dropped, square, write_csv, write_json_lines, write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from ssna.data import load

pytestmark = pytest.mark.long

HANGS = 300  # seconds; a prepare of these files takes less than one
COLUMNS = ("user", "item", "time", "title")


def prepared(logs, *options):
    """Exit code, standard error, and the folder, of which a part must not stand."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"preparing {logs} hangs"))
    signal.alarm(HANGS)
    out, said = logs.parent / "out", StringIO()
    out.mkdir(exist_ok=True)
    try:
        with redirect_stderr(said), redirect_stdout(StringIO()):
            code = ssna("prepare", logs, *options, "-o", out / "data", "--quiet")
    finally:
        signal.alarm(0)
    return code, said.getvalue(), out / "data"


def judged(logs, *options):
    """The data set, whose counts add up; or the message, which is short, names a file and left nothing behind."""
    code, said, folder = prepared(logs, *options)
    if code == 0:
        data = load(folder)
        assert data.manifest["interactions"] + sum(data.manifest["dropped"].values()) == data.manifest["rows_read"]
        assert all(data.texts[1:])
        return data
    assert code == 1
    assert said.startswith("ssna: ")
    assert "Traceback" not in said
    assert said.count("\n") <= 2
    assert len(said) < 700
    assert str(logs.parent) in said
    assert list(folder.parent.iterdir()) == []
    return said


def csv_of(rows):
    with TemporaryDirectory() as folder:
        return write_csv(Path(folder) / "log.csv", rows).read_bytes()


def json_of(rows):
    with TemporaryDirectory() as folder:
        return write_json_lines(Path(folder) / "log.jsonl", rows).read_bytes()


def parquet_of(rows):
    with TemporaryDirectory() as folder:
        return write_parquet(Path(folder) / "log.parquet", rows).read_bytes()


def changed(**columns):
    """A Parquet file of the good log with other columns."""
    plain = dict(zip(COLUMNS, map(list, zip(*square(), strict=True)), strict=True))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(plain | columns), sink)
    return sink.getvalue().to_pybytes()


GOOD = square()
FILES = {"log.csv": csv_of(GOOD), "log.jsonl": json_of(GOOD), "log.parquet": parquet_of(GOOD)}
FILES["log.csv.gz"], FILES["log.jsonl.gz"] = (gzip.compress(FILES[name]) for name in ("log.csv", "log.jsonl"))


def dictionaries(at):
    rows = [
        {"reviewerID": user, "asin": item, "unixReviewTime": time, "title": title} for user, item, time, title in GOOD
    ]
    (at / "reviews.json").write_text("\n".join(map(repr, rows)), encoding="utf-8")
    return at / "reviews.json", ("--format", "amazon", "--missing-text", "id")


def movielens(at):
    (at / "ratings.dat").write_text("".join(f"{user[1:]}::{item[1:]}::4::{time}\n" for user, item, time, _ in GOOD))
    (at / "movies.dat").write_text("".join(f"{k}::Amélie {k} (199{k})::Drama|War\n" for k in range(6)), "latin-1")
    return at / "ratings.dat", ("--format", "movielens")


def recbole(at):
    rows = "".join(f"{user}\t{item}\t{time}.0\n" for user, item, time, _ in GOOD)
    (at / "shop.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n" + rows)
    rows = "".join(f'i{k}\t"Film" {k}\n' for k in range(6))
    (at / "shop.item").write_text("item_id:token\ttitle:token_seq\n" + rows)
    return at / "shop.inter", ("--format", "recbole")


def unisrec(at):
    header, parts = "user_id:token\titem_id_list:token_seq\titem_id:token\n", {"train": "", "valid": "", "test": ""}
    for user in range(6):
        history = [str((user + step) % 6) for step in range(6)]
        for end in range(1, 6):
            part = {4: "valid", 5: "test"}.get(end, "train")
            parts[part] += f"{user}\t{' '.join(history[:end])}\t{history[end]}\n"
    for part, lines in parts.items():
        (at / f"Shop.{part}.inter").write_text(header + lines)
    (at / "Shop.item2index").write_text("".join(f"B{k}\t{k}\n" for k in range(6)))
    (at / "Shop.text").write_text("item_id:token\ttext:token_seq\n" + "".join(f"B{k}\tPan {k}\n" for k in range(6)))
    return at / "Shop.train.inter", ("--format", "unisrec")


def sequences(at):
    lines = (" ".join([f"u{user}", *(f"i{(user + step) % 6}" for step in range(6))]) for user in range(6))
    (at / "sequences.txt").write_text("\n".join(lines))
    (at / "items.tsv").write_text("item\ttitle\n" + "".join(f"i{k}\tPan {k}\n" for k in range(6)))
    return at / "sequences.txt", ("--format", "sequences")


def plain(name):
    def write(at):
        (at / name).write_bytes(FILES[name])
        return at / name, ()

    return write


FORMATS = {name: plain(name) for name in FILES} | {
    write.__name__: write for write in (dictionaries, movielens, recbole, unisrec, sequences)
}

PIECES = (
    b"",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b'"',
    b"'",
    b"\n",
    b"\r",
    b"\r\n",
    b"\t",
    b",",
    b"::",
    b"\\",
    b"{",
    b"]",
)
pieces = st.sampled_from((*PIECES, "\u2028é\U0001f600".encode(), b"-1", b"1e400", b"9" * 40)) | st.binary(max_size=6)


@st.composite
def damage(draw):
    """Where (a share of the file), how many bytes go, and what comes instead; now and then, the end is missing."""
    place = st.floats(0, 1)
    edits = draw(st.lists(st.tuples(place, st.integers(0, 12), pieces), min_size=1, max_size=4))
    return edits, draw(st.none() | place)


def damaged(content, edits, end):
    for place, length, piece in edits:
        start = int(place * len(content))
        content = content[:start] + piece + content[start + length :]
    return content if end is None else content[: int(end * len(content))]


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=6, deadline=None)
@given(st.data())
def test_a_damaged_file_of_any_format_is_read_or_refused(name, data):
    with TemporaryDirectory() as folder:
        logs, options = FORMATS[name](Path(folder))
        files = sorted(Path(folder).iterdir())
        victim = data.draw(st.sampled_from(range(len(files))))
        files[victim].write_bytes(damaged(files[victim].read_bytes(), *data.draw(damage())))
        judged(logs, *options)


def test_the_files_that_are_damaged_above_were_good():
    for write in FORMATS.values():
        with TemporaryDirectory() as folder:
            logs, options = write(Path(folder))
            data = judged(logs, *options)
            assert (len(data.users), len(data.items), len(data.histories.items)) == (6, 6, 36)


HEADER = FILES["log.csv"].split(b"\r\n")[0]
BROKEN = {  # file, content, and what the message says
    "a gz cut short": ("log.csv.gz", FILES["log.csv.gz"][:-9], "Truncated"),
    "a gz of JSON cut short": ("log.jsonl.gz", FILES["log.jsonl.gz"][:-9], "Truncated"),
    "a gz with a tail that is none": ("log.csv.gz", FILES["log.csv.gz"] + b"tail", "is it whole"),
    "a gz by another name": ("log.csv", FILES["log.csv.gz"], "let its name say so"),
    "a plain file by the name of a gz": ("log.csv.gz", FILES["log.csv"], "is it whole"),
    "UTF-16": ("log.csv", FILES["log.csv"].decode().encode("utf-16"), "iconv -f utf-16"),
    "UTF-16 in JSON": ("log.jsonl", FILES["log.jsonl"].decode().encode("utf-16"), "iconv -f utf-16"),
    "Latin-1": ("log.csv", FILES["log.csv"].replace(b"Title 3", "Tïtle 3".encode("latin-1")), "iconv -f latin1"),
    "Latin-1 in JSON": ("log.jsonl", FILES["log.jsonl"].replace(b"Title 3", b"T\xeftle 3"), "not UTF-8"),
    "CR alone": ("log.csv", FILES["log.csv"].replace(b"\r\n", b"\r"), "lines end with LF or CR LF"),
    "no line end at all": ("log.csv", b"x" * 20_000_000, "the first line must name the columns"),
    "no line end at all in JSON": ("log.jsonl", b"x" * 40_000_000, "has a line of more than 16 MiB"),
    "an array": ("log.json", b"[" + FILES["log.jsonl"].replace(b"}\n{", b"},{") + b"]", "jq -c '.[]' "),
    "an array over lines": ("log.json", b'[\n  {\n    "user": 1\n  }\n]', "jq -c '.[]' "),
    "an array, packed": ("log.json.gz", gzip.compress(b'[{"user": 1}]', mtime=0), "gzip -dc "),
    "an array, one object a line": (
        "log.json",
        b"[\n" + FILES["log.jsonl"].replace(b"}\n{", b"},\n{") + b"\n]",
        "one object stands on each line",
    ),
    "an array of 20 megabytes": ("log.json", b"[" + "é".encode() * 10_000_000, "jq -c '.[]' "),
    "an array of 40 megabytes": ("log.json", b"[" + "é".encode() * 20_000_000, "jq -c '.[]' "),
    "a header alone": ("log.csv", HEADER + b"\r\n", "holds no events"),
    "a quote in the header that stays open": ("log.csv", b'"' + FILES["log.csv"], "which column is the"),
    "bytes for text in Parquet": (
        "log.parquet",
        changed(user=pa.Array.from_buffers(pa.string(), 36, pa.array([b"\xff"] * 36, pa.binary()).buffers())),
        "not valid UTF8",
    ),
    "a time of day": ("log.parquet", changed(time=pa.array(range(36), pa.time64("us"))), "no_time 36"),
    "times that are objects": ("log.parquet", changed(time=[{"a": 1}] * 36), "no_time 36"),
    "times without bound": ("log.parquet", changed(time=[float("inf")] * 36), "no_time 36"),
    "users that are all null": ("log.parquet", changed(user=pa.nulls(36)), "no_user 36"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path, case):
    name, content, message = BROKEN[case]
    (tmp_path / name).write_bytes(content)
    said = judged(tmp_path / name)
    assert isinstance(said, str), said.manifest
    assert message in said
    assert name in said


LONG = "x" * 10_000_000
STRANGE = {  # rows beside the good ones, and what becomes of them: a reason, or "" if they stay
    "a time before 1970": [(("u1", "i1", -5, "t"), "")],
    "a time in the far future": [(("u1", "i1", "9999-12-31", "t"), ""), (("u1", "i1", 253_402_300_799, "t"), "")],
    "a time that no clock has": [(("u1", "i1", time, "t"), "no_time") for time in (1e30, "1e400", "NaN", "-inf", "")],
    "a day that does not exist": [(("u1", "i1", time, "t"), "no_time") for time in ("2023-02-29", "2024-13-01")],
    "an id of spaces": [(("  ", "i1", 1, "t"), "no_user"), (("u1", " \t", 1, "t"), "no_item")],
    "ids that differ in spaces around them": [((user, "i1", 1, "t"), "") for user in ("u1 ", " u1", "u1\t")],
    "ids that look alike": [((user, "i1", 1, "t"), "below_min_user") for user in ("u1\u00a0", "U1", "\uff551")],
    "ids with spaces, quotes and emoji in them": [
        ((user, "i1", 1, "t"), "below_min_user") for user in ('a "b', "😀,é")
    ],
    "a NUL in an id": [(("u1\0", "i1", 1, "t"), "below_min_user")],
    "an item that nothing describes": [(("u1", "bare", 1, ""), "no_text")],
    "line ends in cells": [(("u1", "i1", 1, "a\nb\r\nc"), ""), (("a\nb", "i1", 1, "t"), "below_min_user")],
}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "csv.gz"])
@pytest.mark.parametrize("case", STRANGE)
def test_a_strange_row_stays_or_is_counted(tmp_path, case, kind):
    rows, ends = zip(*STRANGE[case], strict=True)
    content = json_of(GOOD + list(rows)) if kind == "jsonl" else csv_of(GOOD + list(rows))
    logs = tmp_path / f"log.{kind}"
    logs.write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
    data = judged(logs)
    assert dropped(data) == {reason: ends.count(reason) for reason in set(ends) if reason}
    assert data.manifest["rows_read"] == 36 + len(rows)
    assert (len(data.users), len(data.items)) == (6, 6)


MIXED = [(True, 1), (1.5, 1), (None, 1), ("u1", True), ("u1", [2]), ("u1", {}), ("u1", "3")]


def test_columns_of_mixed_types_are_taken_value_by_value(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(json_of([*GOOD, *((user, "i1", time, "t") for user, time in MIXED)]))
    assert dropped(judged(tmp_path / "log.jsonl")) == {"no_user": 1, "no_time": 2, "below_min_user": 2}


@pytest.mark.parametrize(("kind", "reason"), [("csv", "unreadable_row"), ("jsonl", "below_min_user")])
def test_a_line_of_10_megabytes_is_counted(tmp_path, kind, reason):
    rows = [*GOOD[:9], (LONG, "i1", 1, "t"), *GOOD[9:]]
    (tmp_path / f"log.{kind}").write_bytes(csv_of(rows) if kind == "csv" else json_of(rows))
    assert dropped(judged(tmp_path / f"log.{kind}")) == {reason: 1}


def test_milliseconds_and_seconds_stand_in_one_order(tmp_path):
    second = 1_700_000_000
    rows = [(user, item, (second + time) * (1000 if time % 2 else 1), title) for user, item, time, title in GOOD]
    (tmp_path / "log.csv").write_bytes(csv_of(rows))
    data = judged(tmp_path / "log.csv")
    assert data.histories.times[:6].tolist() == [second + 1_000 + step for step in range(6)]
    assert data.items.ids(data.histories.items[:6].tolist()) == [f"i{k}" for k in range(6)]


def test_items_that_only_the_logs_or_only_the_items_file_know_are_counted(tmp_path):
    logs = write_csv(tmp_path / "log.csv", [*GOOD, ("u1", "i99", 1, "t")])
    items = write_csv(tmp_path / "items.csv", [(f"i{k}", f"Pan {k}") for k in range(9)], ("item", "title"))
    data = judged(logs, "--items", items)
    assert dropped(data) == {"no_text": 1}
    assert (data.manifest["checks"]["items_without_text"], data.manifest["checks"]["items_never_named"]) == (1, 3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("items.csv.gz", gzip.compress(b"item,title\n" * 99, mtime=0)[:-9], "Truncated"),
        ("items.csv", b"item,title\ni1,P\xefn\n", "not UTF-8"),
        ("items.csv", b"", "is empty"),
        ("items.csv", b"code,title\ni1,Pan\n", "has no column 'item'"),
        ("items.jsonl", b"no\nobjects\n", "holds no JSON object"),
    ],
)
def test_an_items_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    logs = write_csv(tmp_path / "log.csv", GOOD)
    (tmp_path / name).write_bytes(content)
    said = judged(logs, "--items", tmp_path / name)
    assert message in said
    assert name in said


@pytest.mark.parametrize("words", [("-o", "log.csv/data"), ("--check", "--plot", "log.csv/x.png")])
def test_an_output_below_a_file_is_refused_in_one_line(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "log.csv", GOOD)
    assert ssna("prepare", "log.csv", *words, "--quiet") == 1
    said = capsys.readouterr().err
    assert "log.csv is a file" in said
    assert "aside" not in said
    assert said.count("\n") == 1


def test_a_path_that_is_denied_is_named_with_the_remedy(tmp_path, monkeypatch, capsys):
    def deny(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_file", deny)
    assert ssna("prepare", write_csv(tmp_path / "log.csv", GOOD), "--check", "--quiet") == 1
    assert capsys.readouterr().err.endswith("Permission denied; give yourself the right, or name another path\n")
