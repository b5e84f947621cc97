"""Attributes of items: typed columns beside their texts, and which items fulfil a condition on them.

=========  ==============================  =====================================================
kind       held as                         compared with
=========  ==============================  =====================================================
number     float64                         a number
text       string                          text, ordered by code points
boolean    bool                            true or false; no order
time       timestamp of microseconds, UTC  an ISO date or time (UTC where it names no zone), or seconds since 1970
texts      list of strings                 text that one of them is; no order
=========  ==============================  =====================================================

What has no value is null; it fulfils no predicate, and an empty list is none.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ssna.core.conditions import Condition, ConditionError, Predicate, evaluate, places
from ssna.core.errors import DataError, SsnaError, there_are
from ssna.core.json_input import short
from ssna.core.ragged import Ints
from ssna.data.attribute_values import KINDS, checked_value, flaw_of, kind_of, to_held

Mask = NDArray[np.bool_]
"""``(I + 1,)`` whether an item is meant; never row 0."""

MOST_COLUMNS, LONGEST_NAME = 64, 100
MOST_PREDICATES = 100  # of a condition: each takes a look at every item
_MASKS, _MASK_BYTES = 256, 2**26  # that are remembered
_COMPARE = {"=": pc.equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
_NO_ORDER = ("boolean", "texts")
_WORDS = {
    "number": "a number",
    "text": "text",
    "boolean": "true or false",
    "time": "a time",
    "texts": "a list of texts",
}


@dataclass(frozen=True, eq=False)
class Attributes:
    """Columns of a catalogue. Frozen: what changes something returns another one.

    Attributes:
        columns: ``I`` rows, the first of which is item row 1; types are those of :data:`KINDS`.
    """

    columns: pa.Table
    _masks: "OrderedDict[Condition, Mask]" = field(default_factory=OrderedDict, init=False, repr=False)
    _lock: Any = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", require_kinds(self.columns).combine_chunks())

    @classmethod
    def of(cls, table: pa.Table, ids: Sequence[str]) -> "Attributes":
        """Those of the items ``ids``, out of a table with the column ``id``; no values where it lacks an item."""
        places = pc.index_in(pa.array(ids, pa.string()), value_set=table["id"].combine_chunks())
        return cls(table.drop_columns(["id"]).take(places))

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        described = ", ".join(f"{name} ({kind})" for name, kind in self.kinds.items())
        return f"<Attributes of {len(self):,} items: {described}>"

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Name -> kind."""
        return {each.name: kind_of(each.type) or "" for each in self.columns.schema}

    def check(self, condition: Condition, place: str = "") -> None:
        """Raises :class:`ConditionError`, which names the place, for an attribute that there is not, a value of another
        kind, or too many predicates.

        Args:
            place: of the condition in what was sent.
        """
        for number, (inside, predicate) in enumerate(places(condition, place)):
            if number == MOST_PREDICATES:
                raise ConditionError(place, f"a condition on items has at most {MOST_PREDICATES} predicates")
            kind = self.kinds.get(predicate.name)
            if kind is None:
                name = short(predicate.name)
                raise ConditionError(
                    inside, f"no attribute is called {name!r}; {there_are(self.kinds, predicate.name)}"
                )
            if predicate.operator in ("<", "<=", ">", ">=") and kind in _NO_ORDER:
                what = f"{predicate.name!r} is {_WORDS[kind]}, which has no order"
                raise ConditionError(inside, f"{what}; compare it by =, != or in")
            for value in predicate.values:
                if flaw := flaw_of("text" if kind == "texts" else kind, value):
                    raise ConditionError(inside, f"{predicate.name!r} is {_WORDS[kind]}; {flaw}")

    def knows(self, condition: Condition) -> bool:
        """Whether :meth:`mask` remembers what it found."""
        return condition in self._masks

    def check_value(self, name: str, value: object) -> str | None:
        """What is wrong with a value that an item is to get; None where nothing is."""
        if name not in self.kinds:
            return f"no attribute is called {short(name)!r}; {there_are(self.kinds, name)}"
        return None if value is None else flaw_of(self.kinds[name], value)

    def mask(self, condition: Condition) -> Mask:
        """Which items fulfil a condition that :meth:`check` allows. Shared by all who ask: not to be written into."""
        with self._lock:
            if (known := self._masks.get(condition)) is not None:
                self._masks.move_to_end(condition)
                return known
        held = evaluate(condition, self._holds, _combined)
        found = np.concatenate([[False], held])
        found.flags.writeable = False
        with self._lock:
            self._masks[condition] = found
            while len(self._masks) > 1 and len(self._masks) > min(_MASKS, _MASK_BYTES // len(found)):
                self._masks.popitem(last=False)
        return found

    def values(self, row: int) -> dict[str, Any]:
        """JSON values of an item row that has a value; times as ISO text."""
        found = {name: self.columns[name][row - 1].as_py() for name in self.kinds}
        shown = {
            name: value.isoformat() if self.kinds[name] == "time" and value else value for name, value in found.items()
        }
        return {name: value for name, value in shown.items() if value is not None and value != []}

    def take(self, rows: Ints) -> "Attributes":
        """Those of the item rows ``rows``, none of which is 0."""
        return Attributes(self.columns.take(pa.array(rows - 1)))

    def extended(self, count: int) -> "Attributes":
        """With ``count`` more items, put last, which have no values."""
        if not count:
            return self
        nothing = pa.table({each.name: pa.nulls(count, each.type) for each in self.columns.schema})
        return Attributes(pa.concat_tables([self.columns, nothing.cast(self.columns.schema)]))

    def updated(self, values: Mapping[int, Mapping[str, Any]]) -> "Attributes":
        """With other values of some item rows; None takes one away, and what is not named stays.

        Raises:
            SsnaError: there is no such attribute, or a value is of another kind.
        """
        changed: dict[str, dict[int, Any]] = {}
        for row, given in values.items():
            for name, value in given.items():
                if name not in self.kinds:
                    raise SsnaError(f"no attribute is called {short(str(name))!r}; {there_are(self.kinds, name)}")
                changed.setdefault(name, {})[row] = checked_value(name, self.kinds[name], value)
        columns = {name: self.columns[name] for name in self.kinds}
        for name, by_row in changed.items():
            columns[name] = _replaced(columns[name], by_row)
        return Attributes(pa.table(columns, schema=self.columns.schema)) if changed else self

    def _holds(self, predicate: Predicate) -> Mask:
        kind, column = self.kinds[predicate.name], _one(self.columns[predicate.name])
        if kind != "texts":
            return _tested(column, kind, predicate)
        held = _numpy(pc.greater(pc.fill_null(pc.list_value_length(column), 0), 0))
        if predicate.operator == "exists":
            return held
        positive = Predicate(predicate.name, "in", predicate.values)
        elements = _tested(pc.list_flatten(column), "text", positive)
        any_of = np.zeros(len(column), dtype=bool)
        any_of[pc.list_parent_indices(column).to_numpy(zero_copy_only=False)[elements]] = True
        return held & ~any_of if predicate.operator == "!=" else any_of


def require_kinds(table: pa.Table) -> pa.Table:
    """``table``, if its columns are attributes. Raises :class:`DataError` otherwise."""
    if len(set(table.column_names)) < table.num_columns or table.num_columns > MOST_COLUMNS:
        raise DataError(f"there are {table.num_columns} columns of attributes; at most {MOST_COLUMNS}, each once")
    for each in table.schema:
        if not 1 <= len(each.name) <= LONGEST_NAME or each.name == "id":
            raise DataError(f"no attribute can be called {short(each.name)!r}; rename the column")
        if kind_of(each.type) is None:
            raise DataError(f"the attribute {each.name!r} is of the type {each.type}; there are {', '.join(KINDS)}")
    return table


def united(tables: Iterable[pa.Table]) -> pa.Table:
    """Tables with ``id`` as one. Raises :class:`DataError` where an attribute has several kinds."""
    try:
        return pa.concat_tables(tables, promote_options="default")
    except pa.ArrowException as cause:
        raise DataError(f"an attribute has several kinds ({cause}); give its column one type in all files") from None


def overlaid(old: pa.Table | None, new: pa.Table | None) -> pa.Table | None:
    """Two tables with ``id`` as one, a row an item: values of ``new`` where it has some, else those of ``old``.

    Raises:
        DataError: an attribute has several kinds.
    """
    if old is None or new is None:
        return old if new is None else new
    both = united([new, old])  # of an item that both have, the row of the new table comes first
    ids = both["id"].unique()
    columns = {"id": ids}
    for name in both.column_names:
        if name != "id":
            filled = both.filter(pc.is_valid(both[name]))
            columns[name] = _one(filled[name]).take(pc.index_in(ids, value_set=_one(filled["id"])))
    return pa.table(columns, schema=both.schema)


def _tested(column: Any, kind: str, predicate: Predicate) -> Mask:
    if predicate.operator == "exists":
        return _numpy(pc.is_valid(column))
    values = pa.array([to_held(kind, value) for value in predicate.values], column.type)
    if predicate.operator == "in":
        return _numpy(pc.fill_null(pc.is_in(column, value_set=values), False))
    if predicate.operator == "!=":
        return _numpy(pc.fill_null(pc.not_equal(column, values[0]), False))
    return _numpy(pc.fill_null(_COMPARE[predicate.operator](column, values[0]), False))


def _combined(operator: str, parts: Sequence[Mask]) -> Mask:
    if operator == "not":
        return ~parts[0]
    combine = np.logical_and if operator == "and" else np.logical_or
    found: Mask = combine.reduce(parts)
    return found


def _replaced(column: Any, given: Mapping[int, Any]) -> Any:
    """``column`` with the values ``given`` in some item rows."""
    order = np.arange(len(column))
    order[np.fromiter(given, dtype=np.int64) - 1] = len(column) + np.arange(len(given))
    whole = pa.concat_arrays([_one(column), pa.array(given.values(), column.type)])
    return whole.take(pa.array(order))


def _one(column: Any) -> Any:
    """A column as one array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _numpy(found: Any) -> Mask:
    held: Mask = found.to_numpy(zero_copy_only=False)
    return held
