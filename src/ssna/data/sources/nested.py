"""Values inside of values: ``properties.product_id``, and ``items[].item_id`` for each element of a list.

A list makes a row of each of its elements, so that one order becomes several events. Several lists are taken apart side
by side, as Parquet keeps histories: ``item_id[]`` and ``timestamp[]``.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
from ibis import Table
from ibis.expr.types import Value

from ssna.core.errors import DataError
from ssna.data.sources.sample import Sample

LIST = "[]"
_PLACE = "ssna_place"  # in a list, from 0
_DEEPEST = 4  # segments of a path that is found out

Field = Callable[[Value, str], Value]
"""What an object has under a key."""


@dataclass(frozen=True)
class NestedPath:
    """``before`` leads from the row to a value; if that is a list, ``after`` leads on from its elements.

    ``after`` is None where there is no list.
    """

    before: tuple[str, ...]
    after: tuple[str, ...] | None

    @classmethod
    def of(cls, name: str) -> "NestedPath":
        """Raises :class:`DataError` for a name with two lists."""
        parts = name.split(LIST)
        if len(parts) > 2:
            raise DataError(f"{name}: only one list of a path can be taken apart; give the file with less nesting")
        before, *after = (tuple(filter(None, part.split("."))) for part in parts)
        return cls(before, after[0] if after else None)


def head(name: str) -> str:
    """The column that a path begins with."""
    return name.split(LIST)[0].split(".")[0]


def paths(sample: Sample) -> tuple[str, ...]:
    """All paths to what stands inside of the values of ``sample``, in the order of the columns."""
    found = (path for row in sample for name, value in row.items() for path in _inside(name, value))
    return tuple(dict.fromkeys(found))


def values_at(sample: Sample, path: str) -> Iterator[Any]:
    """All that stands at a path, or in a column, of the rows of ``sample``."""
    for row in sample:
        found: list[Any] = [row]
        for part in [path] if path in row else path.replace(LIST, f".{LIST}").split("."):
            if part == LIST:
                found = [element for value in found if isinstance(value, list) for element in value]
            else:
                found = [value[part] for value in found if isinstance(value, dict | Mapping) and part in value]
        yield from found


def is_list(sample: Sample, name: str) -> bool:
    """Whether a column of ``sample`` holds lists of values that are no objects."""
    values = [row[name] for row in sample if row.get(name) is not None]
    return bool(values) and all(isinstance(value, list) and not _objects(value) for value in values)


def taken_apart(
    rows: Table,
    columns: Collection[str],
    names: Collection[str],
    column: Field,
    inner: Field,
    elements: Callable[[Value], Value],
) -> tuple[Table, Mapping[str, Value]]:
    """``rows``, with a row for each element where there are lists; and what ``names`` lead to in them.

    Args:
        columns: the names of all columns, which may have points in them.
        column: a column of the table; inner: what a value has under a key; elements: a list as an array.
    """
    known = {name: NestedPath(before=(name,), after=None) if name in columns else NestedPath.of(name) for name in names}
    lists = [path.before for path in known.values() if path.after is not None]

    def lead(table: Any, steps: tuple[str, ...]) -> Value:
        value = column(table, steps[0])
        for step in steps[1:]:
            value = inner(value, step)
        return value

    if lists:
        rows = rows.mutate(**{_PLACE: ibis.range(elements(lead(rows, lists[0])).length()).unnest()})
    found = {}
    for name, path in known.items():
        value = lead(rows, path.before)
        if path.after is not None:
            value = elements(value)[rows[_PLACE]]
            for step in path.after:
                value = inner(value, step)
        found[name] = value
    return rows, found


def _inside(name: str, value: Any, depth: int = 1) -> Iterator[str]:
    if depth == _DEEPEST:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                yield from _inside(f"{name}.{key}", inner, depth + 1)
            else:
                yield f"{name}.{key}"
    elif isinstance(value, list) and LIST not in name:
        if not _objects(value):
            yield f"{name}{LIST}"
        for element in value[:1]:
            yield from (path for path in _inside(f"{name}{LIST}", element, depth + 1) if path != f"{name}{LIST}")


def _objects(values: list[Any]) -> bool:
    return any(isinstance(value, dict | list) for value in values)
