import errno
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import square, write_csv

from ssna.core.errors import DataError, SsnaError
from ssna.data import Dataset, Histories, IdMap, load, prepare, save, storage
from ssna.data.dropped import Dropped


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return prepare(write_csv(tmp_path_factory.mktemp("log") / "log.csv", square()), quiet=True)


@pytest.fixture
def folder(dataset, tmp_path):
    save(dataset, tmp_path / "data")
    return tmp_path / "data"


def edit(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def names(folder):
    return [path.name for path in folder.iterdir()]


def rewrite(path, **columns):
    table = pq.read_table(path).to_pydict()
    pq.write_table(pa.table(table | columns), path)


def test_what_was_saved_is_loaded(dataset, folder):
    loaded = load(folder)
    assert loaded.users.external == dataset.users.external
    assert loaded.items.external == dataset.items.external
    assert loaded.texts == dataset.texts
    np.testing.assert_array_equal(loaded.histories.items, dataset.histories.items)
    np.testing.assert_array_equal(loaded.histories.times, dataset.histories.times)
    np.testing.assert_array_equal(loaded.histories.offsets, dataset.histories.offsets)
    assert loaded.histories.items.dtype == np.int32
    assert loaded.histories.offsets.dtype == np.int64
    assert loaded.manifest == dataset.manifest


def test_a_data_set_without_times_stays_without(tmp_path):
    plain = Dataset(
        users=IdMap(("u",)),
        items=IdMap(("x", "y")),
        texts=("", "a", ""),
        histories=Histories(np.array([1, 2, 1], np.int32), None, np.array([0, 3])),
        max_history=2,
    )
    save(plain, tmp_path / "data")
    loaded = load(tmp_path / "data")
    assert loaded.histories.times is None
    assert loaded.max_history == 2
    assert (loaded.manifest["rows_read"], loaded.manifest["dropped"]) == (3, {})


def test_the_manifest_holds_what_scripts_rely_on(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert (manifest["users"], manifest["items"], manifest["interactions"]) == (6, 6, 36)
    assert (manifest["interactions_used"], manifest["max_history"], manifest["rows_read"]) == (36, 50, 36)
    assert manifest["interactions"] + sum(manifest["dropped"].values()) == manifest["rows_read"]
    assert len(manifest["fingerprint"]) == 16
    assert set(manifest["rules"]) == {
        "ids",
        "time",
        "order",
        "ties",
        "text",
        "missing_text",
        "duplicates",
        "k_core",
        "split",
        "history",
    }
    assert manifest["source"] == {
        "format": "table",
        "files": ["log.csv"],
        "columns": {"user": "user", "item": "item", "time": "time", "text": ["title"]},
    }


def test_a_data_set_in_the_place_is_replaced_and_anything_else_left_alone(dataset, folder, tmp_path):
    save(dataset, folder)
    assert load(folder).fingerprint == dataset.fingerprint
    other = tmp_path / "precious"
    other.mkdir()
    (other / "thesis.txt").write_text("…")
    with pytest.raises(SsnaError, match="precious holds other files"):
        save(dataset, other)
    assert names(other) == ["thesis.txt"]


@pytest.mark.parametrize("moment", range(4))
def test_a_full_disk_leaves_nothing_behind(dataset, tmp_path, monkeypatch, moment):
    done = []

    def full(write):
        def wrapped(*arguments):
            if len(done) == moment:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done.append(arguments)
            write(*arguments)

        return wrapped

    monkeypatch.setattr(storage, "_write", full(storage._write))
    monkeypatch.setattr(storage, "write_json", full(storage.write_json))
    with pytest.raises(OSError, match="No space left"):
        save(dataset, tmp_path / "data")
    assert len(done) == moment
    assert names(tmp_path) == []


def test_a_full_disk_leaves_the_former_data_set_alone(dataset, folder, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage, "write_json", full)
    with pytest.raises(OSError, match="No space left"):
        save(dataset, folder)
    assert load(folder).fingerprint == dataset.fingerprint
    assert names(tmp_path) == ["data"]


@pytest.mark.parametrize("file", ["users.parquet", "items.parquet", "events.parquet", "manifest.json"])
def test_a_truncated_file_is_an_error_of_one_line(folder, file):
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"data.* damaged") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["users.parquet", "items.parquet", "events.parquet", "manifest.json"])
def test_a_missing_file_is_an_error(folder, file):
    (folder / file).unlink()
    with pytest.raises(DataError, match=file):
        load(folder)


@pytest.mark.parametrize(
    ("file", "column"), [("users.parquet", 0), ("items.parquet", 1), ("events.parquet", 1), ("events.parquet", 2)]
)
def test_a_flipped_bit_is_found_even_in_the_times_which_the_fingerprint_leaves_out(folder, file, column):
    whole = (folder / file).read_bytes()
    chunk = pq.read_metadata(folder / file).row_group(0).column(column)
    end = (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size
    for place in range(end - 8, end):
        content = bytearray(whole)
        content[place] ^= 1
        (folder / file).write_bytes(content)
        with pytest.raises(DataError, match="is damaged"):
            load(folder)


@pytest.mark.parametrize(
    ("file", "columns", "message"),
    [
        ("items.parquet", {"text": ["T"] * 6}, "fingerprint"),
        ("users.parquet", {"id": list("abcdef")}, "fingerprint"),
        ("users.parquet", {"id": list("abcdee")}, "twice"),
        ("items.parquet", {"text": [None] * 6}, "empty cells"),
        ("events.parquet", {"item": [7] * 36}, "not in the catalogue"),
        ("events.parquet", {"item": [0] * 36}, "row 0"),
        ("events.parquet", {"item": [1] * 36}, "fingerprint"),
        ("events.parquet", {"user": [7] * 36}, "order of the users"),
        ("events.parquet", {"user": [0] * 36}, "order of the users"),
        ("events.parquet", {"user": [2] * 18 + [1] * 18}, "order of the users"),
        ("events.parquet", {"user": [1] * 36}, "fewer than 3"),
        ("events.parquet", {"item": ["x"] * 36}, "is damaged"),
    ],
)
def test_files_that_were_changed_do_not_pass(folder, file, columns, message):
    rewrite(folder / file, **columns)
    with pytest.raises(DataError, match=f"is damaged: .*{message}|{message}"):
        load(folder)


def test_a_column_that_is_not_there_is_named(folder):
    pq.write_table(pa.table({"id": list("abcdef")}), folder / "items.parquet")
    with pytest.raises(DataError, match=r"items.parquet has no column text"):
        load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "not a data set of format 1 .*says 2"),
        ({"format": None}, "not a data set of format 1"),
        (
            {"format": "ssna-layers-1", "layers": [1]},
            "data is a layer cache, not a data folder; name a folder that `ssna prepare` made",
        ),
        ({"fingerprint": "0" * 16}, "fingerprint is .* but the manifest says 0000000000000000"),
        ({"max_history": 49}, "fingerprint"),
        ({"max_history": "many"}, "is damaged"),
        ({"users": 7}, "users is 6, but the manifest says 7"),
        ({"interactions_used": 7}, "interactions_used is 36"),
    ],
)
def test_a_manifest_that_does_not_belong_is_refused(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(DataError, match=message):
        load(folder)


def test_a_folder_from_before_there_were_two_splits_is_leave_one_out(dataset, folder):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for key in ("split", "evaluation_users", "unseen_targets"):
        del manifest[key]
    path.write_text(json.dumps(manifest))
    loaded = load(folder)
    assert (loaded.protocol, loaded.fingerprint) == ("leave-one-out", "77681cfca9787c81")
    assert loaded.manifest == dataset.manifest


def test_a_folder_of_something_else_is_not_a_data_set(tmp_path):
    with pytest.raises(DataError, match=r"no folder that `ssna prepare` made \(there is no manifest.json\)"):
        load(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(DataError, match="not a JSON object"):
        load(tmp_path)


def test_loading_needs_neither_ibis_nor_duckdb(folder):
    code = "import sys, ssna.data; ssna.data.load(sys.argv[1]); assert not {'ibis', 'duckdb'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_dropped_rows_that_cannot_be_written_leave_no_folder(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    log = write_csv(tmp_path / "log.csv", square())
    monkeypatch.setattr(Dropped, "write", full)
    with pytest.raises(DataError, match="No space left on device"):
        prepare(log, out=tmp_path / "data", quiet=True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("kept", ["manifest.json", "keys.bin"])
def test_a_folder_that_is_no_data_set_is_left_alone(make_data, tmp_path, kept):
    """A layer cache has a manifest, too."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("manifest.json", "keys.bin"):
        (cache / name).write_text("{}")
    with pytest.raises(SsnaError, match="holds other files and is left alone"):
        save(make_data([[1, 2, 3], [2, 3, 1]]), cache)
    assert (cache / kept).read_text() == "{}"
