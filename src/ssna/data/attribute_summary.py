"""What values attributes have, so that a page can offer them: least and most, or which there are and how often."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ssna.data.attributes import Attributes

MOST_VALUES = 50
_ORDERED = ("number", "time")


@dataclass(frozen=True)
class ValueCount:
    """A value and how many items have it."""

    value: str | bool
    items: int


@dataclass(frozen=True)
class AttributeSummary:
    """The values of one attribute.

    Attributes:
        items: how many have a value.
        least: the smallest number, or the earliest time as ISO text; None for other kinds, and where there is none.
        most: as ``least``.
        distinct: how many values there are of a text, boolean or texts; 0 for other kinds.
        values: the ``MOST_VALUES`` that most items have, the most frequent first, equals by their value.
    """

    name: str
    kind: str
    items: int
    least: float | str | None = None
    most: float | str | None = None
    distinct: int = 0
    values: tuple[ValueCount, ...] = ()


def summarize(attributes: Attributes) -> list[AttributeSummary]:
    """One for each attribute, in their order."""
    found = []
    for name, kind in attributes.kinds.items():
        column = attributes.columns[name].combine_chunks()
        found.append(_of_range(name, kind, column) if kind in _ORDERED else _of_values(name, kind, column))
    return found


def _of_range(name: str, kind: str, column: Any) -> AttributeSummary:
    held = column.drop_null()
    if not len(held):
        return AttributeSummary(name, kind, 0)
    least, most = (value.isoformat() if kind == "time" else value for value in pc.min_max(held).as_py().values())
    return AttributeSummary(name, kind, len(held), least, most)


def _of_values(name: str, kind: str, column: Any) -> AttributeSummary:
    rows, values = pa.array(range(len(column)), pa.int64()), column
    if kind == "texts":
        rows, values = pc.list_parent_indices(column), pc.list_flatten(column)
    pairs = pa.table({"row": rows, "value": values}).filter(pc.is_valid(values))
    pairs = pairs.group_by(["row", "value"]).aggregate([])  # an item that has a text twice has it
    counts = pairs.group_by("value").aggregate([("row", "count")])
    ranked = counts.sort_by([("row_count", "descending"), ("value", "ascending")]).slice(0, MOST_VALUES).to_pylist()
    listed = tuple(ValueCount(each["value"], each["row_count"]) for each in ranked)
    return AttributeSummary(name, kind, pc.count_distinct(pairs["row"]).as_py(), distinct=len(counts), values=listed)
