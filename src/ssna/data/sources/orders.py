"""Orders in one table and their lines in another, joined by the key that both have."""

from collections.abc import Sequence
from dataclasses import replace

import ibis
from ibis.expr.types import Value

from ssna.core.errors import DataError
from ssna.data.engine import ROW, Engine, Rows
from ssna.data.sources.columns import PERSON, USUAL, usual
from ssna.data.sources.nested import head
from ssna.data.sources.sample import Sample
from ssna.data.sources.source import ITEM, USER
from ssna.data.sources.tabular import TableFile, Wanted, stacked
from ssna.data.sources.values import as_id, without_fractions

_KEYS = (
    "order_id",
    "order",
    "invoice_id",
    "invoice",
    "basket_id",
    "cart_id",
    "transaction_id",
    "receipt_id",
    "visit_id",
)
_KEY = "ssna_key_{}"  # of one join; the rows of another may stand in it


def joined_orders(engine: Engine, path: object, parts: Sequence[TableFile]) -> tuple[TableFile, list[TableFile]] | None:
    """Lines with what their orders say, where ``parts`` have tables of both and one key leads from one to the other;
    and the tables that are joined.

    A third table may say which person each customer of the orders is, as Olist's does.
    """
    lines = [part for part in parts if usual(part.names, USUAL[ITEM]) and not usual(part.names, USUAL[USER])]
    orders = [part for part in parts if usual(part.names, USUAL[USER]) and not usual(part.names, USUAL[ITEM])]
    for key in _KEYS:
        of_lines, of_orders = ([part for part in some if usual(part.names, (key,))] for some in (lines, orders))
        if of_lines and of_orders and _alike(of_lines) and _alike(of_orders):
            used, many = [*of_orders, *of_lines], stacked(path, of_lines)
            one = stacked(path, of_orders)
            customer = usual(one.names, USUAL[USER])[0]
            for part in orders:
                if part not in of_orders and customer in part.names and usual(part.names, PERSON):
                    used, one = [part, *used], _joined(engine, path, one, part, (customer, customer))
            return _joined(engine, path, many, one, (usual(many.names, (key,))[0], usual(one.names, (key,))[0])), used
    return None


def _alike(parts: Sequence[TableFile]) -> bool:
    return len({frozenset(part.names) for part in parts}) == 1


def _joined(engine: Engine, path: object, many: TableFile, one: TableFile, keys: tuple[str, str]) -> TableFile:
    """The rows of ``many``, each with its row of ``one``, in the order of the rows of ``one``."""

    def owner(name: str) -> TableFile:
        return one if name in one.names or (name not in many.names and head(name) in one.names) else many

    def read(wanted: Wanted, numbered: bool) -> Rows:
        left, right = (
            _keyed(part, key, {new: column for new, column in wanted.items() if owner(column[0]) is part}, numbered)
            for part, key in zip((many, one), keys, strict=True)
        )
        left_key, right_key = left.table[_KEY.format(keys[0])], right.table[_KEY.format(keys[1])]
        _require_once(right_key, one, keys[1])
        values = {new: (right if owner(name) is one else left).table[new] for new, (name, _) in wanted.items()}
        if numbered:
            place, count = left.table[ROW], left.table.count().as_scalar()
            values[ROW] = (right.table[ROW] * count + place).fill_null(place)
        rows = left.table.left_join(right.table, left_key == right_key).select(**values)
        return Rows(engine.materialize(rows), left.unreadable + right.unreadable, left.example or right.example)

    def sample() -> Sample:
        return [{**row, **of_one} for row, of_one in zip(many.sample(), one.sample(), strict=False)]

    names = one.names + tuple(name for name in many.names if name not in one.names)
    typed = many.typed and one.typed
    return TableFile(path, names, read, one.files + many.files, typed, sample)


def _keyed(part: TableFile, key: str, wanted: Wanted, numbered: bool) -> Rows:
    name = _KEY.format(key)
    rows = part.select({**wanted, name: (key, as_id)}, numbered)
    return rows if part.typed else replace(rows, table=without_fractions(rows.table, name))


def _require_once(column: Value, one: TableFile, key: str) -> None:
    """Raise :class:`DataError` if a key stands on several rows, each of which would make events of all lines."""
    counted = column.name("key").as_table().group_by("key").agg(rows=ibis._.count())
    twice = counted.filter((counted.rows > 1) & counted.key.notnull()).key.min().to_pyarrow().as_py()
    if twice is not None:
        names = ", ".join(file.name for file in one.files[:3])
        raise DataError(f"{names}: {key} {twice} stands on several rows; keep one row of each, so that lines have one")
