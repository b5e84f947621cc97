"""Folders and patterns of tables as one log."""

import os

import pytest
from data_files import dropped, ready, square, write_csv, write_json_lines, write_parquet

from ssna.core.errors import DataError

pytestmark = pytest.mark.slow


@pytest.fixture
def parts(tmp_path):
    """One log in several files of several kinds, the folder of which holds what Spark leaves behind, too."""
    folder = tmp_path / "parts"
    (folder / "later").mkdir(parents=True)
    (folder / "_SUCCESS").touch()
    (folder / "._part.csv.crc").touch()
    write_csv(folder / "part-1.csv", square()[:10])
    write_parquet(folder / "part-2.parquet", square()[10:20])
    write_json_lines(folder / "later" / "part-3.jsonl", square()[20:])
    return folder


@pytest.mark.parametrize("pattern", ["", "**/*part-*"])
def test_a_folder_or_a_pattern_of_tables_is_one_log(parts, expected, pattern):
    data = ready(parts / pattern)
    assert data.fingerprint == expected
    assert data.manifest["rows_read"] == 36
    assert sorted(data.manifest["source"]["files"]) == ["part-1.csv", "part-2.parquet", "part-3.jsonl"]


def test_items_may_be_many_files_too(tmp_path, parts, expected):
    for k in range(6):
        write_csv(tmp_path / f"items-{k}.csv", [(f"i{k}", f"Title {k}")], ("item", "title"))
    assert ready(parts, items=tmp_path / "items-*.csv").fingerprint == expected


def test_rows_that_cannot_be_read_are_counted_over_all_files(parts, expected):
    (parts / "part-4.csv").write_text("user,item,time,title\nu1\nu2\n")
    with (parts / "later" / "part-3.jsonl").open("a") as file:
        file.write("no json\n")
    data = ready(parts)
    assert (dropped(data), data.fingerprint) == ({"unreadable_row": 3}, expected)


def test_a_file_among_many_that_lacks_a_column_is_named(parts):
    write_csv(parts / "part-5.csv", [("u1", 5)], ("user", "time"))
    with pytest.raises(DataError, match=r"part-5.csv has no column 'item'"):
        ready(parts)


def test_tables_that_are_no_logs_are_told(parts, expected):
    write_csv(parts / "customers.csv", [("u1", 30)], ("user", "age"))
    data = ready(parts)
    assert data.fingerprint == expected
    (note,) = data.manifest["checks"]["notes"]
    assert note.endswith("part-1.csv, part-2.parquet is read as events; not read: customers.csv")


def test_a_folder_without_tables_is_none(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for format in ("auto", "table"):
        with pytest.raises(DataError, match=r"none of the known formats; .* ends in one of .csv, "):
            ready(tmp_path, format=format)
    (tmp_path / "logs.zip").touch()
    with pytest.raises(DataError, match=r"logs.zip is packed as .zip; unpack it first"):
        ready(tmp_path)


@pytest.mark.parametrize(("logs", "format"), [("data", "auto"), ("data", "table"), ("data/*", "auto"), ("", "auto")])
def test_a_data_set_is_no_log(tmp_path, logs, format):
    ready(write_csv(tmp_path / "log.csv", square()), out=tmp_path / "data")
    with pytest.raises(DataError, match=r"/data is a data set already.* --append NEWLOGS.* `ssna data describe DATA`"):
        ready(tmp_path / logs, format=format)


def test_a_log_may_be_called_manifest(tmp_path, expected):
    write_csv(tmp_path / "log.csv", square()[:30])
    write_json_lines(tmp_path / "manifest.json", square()[30:])
    assert ready(tmp_path).fingerprint == expected


def test_a_folder_that_may_not_be_looked_into_is_named(tmp_path, monkeypatch):
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    write_csv(tmp_path / "logs" / "a.csv", square())
    look = os.scandir

    def denied(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=r"logs/deep may not be read"):
        ready(tmp_path / "logs")


def test_files_that_are_no_tables_are_told(tmp_path):
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    write_csv(tmp_path / "logs" / "a.csv", square())
    for name in ("b.txt", "deep/c.csv.bak", ".hidden", "_SUCCESS"):
        (tmp_path / "logs" / name).write_text("user,item\n")
    assert ready(tmp_path / "logs").manifest["source"]["passed_over"] == ["b.txt", "c.csv.bak"]
