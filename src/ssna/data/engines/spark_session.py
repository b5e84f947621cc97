"""A session of Spark: started without a word on the terminal, stopped at the end; or beside one that runs."""

import os
import re
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from ssna.core.errors import SettingsError, option
from ssna.data.engine import in_one_line

# What results depend on, whatever the cluster has for a default.
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
}

_REMEDY = "it needs Java 17 or later (Debian: default-jre-headless; JAVA_HOME) and a master such as local[*]"
LOCAL = "local[*]"
_PYTHON = "PYSPARK_PYTHON"
_PORT, _PATIENCE = 7077, 5.0  # of a standalone master; seconds


@contextmanager
def session_at(master: str | None, folder: Path) -> Iterator[SparkSession]:
    """A session of its own, at ``master``; or beside one that runs in this process, which stays.

    Raises:
        SettingsError: as :func:`started`, or Spark runs at another master already.
    """
    running = SparkContext._active_spark_context
    if running is None:
        with _signals_kept(), started(master or LOCAL, folder) as session:
            yield session
    elif master in (None, running.master):
        yield SparkSession(running).newSession()
    else:
        raise SettingsError(f"Spark runs in this process at {running.master} already; stop it, or name that master")


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Spark's own answer to Ctrl-C outlives its session, and then fails."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGINT, before)


@contextmanager
def started(master: str, folder: Path) -> Iterator[SparkSession]:
    """A session at ``master``; what Spark and Java have to say goes to a file in ``folder``.

    Raises:
        SettingsError: there is no Java, ``master`` is not known, or nobody answers there.
    """
    _require_java()
    _require_answer(master)
    log = folder / "spark.log"
    conf = SparkConf(loadDefaults=False)
    conf.setMaster(master).setAppName("ssna")
    conf.set("spark.ui.enabled", "false").set("spark.driver.maxResultSize", "0")
    conf.set("spark.sql.warehouse.dir", str(folder)).set("spark.executorEnv.OMP_NUM_THREADS", "1")
    if master.startswith("local"):
        # Names of machines need not resolve where everything is in one process.
        conf.set("spark.driver.host", "localhost").set("spark.driver.bindAddress", "127.0.0.1")
        conf.set("spark.local.dir", str(folder))
    session = SparkSession(_context(conf, master, log))
    try:
        yield session
    finally:
        session.stop()


def _context(conf: SparkConf, master: str, log: Path) -> SparkContext:
    try:
        with log.open("w") as file:
            gateway = SparkContext._gateway or launch_gateway(conf, popen_kwargs={"stdout": file, "stderr": file})
        with _python_of_executors():
            return SparkContext(conf=conf, gateway=gateway)
    except (PySparkException, Py4JError) as cause:
        raise SettingsError(f"Spark cannot be started at {master} ({_reason(cause, log)}); {_REMEDY}") from None


@contextmanager
def _python_of_executors() -> Iterator[None]:
    """Where ``PYSPARK_PYTHON`` does not say: what this process runs, and not whatever is called python3."""
    if _PYTHON in os.environ:
        yield
        return
    os.environ[_PYTHON] = sys.executable
    try:
        yield
    finally:
        del os.environ[_PYTHON]


def _reason(cause: Exception, log: Path) -> str:
    """What Java complains of, without where it was at the time."""
    lines = f"{cause}\n{log.read_text(errors='replace')}".splitlines()
    complaints = (re.search(r"(?:Exception|Error): (.+)", line) for line in lines)
    return in_one_line(next((found[1] for found in complaints if found), lines[0]))


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    found = (Path(home) / "bin" / "java").is_file() if home else shutil.which("java") is not None
    if not found:
        raise SettingsError(f"Spark finds no Java{f' in JAVA_HOME = {home}' if home else ''}; {_REMEDY}")


def _require_answer(master: str) -> None:
    """Spark itself would try for a minute, and then say that its own context is gone."""
    if not master.startswith("spark://"):
        return
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.partition(":")
        with suppress(OSError, ValueError), socket.create_connection((host, int(port or _PORT)), _PATIENCE):
            return
    raise SettingsError(
        f"no Spark master answers at {master}; check the address ({option('spark_master')}), or start it"
    )
