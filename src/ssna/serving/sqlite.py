"""A state in one SQLite file: every change flushed before it is answered, and reading whatever the disk allows."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from ssna.core.errors import ArtifactError
from ssna.core.files import fsync
from ssna.serving.database import check_format, lacks_tables
from ssna.serving.tables import FORMAT, STATE, TABLES

STORE, JOURNAL = "state.sqlite", "additions.journal"
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


class SQLiteDatabase:
    """One file in ``folder``. Neither is made before the first change.

    Raises:
        ArtifactError: the folder is a file, or belongs to an earlier version of ssna.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / STORE
        self.name = str(self.path)
        if folder.exists() and not folder.is_dir():
            raise ArtifactError(f"{folder} is a file; name a folder for additions with --state")
        journal = folder / JOURNAL
        if journal.is_file() and journal.stat().st_size and not self.path.exists():
            raise ArtifactError(
                f"{journal} is of an ssna before 0.3, whose additions this one does not read; name another folder with "
                "--state and put the items again, or delete the file to give them up"
            )
        self._reader: Engine | None = None
        self._writer: Engine | None = None
        self._inode: tuple[int, int] | None = None  # of the file that both have open
        self._copy: tuple[object, TemporaryDirectory[str], Engine] | None = None
        self._opening, self._copying = Lock(), Lock()

    def close(self) -> None:
        """Give the file back."""
        for engine in (self._reader, self._writer):
            if engine is not None:
                engine.dispose()
        self._reader = self._writer = None
        self._drop_copy()

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """None where there is no file yet."""
        with self._opening:
            there, engine = self._exists(), self._reader
            if there and engine is None and may_be_written(self.path):
                engine = self._reader = self._open_reader()
        if not there:
            yield None
        elif engine is not None:
            with engine.connect() as connection:
                yield connection
        else:
            with self._copied() as copy, copy.connect() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """See :class:`ssna.serving.database.Database`."""
        with self._opening:
            if not self._exists():
                self._make()
            engine = self._open_writer()
        with engine.begin() as connection:
            yield connection

    def erase(self) -> None:
        """Empty the log beside the file: where rows are deleted, the file has zeros.

        Raises:
            sqlalchemy.exc.DBAPIError: another process reads on.
        """
        if not self._exists() or self._writer is None:
            return
        end = time.monotonic() + LOCKED_SECONDS
        connection = self._writer.raw_connection()  # SQLAlchemy's own would begin a transaction
        try:
            while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > end:
                    raise OSError(0, "another process reads it, so the log beside it still has what was deleted")
                time.sleep(0.01)
        finally:
            connection.close()

    def reason(self, cause: BaseException) -> str:
        """In a few words."""
        return reason(cause)

    def _exists(self) -> bool:
        """Whether there is a file. Another one than before, such as a copy of it, is opened anew."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        if self._inode not in (None, (found.st_dev, found.st_ino)):
            self.close()
        self._inode = found.st_dev, found.st_ino
        return True

    @contextmanager
    def _copied(self) -> Iterator[Engine]:
        """To read a copy, since SQLite would have to write beside the file. It is kept until the file changes."""
        with self._copying:
            files = [path for path in (self.path, self.path.with_name(STORE + LOG)) if path.exists()]
            seen = [(each.stat().st_mtime_ns, each.stat().st_size) for each in files]
            if self._copy is None or self._copy[0] != seen:
                folder = TemporaryDirectory()
                for each in files:
                    shutil.copyfile(each, Path(folder.name) / each.name)
                engine = _opened(engine_of(Path(folder.name) / STORE), _check, _complete)
                self._drop_copy()
                self._copy = seen, folder, engine
            yield self._copy[2]

    def _drop_copy(self) -> None:
        if self._copy is not None:
            self._copy[2].dispose()
            self._copy[1].cleanup()
            self._copy = None

    def _open_reader(self) -> Engine:
        engine = _opened(engine_of(self.path, "&mode=ro"), _check)
        with engine.connect() as connection:
            lacking = lacks_tables(connection)
        if lacking:
            self._open_writer()
        return engine

    def _open_writer(self) -> Engine:
        if self._writer is None:
            self._writer = _opened(engine_of(self.path), _complete)
        return self._writer

    def _make(self) -> None:
        """Whole or not at all, and not where another server was faster."""
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f".{STORE}.{os.getpid()}.aside")
        engine = engine_of(aside)
        try:
            with engine.begin() as connection:
                TABLES.create_all(connection)
                connection.execute(insert(STATE).values(format=FORMAT, revision=0))
            engine.dispose()
            fsync(aside)
            with suppress(FileExistsError):
                self.path.hardlink_to(aside)
        finally:
            engine.dispose()
            aside.unlink(missing_ok=True)
        fsync(self.folder)
        self._exists()


def engine_of(path: Path, options: str = "") -> Engine:
    """For the file ``path``, which is made if need be; a transaction holds the right to write from its begin on."""
    url = f"sqlite:///file:{quote(str(path.absolute()))}?uri=true{options}"
    engine = create_engine(url, poolclass=QueuePool, pool_size=1, connect_args={"timeout": LOCKED_SECONDS})
    pragmas = ["foreign_keys=ON", "synchronous=FULL", "secure_delete=ON", *([] if options else ["journal_mode=WAL"])]

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says so, not where Python guesses
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if options else "BEGIN IMMEDIATE")

    return engine


def _opened(engine: Engine, *checks: Callable[[Connection], None]) -> Engine:
    try:
        with engine.begin() as connection:
            for check in checks:
                check(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def may_be_written(path: Path) -> bool:
    """Whether SQLite may write the file, and beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _check(connection: Connection) -> None:
    """Raises :class:`ArtifactError` if the file's pages do not fit together; what is within them is not looked at."""
    if (found := connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()) != "ok":
        raise ArtifactError(f"it is damaged: {' '.join(str(found).split())}")
    check_format(connection)


def _complete(connection: Connection) -> None:
    """Make what a file of an earlier version lacks."""
    if lacks_tables(connection):
        TABLES.create_all(connection)


def reason(cause: BaseException) -> str:
    """What kept a file from being read or written, in a few words."""
    if isinstance(cause, OSError):
        return cause.strerror or str(cause)
    said = " ".join(str(cause.orig if isinstance(cause, DBAPIError) else cause).split())
    return next((words for start, words in DISK_WORDS.items() if start in said), said)
