"""The first step of ``prepare``: the rows of all logs, the ids in them, and the items' texts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import ibis
from ibis import Table
from ibis.expr.types import Value

from ssna.core.errors import DataError, option
from ssna.data.append_base import AppendBase
from ssna.data.dropped import TEXT
from ssna.data.engine import Engine, reading
from ssna.data.id_checks import require_ids
from ssna.data.ids import ID, Ids, read_ids
from ssna.data.predefined import read_parts
from ssna.data.quality import alike
from ssna.data.sources import ITEM, SPLIT, USER, Request, Source
from ssna.data.split_points import NO_TIMES
from ssna.data.texts import joined_rows, longest

_SOME = 10_000  # ids that are looked at for an example

_PLACEHOLDERS = ("null", "none", "nan", "na", "n/a", "nil", "-", "?")
"""What other programs write for a value that is not there."""


@dataclass(frozen=True, eq=False)
class ReadLogs:
    """The logs, and what they say together with those that they are appended to.

    Attributes:
        source: as read; its events follow those of the append base that count, or may count again.
        users, items: the ids of every row that could be read, of all logs.
        dropped_for_good: rows of earlier logs that are dropped for good; or None.
        known: item and text, of earlier logs; or None.
        texts: of the items that are named.
    """

    source: Source
    users: Ids
    items: Ids
    dropped_for_good: Table | None
    known: Table | None
    texts: dict[str, str]

    def coverage(self) -> dict[str, Any]:
        """How logs and items go together, before anything is dropped: for the manifest's ``checks``."""
        users, items = (ids.names.count().to_pyarrow().as_py() for ids in (self.users, self.items))
        tables = [table for table in (self.source.parts, self.known) if table is not None]
        described = [table.select(**{ID: table[ITEM]}) for table in tables]
        never_named = 0
        if described:
            every = ibis.union(*described) if len(described) > 1 else described[0]
            never_named = every.distinct().drop_null().anti_join(self.items.names, ID).count().to_pyarrow().as_py()
        return {
            "users_read": users,
            "items_read": items,
            "items_without_text": items - len(self.texts),
            "items_never_named": never_named,
            "placeholder_ids": {
                kind: ids.names.filter(ids.names[ID].lower().isin(_PLACEHOLDERS))[ID].to_pyarrow().sort().to_pylist()
                for kind, ids in (("users", self.users), ("items", self.items))
            },
        }

    def unnamed_texts(self) -> dict[str, str]:
        """Texts of the items that no event names."""
        if self.source.parts is None and self.known is None:
            return {}
        return _joined(self.source.parts, self.known, lambda items: ~items.isin(self.items.names[ID]))

    def unmatched(self) -> list[str] | None:
        """An item of the logs that has no text, and one that has a text and is in no event: alike, if two are."""
        if self.source.parts is None:
            return None
        names, described = self.items.names, self.source.parts.select(**{ID: self.source.parts[ITEM]}).distinct()
        lists = (names.anti_join(described, ID), described.drop_null().anti_join(names, ID))
        in_logs, in_items = (table.order_by(ID).limit(_SOME)[ID].to_pyarrow().to_pylist() for table in lists)
        return alike(in_logs, in_items)


def read_logs(engine: Engine, request: Request, base: AppendBase | None) -> ReadLogs:
    """Read the files of ``request``, behind the rows of ``base`` if they are appended to one.

    Raises:
        DataError: as the format's reader; or the options need times or texts that there are not.
    """
    options = request.options
    source = read_parts(engine, request)
    if options.split == "predefined" and SPLIT not in source.events.columns:
        raise DataError(
            f"{request.logs}: a split that the logs say is read of tables, not of the format {options.format}; take "
            f"another {option('split')}"
        )
    if options.split == "time" and not source.timed:
        raise DataError(f"{request.logs} {NO_TIMES}")
    if options.windowed and not source.timed:
        remedy = f"leave {option('since')} and {option('until')} out, or give a table that has them"
        raise DataError(f"{request.logs} has no times; {remedy}")
    dropped_for_good = known = None
    named = source.events
    if base is not None:
        source = base.prepended_to(engine, source)
        dropped_for_good, known = base.dropped_for_good(engine), base.texts(engine)
        named = ibis.union(*(rows.select(USER, ITEM) for rows in (source.events, dropped_for_good)), distinct=False)
    with reading(request.logs):
        users, items = (read_ids(engine, named, key, source.typed) for key in (USER, ITEM))
        for key, ids in ((USER, users), (ITEM, items)):
            require_ids(ids.names, key, request)
    return ReadLogs(source, users, items, dropped_for_good, known, _texts(source, items, known, request))


def _texts(source: Source, items: Ids, known: Table | None, request: Request) -> dict[str, str]:
    """Texts of the items that the logs name."""
    if source.parts is None and known is None and request.options.missing_text != "id":
        raise DataError(
            f"{request.items or request.logs}: no column of item text is known; name some ({option('text_cols')}), "
            f"give the items' own file ({option('items')}), or let the id serve as text: "
            f"{option('missing_text', 'id')}"
        )
    return _joined(source.parts, known, lambda column: column.isin(items.names[ID]))


def _joined(parts: Table | None, known: Table | None, chosen: Callable[[Value], Value]) -> dict[str, str]:
    """One text for each item that is ``chosen``."""
    rows: list[Iterator[tuple[str, str]]] = []
    if parts is not None:
        rows.append(joined_rows(parts.drop_null(ITEM).filter(chosen(parts[ITEM])).distinct().to_pyarrow()))
    if known is not None:
        table = known.filter(chosen(known[ITEM])).to_pyarrow()
        rows.append(zip(table[ITEM].to_pylist(), table[TEXT].to_pylist(), strict=True))
    return longest(chain(*rows))
