"""``ssna recommend`` where a hundred of ten thousand histories are none."""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bad_histories import BAD_IDS, BAD_LINES, table_of
from command_line import small_data, ssna

pytestmark = pytest.mark.slow

COUNT, BAD = 10_000, 100


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    assert ssna("train", small_data(folder), "-o", folder / "run", "--method", "item-knn", "--quiet") == 0
    return folder / "run"


def history(row: int) -> list[str]:
    return [f"i{row % 40}", f"i{row * 7 % 40}"]


def is_bad(row: int) -> bool:
    return row % (COUNT // BAD) == 33


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kinds, path = list(BAD_LINES.values()), tmp_path_factory.mktemp("lines") / "users.jsonl"
    assert len(kinds) == 10
    good = [json.dumps({"user": row, "history": history(row)}).encode() for row in range(COUNT)]
    path.write_bytes(b"\n".join(kinds[row // 100 % 10][0] if is_bad(row) else line for row, line in enumerate(good)))
    return path


@pytest.mark.parametrize("source", ["a file", "standard input"])
def test_ten_thousand_lines_with_a_hundred_bad_ones_give_9900_answers_and_100_errors(
    run: Path, lines: Path, source: str, capsys, monkeypatch
) -> None:
    if source == "standard input":
        monkeypatch.setattr(sys, "stdin", lines.open(encoding="utf-8"))
    assert ssna("recommend", run, "-k", 3, *(("--users", lines) if source == "a file" else ())) == 3
    said = capsys.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [row for row, line in enumerate(found) if "error" in line] == list(filter(is_bad, range(COUNT)))
    assert all(line["line"] == row + 1 for row, line in enumerate(found) if is_bad(row))
    assert all(line["user"] == row and len(line["items"]) == 3 for row, line in enumerate(found) if not is_bad(row))
    assert "100 of 10,000 lines are answered with errors, such as line 34: the line holds half of a surrog" in said.err


def test_ten_thousand_rows_with_a_hundred_bad_ones_give_9900_answers_and_100_errors(
    run: Path, tmp_path: Path, capsys
) -> None:
    ids = list(BAD_IDS.values())
    assert len(ids) == 10
    histories = [
        [each.encode() for each in history(row)] if not is_bad(row) else [ids[row // 100 % 10]] for row in range(COUNT)
    ]
    pq.write_table(table_of([str(row).encode() for row in range(COUNT)], histories), tmp_path / "users.parquet")
    words = ("--users", tmp_path / "users.parquet", "--format", "parquet", "-o", tmp_path / "out.parquet")
    for _ in range(2):  # the second finds all of it done, and errors are errors still
        assert ssna("recommend", run, "-k", 3, *words) == 3
        assert "100 of 10,000 histories have errors in the place of items" in capsys.readouterr().err
    found = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row for row, each in enumerate(found) if each["error"]] == list(filter(is_bad, range(COUNT)))
    assert all(each["items"] is None for row, each in enumerate(found) if is_bad(row))
    assert all(len(each["items"]) == 3 for row, each in enumerate(found) if not is_bad(row))
    assert [each["user"] for each in found] == [str(row) for row in range(COUNT)]


def test_strict_ends_both_at_the_first_bad_history_with_one_line(
    run: Path, lines: Path, tmp_path: Path, capsys
) -> None:
    assert ssna("recommend", run, "--users", lines, "--strict") == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 33
    assert f"{lines}, line 34: the line holds half" in said.err
    assert "leave --strict out" in said.err
    pq.write_table(table_of([b"a", b"b"], [[b"i1"], [b""]]), tmp_path / "users.parquet")
    words = ("--users", tmp_path / "users.parquet", "--format", "parquet", "-o", tmp_path / "out.parquet")
    assert ssna("recommend", run, "--strict", *words) == 1
    assert "history 2 cannot be answered; history.0: must not be empty" in capsys.readouterr().err


def test_a_file_without_a_single_history_is_an_error(run: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "logs.csv").write_text("user,item\na,i1\n")
    assert ssna("recommend", run, "--users", tmp_path / "logs.csv") == 1
    assert "logs.csv has no line such as" in capsys.readouterr().err
