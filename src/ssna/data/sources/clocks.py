"""A day in one column and the time of day in another."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import ibis
from ibis.expr.types import Value

from ssna.data.sources.sample import Sample

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]+)?)?( ?[AaPp][.]?[Mm][.]?)?")
_DAY = re.compile(r"[^:]*[0-9][^:]*")
_MOST = 0.5  # of the first rows that are filled


@dataclass(frozen=True)
class Clock:
    """The column that has the time of day of the days in another."""

    name: str

    def behind(self, day: Value, clock: Value) -> Value:
        """Two texts as one; the day alone where there is no time of day."""
        return ibis.coalesce(day.strip() + " " + clock.strip().nullif(""), day)

    def joined(self, sample: Sample, day: str) -> Sample:
        """The first rows, with both in the column ``day``."""
        return [{**row, day: " ".join((_text(row.get(day)), _text(row.get(self.name)))).strip()} for row in sample]


def days_and_clock(sample: Sample, names: Sequence[str]) -> tuple[tuple[str, ...], Clock | None]:
    """Of the columns that fit as times, those that have a day; and the one with the time of day, if days lack it."""
    clocks = [name for name in names if _are(sample, name, _CLOCK)]
    dated = tuple(name for name in names if name not in clocks)
    if not clocks or not dated:
        return tuple(names), None
    days = tuple(name for name in dated if _are(sample, name, _DAY) and not _are_numbers(sample, name))
    return (days, Clock(clocks[0])) if dated[0] in days else (dated, None)


def _are(sample: Sample, name: str, form: re.Pattern[str]) -> bool:
    texts = _texts(sample, name)
    return bool(texts) and sum(form.fullmatch(text) is not None for text in texts) > _MOST * len(texts)


def _are_numbers(sample: Sample, name: str) -> bool:
    """Whether they are seconds since 1970, and no compact dates."""
    texts = _texts(sample, name)
    return sum(text.replace(".", "", 1).isdigit() and len(text) != 8 for text in texts) > _MOST * len(texts)


def _texts(sample: Sample, name: str) -> list[str]:
    return [text for row in sample if (text := _text(row.get(name)))]


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
