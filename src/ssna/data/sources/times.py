"""The times of a log: how its column writes them, and the column as microseconds."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from ibis import Table
from ibis.expr.types import Value

from ssna.core.errors import DataError, option
from ssna.data import functions
from ssna.data.engine import Convert
from ssna.data.grammar import MOMENT, NUMBER
from ssna.data.sources.sample import Sample
from ssna.data.sources.time_formats import TWINS, TimeFormat, known_formats
from ssna.data.sources.values import as_microseconds, as_text

_MOST_MONTHS = 12
_COMPACT = re.compile(r"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([01][0-9]|2[0-3])?([0-5][0-9]){0,2}")
_TICKS = re.compile("6[2-4][0-9]{16}")


@dataclass(frozen=True)
class TimeReading:
    """How a column of times is read.

    Attributes:
        convert: what is selected of it: microseconds, or its text where the whole column has to decide.
        format: how it is written, where that is neither ISO nor seconds.
        twin: the other format that its first rows fit as well.
    """

    convert: Convert
    format: TimeFormat | None = None
    twin: TimeFormat | None = None

    def microseconds(self, path: object, name: str, rows: Table, column: str) -> tuple[Value, str | None]:
        """``column`` of ``rows`` as microseconds; and the format, if there is one.

        Raises:
            DataError: nothing tells day from month.
        """
        if self.format is None:
            return rows[column], None
        found = self.format if self.twin is None else _settle(path, name, rows[column], self.format, self.twin)
        return found.microseconds(rows[column]), found.name


def time_reading(sample: Sample, name: str, given: str | None) -> TimeReading:
    """For the column ``name`` of a file with these first rows; ``given`` is a format that was named."""
    if given is not None:
        return TimeReading(as_text, TimeFormat(given))
    texts = [text for row in sample if (text := _text(row.get(name)))]
    if not texts or sum(map(_plain, texts)) * 2 >= len(texts):
        return TimeReading(as_microseconds)
    counts = {each.name: sum(map(each.fits, texts)) for each in known_formats()}
    best = max(counts, key=lambda each: counts[each])
    if counts[best] * 2 < len(texts):
        return TimeReading(as_microseconds)
    pair = [names for names in TWINS.items() if best in names]
    twin = [other for names in pair for other in names if other != best and counts[other]]
    return TimeReading(as_text, TimeFormat(best), TimeFormat(twin[0]) if twin else None)


def _settle(path: object, name: str, column: Value, one: TimeFormat, other: TimeFormat) -> TimeFormat:
    """Whichever of two formats, month first or day first, the whole column fits."""
    month_first, day_first = sorted((one, other), key=lambda each: each.name.index("%m"))
    text = column.cast("string").strip()
    first, second = (functions.number(text.re_extract(month_first.pattern(field), 1)) for field in "md")
    whole = text.as_table().agg(first=first.max(), second=second.max(), example=text.max())
    found = whole.to_pyarrow().to_pylist()[0]
    over = [(found[place] or 0) > _MOST_MONTHS for place in ("first", "second")]
    if over[0] == over[1]:
        raise DataError(
            f"{path}: times such as {found['example']!r} in the column {name} do not tell day from month; give "
            f"{option('time_format', month_first.name)} or {option('time_format', day_first.name)}"
        )
    return day_first if over[0] else month_first


def _text(value: Any) -> str:
    if value is None or isinstance(value, dt.date | list | dict):
        return ""
    return str(value).strip()


def _plain(text: str) -> bool:
    """Whether it is an ISO time, or a number that is no compact date and no ticks."""
    if re.fullmatch(NUMBER, text):
        return not (_COMPACT.fullmatch(text) or _TICKS.fullmatch(text))
    return re.fullmatch(MOMENT, text) is not None
