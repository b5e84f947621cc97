"""DuckDB behind Ibis, for the length of one ``prepare``; and its exceptions, turned into ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import ibis
import pyarrow as pa
from ibis import Table
from ibis.common.exceptions import IbisError

from ssna.errors import DataError

_LONGEST_MESSAGE = 200


class Engine:
    """The tables of one ``prepare``. Everything that is more than an Ibis expression happens here.

    ``Table.cache`` and ``ibis.memtable`` are not used: with sqlglot from 30.18 on, Ibis 12 drops such tables with a
    statement that lacks their name (https://github.com/ibis-project/ibis/issues/12101).
    """

    def __init__(self, connection: Any, folder: Path) -> None:
        self.connection = connection
        self.folder = folder  # for files on the way; gone with the engine
        self._made = 0

    def hold(self, expression: Table) -> Table:
        """Run ``expression`` and keep its rows."""
        return self.connection.create_table(self.new_name(), expression, temp=True)

    def free(self, table: Table) -> None:
        """Forget rows that :meth:`hold` kept."""
        self.connection.raw_sql(f'DROP TABLE "{table.op().name}"')

    def import_arrow(self, table: pa.Table) -> Table:
        """Rows made in Python."""
        name = self.new_name()
        self.connection.con.register(name, table)
        return self.connection.table(name)

    def new_name(self) -> str:
        """A table name that is not in use."""
        self._made += 1
        return f"ssna_{self._made}"


@contextmanager
def open_engine() -> Iterator[Engine]:
    """An engine in memory that spills to a temporary folder; Ibis sets its clock to UTC."""
    with TemporaryDirectory(prefix="ssna-", ignore_cleanup_errors=True) as spill:
        connection = ibis.duckdb.connect(temp_directory=spill)
        connection.raw_sql("SET enable_progress_bar = false")
        try:
            yield Engine(connection, Path(spill))
        finally:
            connection.disconnect()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is :class:`DataError` with ``path`` as the culprit."""
    with engine_errors(f"{path} cannot be read; is it whole, and what its name says?"):
        try:
            yield
        except UnicodeDecodeError:
            raise DataError(f"{path} is not UTF-8 text; convert it, for example: iconv -f latin1 -t utf-8") from None


@contextmanager
def engine_errors(complaint: str) -> Iterator[None]:
    """Failures of the engine, of Arrow and of the disk become :class:`DataError`: the complaint, and what they say."""
    try:
        yield
    except (duckdb.Error, IbisError, pa.ArrowException, OSError, EOFError) as cause:
        message = " ".join(str(cause).split("\n\n")[0].split())
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + "…"
        raise DataError(f"{complaint} ({message})") from None
    except RuntimeError as cause:
        if str(cause) == "Query interrupted":  # what DuckDB makes of Ctrl-C
            raise KeyboardInterrupt from None
        raise
