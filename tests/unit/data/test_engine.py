from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from ssna.core.errors import DataError, SettingsError
from ssna.data.engine import engine_errors, open_engine, reading


def test_what_duckdb_makes_of_ctrl_c_is_an_interrupt_again():
    with pytest.raises(KeyboardInterrupt), engine_errors("it failed"):
        raise RuntimeError("Query interrupted")


@pytest.mark.parametrize("cause", [duckdb.IOException("disk\n\nLINE 1"), pa.ArrowInvalid("disk"), OSError("disk")])
def test_failures_of_others_become_ours_in_one_line(cause):
    with pytest.raises(DataError, match=r"^it failed \(disk\)$"), engine_errors("it failed"):
        raise cause


@pytest.mark.parametrize(
    "cause",
    [
        PermissionError(13, "Failed to open local file 'a log.csv'. Detail: [errno 13] Permission denied"),
        duckdb.IOException('IO Error: Cannot open file "a log.csv": Permission denied'),
    ],
)
def test_a_file_that_may_not_be_read_comes_with_the_remedy(cause):
    said = r"^a log.csv may not be read; .*: chmod u\+r 'a log.csv'$"
    with pytest.raises(DataError, match=said), reading(Path("a log.csv")):
        raise cause
    with pytest.raises(DataError, match=r"^other.csv cannot be read"), reading(Path("other.csv")):
        raise cause


def test_defects_of_our_own_are_not_hidden():
    with pytest.raises(RuntimeError, match="a defect"), engine_errors("it failed"):
        raise RuntimeError("a defect")


def test_a_long_message_is_cut():
    with pytest.raises(DataError) as caught, reading(Path("log.csv")):
        raise OSError("x" * 5_000)
    assert len(str(caught.value)) < 400


def test_the_engine_keeps_to_a_share_of_the_memory():
    with open_engine() as engine:
        limit = engine.connection.raw_sql("SELECT current_setting('memory_limit')").fetchall()[0][0]
    assert limit != duckdb.connect().execute("SELECT current_setting('memory_limit')").fetchall()[0][0]


def test_rows_that_are_freed_are_gone_wherever_they_came_from():
    with open_engine() as engine:
        imported = engine.import_arrow(pa.table({"a": [1, 2]}))
        for table in (engine.materialize(imported), imported):
            engine.release(table)
            with pytest.raises(duckdb.CatalogException):
                engine.connection.raw_sql(f'FROM "{table.op().name}"')


def test_rows_come_in_batches_in_the_order_asked_for():
    count = 2_000_000
    with open_engine() as engine:
        table = engine.import_arrow(pa.table({"a": np.arange(count)}))
        batches = [batch["a"].to_numpy() for batch in engine.batches(table.order_by(table.a.desc()))]
    assert len(batches) > 1
    np.testing.assert_array_equal(np.concatenate(batches), np.arange(count)[::-1])


@pytest.mark.parametrize("name", ["absent", "file"])
def test_a_place_for_temporary_files_that_is_none_is_refused(tmp_path, monkeypatch, name):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))
    with pytest.raises(SettingsError, match=rf"TMPDIR = '\S+/{name}' is no folder that may be written"), open_engine():
        pass


def test_a_place_for_temporary_files_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(SettingsError, match="TMPDIR"), open_engine():
        pass


def test_the_spill_folder_goes_with_the_engine():
    with open_engine() as engine:
        spill = Path(engine.connection.raw_sql("SELECT current_setting('temp_directory')").fetchall()[0][0])
        assert spill.is_dir()
    assert not spill.exists()
