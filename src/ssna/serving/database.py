"""Where the state of a server is kept: a folder with one SQLite file, or PostgreSQL, which several machines share.

Statements are SQLAlchemy's own expressions, the same for both.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ssna.core.errors import ArtifactError
from ssna.serving.logs import log
from ssna.serving.refusal import RequestError
from ssna.serving.tables import FORMAT, STATE, TABLES

_OF_STATEMENTS = DBAPIError, PoolTimeoutError, sqlite3.Error
ERRORS = *_OF_STATEMENTS, OSError
"""What reading and writing raises."""
_ADDRESS = re.compile(r"postgres(ql)?(\+\w+)?://")


class Database(Protocol):
    """Any number of servers may read it and change it.

    Attributes:
        name: for messages; it has no password.
    """

    name: str

    def reading(self) -> AbstractContextManager[Connection | None]:
        """One state of all tables; None where nothing was made yet.

        Raises:
            ArtifactError: it is damaged, or of another version.
        """

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that no other process writes beside; tables are made if need be. Once the block has ended well,
        all is on the disk."""

    def erase(self) -> None:
        """What was deleted leaves the files, too, as far as a server can do that."""

    def reason(self, cause: BaseException) -> str:
        """What kept it from being read or written, in a few words that hold no id."""

    def close(self) -> None:
        """Give it back."""


def open_database(state: Path | str) -> Database:
    """The one that ``--state`` names; nothing is made yet.

    Raises:
        ArtifactError: a folder is a file, or belongs to an earlier version of ssna; or an address cannot be read.
        SsnaError: PostgreSQL's driver is not installed.
    """
    if isinstance(state, str) and _ADDRESS.match(state):
        from ssna.serving.postgres import PostgresDatabase

        return PostgresDatabase(state)
    from ssna.serving.sqlite import SQLiteDatabase

    return SQLiteDatabase(Path(state))


def check_format(connection: Connection) -> None:
    """Raises :class:`ArtifactError` for tables of another version."""
    found = connection.execute(select(STATE.c.format)).scalar()
    if found != FORMAT:
        raise ArtifactError(f"the state has format {found}, this ssna reads {FORMAT}")


def lacks_tables(connection: Connection, schema: str | None = None) -> bool:
    """Whether it has no tables, or was made by an ssna that had fewer."""
    return not set(TABLES.tables) <= set(inspect(connection).get_table_names(schema))


@contextmanager
def readable(database: Database) -> Iterator[Connection | None]:
    """:meth:`Database.reading`.

    Raises:
        ArtifactError: it cannot be opened, or a statement of the block cannot be answered.
    """
    with ExitStack() as opened:
        try:
            connection = opened.enter_context(database.reading())
        except (*ERRORS, ArtifactError) as cause:
            raise _unreadable(database, cause) from None
        try:
            yield connection
        except _OF_STATEMENTS as cause:
            raise _unreadable(database, cause) from None


def _unreadable(database: Database, cause: BaseException) -> ArtifactError:
    return ArtifactError(f"{database.name} cannot be read ({database.reason(cause)})")


def unwritable(database: Database, cause: BaseException) -> RequestError:
    """What whoever asked for a change is told: to try again, unless it is the values that are not taken."""
    if isinstance(cause, DataError):
        return RequestError(409, "not_possible", f"{database.name} does not take it: {database.reason(cause)}")
    message = f"{database.name} cannot be written ({database.reason(cause)}); nothing was changed"
    log("store", level="error", message=message)
    return refused(message)


def refused(message: str) -> RequestError:
    """For changes that the state cannot take now."""
    return RequestError(503, "disk", message, {"Retry-After": "60"})
