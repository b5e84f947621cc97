"""A state in PostgreSQL, for servers on several machines: the same tables and statements as in SQLite."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.schema import CreateSchema

from ssna.core.errors import ArtifactError, SsnaError
from ssna.serving.database import check_format, lacks_tables
from ssna.serving.tables import FORMAT, STATE, TABLES

DRIVER = "postgresql+psycopg"
SCHEMA = "ssna"  # beside tables of others, who have users and events, too
CONNECTIONS = 4  # of one server: changes, events, histories, and the look at what others changed
CONNECT_SECONDS = 2
MAKING = 0x55_4E_41  # an advisory lock, for making tables
SETTINGS = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    "SET lock_timeout = '2s'",
    "SET idle_in_transaction_session_timeout = '60s'",
)
"""Of every connection: a change is on the disk before it is answered, and nothing waits for long."""
ALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
"""A server whose machine is gone is noticed after so many seconds, and milliseconds."""


class PostgresDatabase:
    """The database at an address of the form ``postgresql://user@host/name``; passwords are libpq's business, too.

    Raises:
        ArtifactError: the address cannot be read.
        SsnaError: the driver is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            url = make_url(address).set(drivername=DRIVER)
        except (ArgumentError, ValueError):
            raise ArtifactError("the address of --state cannot be read; write postgresql://user@host/name") from None
        self.name = url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
        options = {"connect_timeout": CONNECT_SECONDS, **ALIVE}
        given = {name: value for name, value in options.items() if name not in url.query}
        try:
            engine = create_engine(
                url, pool_size=CONNECTIONS, pool_pre_ping=True, pool_timeout=CONNECT_SECONDS, connect_args=given,
                hide_parameters=True,
            )  # fmt: skip
        except ImportError:
            raise SsnaError(
                "a state in PostgreSQL needs psycopg, which is not installed\npip install 'ssna[postgres]'"
            ) from None
        _prepare(engine)
        self._engine = engine.execution_options(schema_translate_map={None: SCHEMA})
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._making = Lock()
        self._made = False

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """None where there are no tables yet."""
        with self._reader.connect() as connection:
            if not self._made:
                if lacks_tables(connection, SCHEMA):
                    yield None
                    return
                check_format(connection)
                self._made = True
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """See :class:`ssna.serving.database.Database`."""
        with self._making:
            if not self._made:
                self._make()
        with self._engine.begin() as connection:
            connection.execute(select(STATE.c.revision).with_for_update())  # whoever holds the row may write
            yield connection

    def erase(self) -> None:
        """PostgreSQL does that by itself: VACUUM, and the retention of its logs."""

    def reason(self, cause: BaseException) -> str:
        """The first line of what the server or the driver says; details would quote rows."""
        told = cause.orig if isinstance(cause, DBAPIError) else cause
        said = getattr(getattr(told, "diag", None), "message_primary", None) or str(told)
        return " ".join(said.strip().split("\n")[0].split()) or type(told).__name__

    def _make(self) -> None:
        """Whole or not at all, by one server."""
        with self._engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MAKING})
            if not inspect(connection).has_schema(SCHEMA):
                connection.execute(CreateSchema(SCHEMA))
            TABLES.create_all(connection)
            if connection.execute(select(STATE.c.format)).first() is None:
                connection.execute(insert(STATE).values(format=FORMAT, revision=0))
            check_format(connection)
        self._made = True


def _prepare(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            for setting in SETTINGS:
                cursor.execute(setting)
        connection.commit()  # a setting of a transaction that is rolled back would be gone
