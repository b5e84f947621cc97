import os
import signal
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from ssna.data.engine import engine_errors, open_engine, reading
from ssna.errors import DataError


@pytest.fixture
def ctrl_c():
    """What Python does at Ctrl-C; a shell's background job comes without it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_in_the_middle_of_a_query_is_an_interrupt():
    long = "SELECT sum(a.range * b.range) FROM range(200_000) a, range(200_000) b"
    with open_engine() as engine, engine_errors("x"):
        alarm = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        alarm.start()
        with pytest.raises(KeyboardInterrupt), engine_errors("x"):
            engine.connection.raw_sql(long)


@pytest.mark.parametrize("cause", [duckdb.IOException("disk\n\nLINE 1"), pa.ArrowInvalid("disk"), OSError("disk")])
def test_failures_of_others_become_ours_in_one_line(cause):
    with pytest.raises(DataError, match=r"^it failed \(disk\)$"), engine_errors("it failed"):
        raise cause


def test_defects_of_our_own_are_not_hidden():
    with pytest.raises(RuntimeError, match="a defect"), engine_errors("it failed"):
        raise RuntimeError("a defect")


def test_a_long_message_is_cut():
    with pytest.raises(DataError) as caught, reading(Path("log.csv")):
        raise OSError("x" * 5_000)
    assert len(str(caught.value)) < 400


def test_the_spill_folder_goes_with_the_engine():
    with open_engine() as engine:
        spill = Path(engine.connection.raw_sql("SELECT current_setting('temp_directory')").fetchall()[0][0])
        assert spill.is_dir()
    assert not spill.exists()
