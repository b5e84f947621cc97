"""A query of a database in the place of a table, through ADBC: rows come as Arrow, some at a time."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from ssna.core.display import cut
from ssna.core.errors import DataError, SettingsError, there_are

DRIVERS = {
    "sqlite": "adbc_driver_sqlite",
    "postgresql": "adbc_driver_postgresql",
    "postgres": "adbc_driver_postgresql",
}
"""Scheme of an address -> the module with its driver."""


class Query:
    """The rows of a query. It is asked anew each time that they are read.

    Args:
        sql: what is asked.
        connection: an open one of ADBC (``adbc_driver_sqlite.dbapi.connect(...)``), which stays open; or an address,
            such as ``sqlite:///shop.db`` or ``postgresql://me@host/shop``, to connect to for as long as it takes.

    Raises:
        SettingsError: there is no driver for the address, or it is not installed.
    """

    def __init__(self, sql: str, connection: Any) -> None:
        if not isinstance(sql, str):
            raise SettingsError(f"a query is text: query('SELECT ...', connection), not {sql!r:.60}")
        if not isinstance(connection, str) and not hasattr(connection, "cursor"):
            raise SettingsError(
                "a query needs an ADBC connection, or an address such as sqlite:///shop.db, not "
                f"a {type(connection).__name__}"
            )
        self.sql, self.connection = sql, connection
        self._connect = _connector(connection) if isinstance(connection, str) else None

    def __repr__(self) -> str:
        return f"<Query {cut(' '.join(self.sql.split()), 60)!r}>"

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Ask. Raises :class:`DataError` where the database does not answer, or refuses."""
        try:
            return self._rows().__arrow_c_stream__(requested_schema)
        except Exception as cause:
            if not _is_of_a_driver(cause):
                raise
            raise self._failed(cause) from None

    def _rows(self) -> pa.RecordBatchReader:
        connection = self.connection if self._connect is None else self._connect()
        cursor = connection.cursor()
        try:
            cursor.execute(self.sql)
            reader = cursor.fetch_record_batch()
        except BaseException:
            self._close(cursor, connection)
            raise

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from reader
            finally:
                self._close(cursor, connection)

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    def _close(self, cursor: Any, connection: Any) -> None:
        cursor.close()
        if self._connect is not None:
            connection.close()

    def _failed(self, cause: Exception) -> DataError:
        reason = cut(" ".join(str(cause).split()), 200)
        return DataError(f"the query {cut(self.sql, 60)!r} failed ({reason}); check it, and the database")


def query(sql: str, connection: Any) -> Query:
    """Rows of a database, for ``prepare`` and ``append``, as logs or as items::

        ssna.prepare(ssna.query("SELECT * FROM purchases", "sqlite:///shop.db"), ...)

    Args:
        sql: what is asked.
        connection: an open one of ADBC, or an address: ``sqlite:///shop.db``, ``postgresql://me@host/shop``.

    Raises:
        SettingsError: there is no driver for the address, or it is not installed.
    """
    return Query(sql, connection)


def _connector(address: str) -> Any:
    """A function that connects. Messages show no address: it may have a password."""
    scheme = urlsplit(address).scheme.partition("+")[0]
    if scheme not in DRIVERS:
        raise SettingsError(
            f"there is no driver for addresses of {scheme!r}; {there_are(dict.fromkeys(DRIVERS), scheme)}"
        )
    module = DRIVERS[scheme]
    try:
        driver = import_module(f"{module}.dbapi")
    except ImportError:
        raise SettingsError(
            f"{module.replace('_', '-')} is not installed; install it: pip install 'ssna[sql]'"
        ) from None
    where = address.removeprefix(f"{scheme}://").removeprefix("/") if scheme == "sqlite" else address
    return lambda: driver.connect(where)


def _is_of_a_driver(cause: Exception) -> bool:
    return type(cause).__module__.partition(".")[0].startswith("adbc_driver")
