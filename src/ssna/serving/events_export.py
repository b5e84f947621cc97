"""What a server collected, as logs: a Parquet file that ``ssna prepare`` takes, with ``--append`` or without."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, false, select

from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.files import write_aside
from ssna.serving.database import Database, open_database, readable
from ssna.serving.tables import ADDED, EVENTS, SEEDS, USERS

AT_ONCE = 50_000  # rows
MICROSECONDS = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        last: the number of the last event; what comes later has a higher one.
        timed: whether the file has times.
        items: texts that were written.
    """

    events: int
    last: int
    timed: bool
    items: int = 0


def export_events(
    state: Path | str, out: Path, after: int = 0, kind_col: str = "kind", items: Path | None = None
) -> Exported:
    """Write the events that were posted to a server, in the order in which they came; those of data folders are in
    these already, and are left out. A server may run meanwhile.

    Columns are ``user``, ``item``, ``time`` (UTC) and ``kind_col``. There is no ``time`` where users began with a data
    folder that has none, since only such logs can be appended to it.

    Args:
        after: of an earlier export, its :attr:`Exported.last`: only what came since is written.
        items: where the added items are written, too (``item``, ``text``), since their events count by their texts.

    Raises:
        ArtifactError: there is no such state, or it cannot be read.
        SsnaError: there is no new event; nothing is written.
    """
    if kind_col in ("user", "item", "time"):
        raise SsnaError(f"--kind-col {kind_col} is the name of another column; choose one of your own")
    database = open_database(state)
    try:
        with readable(database) as connection:
            if connection is None:
                raise ArtifactError(f"there is no state in {_place(database)}; name what `ssna serve --state` names")
            timed = connection.execute(select(SEEDS).where(SEEDS.c.timed == false())).first() is None
            rows = _rows(connection, after)
            first = next(rows, None)
            if first is None:
                since = f" after number {after}" if after else ""
                raise SsnaError(f"{_place(database)} has no event that was posted{since}; nothing was written")
            with write_aside(out) as aside:
                count, last = _write(aside, first, rows, timed, kind_col)
            return Exported(count, last, timed, 0 if items is None else _write_items(connection, items))
    finally:
        database.close()


def _place(database: Database) -> str:
    return str(getattr(database, "folder", database.name))


def _rows(connection: Connection, after: int) -> Iterator[Any]:
    """Lists of rows."""
    columns = EVENTS.c.number, USERS.c.id, EVENTS.c.item, EVENTS.c.time, EVENTS.c.kind
    posted = select(*columns).join(USERS).where((EVENTS.c.number > after) & (EVENTS.c.seeded == false()))
    found = connection.execution_options(yield_per=AT_ONCE).execute(posted.order_by(EVENTS.c.number))
    yield from (list(part) for part in found.partitions())


def _write(path: Path, first: Any, rest: Iterator[Any], timed: bool, kind_col: str) -> tuple[int, int]:
    """How many rows, and the number of the last."""
    names = {"user": pa.string(), "item": pa.string(), "time": MICROSECONDS, kind_col: pa.string()}
    schema = pa.schema([(name, kind) for name, kind in names.items() if timed or name != "time"])
    count = last = 0
    with path.open("wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        part = first
        while part is not None:
            numbers, *columns = zip(*part, strict=True)
            arrays = [pa.array(values, kind) for values, kind in zip(columns, names.values(), strict=True)]
            writer.write_table(pa.table(dict(zip(names, arrays, strict=True))).select(schema.names))
            count, last = count + len(part), numbers[-1]
            part = next(rest, None)
    return count, last


def _write_items(connection: Connection, path: Path) -> int:
    found = connection.execute(
        select(ADDED.c.item, ADDED.c.text).where(ADDED.c.text != "").order_by(ADDED.c.number)
    ).all()
    columns = {
        name: pa.array([row[place] for row in found], pa.string()) for place, name in enumerate(("item", "text"))
    }
    with write_aside(path) as aside, aside.open("wb") as file:
        pq.write_table(pa.table(columns), file, compression="zstd")
    return len(found)
