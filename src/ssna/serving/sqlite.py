"""How SQLite is to be opened: every change flushed before it is answered, and reading whatever the disk allows."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from ssna.core.errors import ArtifactError

LOCKED_SECONDS = 2.0  # that a change waits while another process writes
LOG, INDEX = "-wal", "-shm"  # beside the file

DISK_WORDS = {
    "database is locked": "another process is writing to it, or holds it",
    "readonly database": "it may only be read",
    "unable to open": "it may not be opened",
    "is full": "the disk is full",
    "disk I/O error": "the disk reports an error",
    "malformed": "it is damaged",
    "not a database": "it is damaged",
    "no such table": "it is damaged, or no state of ssna",
    "no such column": "it is damaged, or no state of ssna",
}
"""What SQLite says, and what it means."""
ERRORS = DBAPIError, sqlite3.Error, OSError
"""What reading and writing raises."""


def engine_of(path: Path, options: str = "") -> Engine:
    """For the file ``path``, which is made if need be; a transaction holds the right to write from its begin on."""
    url = f"sqlite:///file:{quote(str(path.absolute()))}?uri=true{options}"
    engine = create_engine(url, poolclass=QueuePool, pool_size=1, connect_args={"timeout": LOCKED_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says so, not where Python guesses
        for pragma in ("foreign_keys=ON", "synchronous=FULL", *(() if options else ("journal_mode=WAL",))):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if options else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def readable(path: Path) -> Iterator[Engine]:
    """To read from ``path`` alone, which is not changed. Where the folder cannot be written to, a copy is read, since
    SQLite would have to write beside it.

    Raises:
        sqlalchemy.exc.DBAPIError: it is damaged, or locked.
        OSError: it may not be read.
    """
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        engine = engine_of(path, "&mode=ro")
        try:
            yield engine
        finally:
            engine.dispose()
        return
    with TemporaryDirectory() as folder:
        for name in (path.name, path.name + LOG):
            if path.with_name(name).exists():
                shutil.copyfile(path.with_name(name), Path(folder) / name)
        engine = engine_of(Path(folder) / path.name)
        try:
            yield engine
        finally:
            engine.dispose()


def exists(path: Path) -> bool:
    """Whether there is such a file. Raises OSError where that cannot be seen."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def check_pages(connection: Connection) -> None:
    """Raises :class:`ArtifactError` if the file's pages do not fit together; what is within them is not looked at."""
    if (found := connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()) != "ok":
        raise ArtifactError(f"it is damaged: {' '.join(str(found).split())}")


def reason(cause: BaseException) -> str:
    """What kept a file from being read or written, in a few words."""
    if isinstance(cause, OSError):
        return cause.strerror or str(cause)
    said = " ".join(str(cause.orig if isinstance(cause, DBAPIError) else cause).split())
    return next((words for start, words in DISK_WORDS.items() if start in said), said)
