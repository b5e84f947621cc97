"""What an id, a time and a piece of text look like, whatever the column's type: Ibis expressions."""

import ibis
from ibis import Table
from ibis.expr.types import Value

from ssna.data import functions

TIME_RULE = (
    "numbers are seconds since 1970 (milliseconds from 1e11 on, microseconds from 1e14, nanoseconds from 1e17); "
    "anything else is an ISO date or time, or written as time_format says; UTC where it names no zone"
)
TIME_REMEDY = "check the time column: numbers, or ISO dates such as 2024-05-31"
MICROSECONDS = 1_000_000
_FINITE = 1e300
FLOAT = r"^[+-]?[0-9]([.][0-9]+)?[eE][+][0-9]+$"
"""A number as floating point is written, and hexadecimal digits are not."""


def as_id(column: Value) -> Value:
    """Ids as text, trimmed; null where nothing is left. A whole number is written without a fraction."""
    return tidy_id(as_text(column))


def tidy_id(text: Value) -> Value:
    r"""Text as an id: trimmed; null where nothing is left, or ``\N``, which is no value in Hive and MySQL."""
    return text.strip().nullif("").nullif(r"\N")


def as_raw_id(column: Value) -> Value:
    """Any value as text that becomes an id: as :func:`as_text`, but lists stay lists, in brackets, and are refused."""
    kind = column.type()
    if kind.is_json():
        return _json_text(column, levels=0)
    return column.cast("string") if kind.is_array() or kind.is_struct() else as_text(column)


def as_text(column: Value) -> Value:
    """Any value as text, NaN as none; the elements of a list are joined with a comma."""
    kind = column.type()
    if kind.is_json():
        return _json_text(column, levels=2)
    while kind.is_array() and kind.value_type.is_array():
        column = column.filter(lambda part: part.notnull()).flatten()
        kind = column.type()
    if kind.is_array():
        return column.cast("array<string>").join(", ")
    text = column.cast("string")
    if not kind.is_floating():
        return text
    return ibis.cases((~column.isnan(), functions.whole(functions.decimal(text))))


def _json_text(value: Value, levels: int) -> Value:
    """``levels`` of nested lists are taken apart; what is deeper stays JSON."""
    text = ibis.coalesce(value.str, functions.whole(value.cast("string")).nullif("null"))
    if levels == 0:
        return text
    elements = value.array.map(lambda element: _json_text(element, levels - 1))
    return ibis.coalesce(elements.join(", "), text)


def without_fractions(rows: Table, *names: str) -> Table:
    """Ids out of a file that does not tell numbers from text: a whole number loses its ``.0``.

    Whole numbers with gaps become floating point in pandas, and are written so; those of another file, or of another
    day, have no gaps and are not.
    """
    return rows.mutate(**{name: functions.whole(rows[name]) for name in names})


def as_microseconds(column: Value) -> Value:
    """Times as microseconds since 1970, int64, by ``TIME_RULE``; null where there is no time."""
    kind = column.type()
    if kind.is_timestamp() or kind.is_date():
        return functions.microseconds(column.cast("timestamp('UTC')"))
    if kind.is_numeric():
        return _from_number(column.cast("float64"))
    text = as_text(column).strip()
    return ibis.coalesce(functions.moment(text), _from_number(functions.number(text)))


def as_number(column: Value) -> Value:
    """Numbers as float64, true and false as 1 and 0; null for what is none, and for what is not finite."""
    kind = column.type()
    if kind.is_boolean():
        return column.cast("int8").cast("float64")
    if kind.is_numeric():
        number = column.cast("float64")
    else:
        text = as_text(column).strip()
        number = ibis.cases((text.lower() == "true", 1.0), (text.lower() == "false", 0.0), else_=functions.number(text))
    return ibis.cases((~(number.isnan() | (number.abs() > _FINITE)), number))


def _from_number(number: Value) -> Value:
    size = number.abs()
    scaled = ibis.cases(
        (size < 1e11, number * 1e6),
        (size < 1e14, number * 1e3),
        (size < 1e17, number),
        else_=number / 1e3,
    )
    return functions.rounded(scaled)
