"""Which rows of a log count: a condition on its columns as an Ibis expression."""

from collections.abc import Sequence

import ibis
from ibis import Table
from ibis.expr.types import Value

from ssna.core.conditions import Condition, Predicate, evaluate, names
from ssna.data import functions
from ssna.data.options import PrepareOptions

SELECTED = "selected"
"""Whether a row is as the condition says; a column of events where there is one."""


def condition_columns(options: PrepareOptions) -> dict[str, str]:
    """New name -> column, of all that the condition speaks of."""
    if options.condition is None:
        return {}
    return {f"where_{place}": name for place, name in enumerate(names(options.condition))}


def selected(rows: Table, options: PrepareOptions) -> dict[str, Value]:
    """``SELECTED`` of ``rows``, which have :func:`condition_columns` as text; nothing where all rows count."""
    if options.condition is None:
        return {}
    columns = {name: rows[new].strip().nullif("") for new, name in condition_columns(options).items()}
    return {SELECTED: _expression(options.condition, columns)}


def _expression(condition: Condition, columns: dict[str, Value]) -> Value:
    def test(each: Predicate) -> Value:
        column = columns[each.name]
        if each.operator == "exists":
            return column.notnull()
        if each.operator == "!=":
            return column.notnull() & ~_holds(column, "=", each.values)
        return _holds(column, "=" if each.operator == "in" else each.operator, each.values)

    def combine(operator: str, parts: Sequence[Value]) -> Value:
        if operator == "not":
            return ~parts[0]
        return ibis.and_(*parts) if operator == "and" else ibis.or_(*parts)

    return evaluate(condition, test, combine)


def _holds(column: Value, operator: str, values: Sequence[str | float | bool]) -> Value:
    """Whether one of ``values`` is right; not null."""
    found = [ibis.coalesce(_compared(column, operator, value), ibis.literal(False)) for value in values]
    return ibis.or_(*found)


def _compared(column: Value, operator: str, value: str | float | bool) -> Value:
    if isinstance(value, bool):
        left, right = column.lower(), str(value).lower()
    elif isinstance(value, str):
        left, right = column, value
    else:
        left, right = functions.number(column), float(value)  # type: ignore[assignment]
    return {
        "=": left == right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[operator]
