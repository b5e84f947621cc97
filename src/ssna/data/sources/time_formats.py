"""Times that are neither ISO nor seconds: how they are written, and what moment that is.

A format is written as strptime has it (``%d/%m/%Y``); a time of day, a fraction and an offset may follow a date. Texts
are rewritten as ISO by expressions, so that :data:`ssna.data.grammar.MOMENT` alone says what a moment is.
"""

import re
from dataclasses import dataclass
from functools import cache, cached_property

import ibis
from ibis.expr.types import Value

from ssna.core.errors import SettingsError, option
from ssna.data import functions

TICKS = "ticks"  # of .NET: tenths of microseconds since the year 1

_DIGITS = {"Y": "[0-9]{4}", "y": "[0-9]{2}", "f": "[0-9]+"} | dict.fromkeys("mdHIMS", "[0-9]{1,2}")
_ZONE = "Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}"
_WORDS = {"b": "[A-Za-z]{3,9}", "a": "[A-Za-z]{3,9}", "p": "[AaPp][.]?[Mm][.]?", "z": _ZONE}
_SAME = {"B": "b", "A": "a"}
_SECONDS = "(?::(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]+))?)?"
_CLOCK = f"(?P<H>[0-9]{{1,2}}):(?P<M>[0-9]{{2}}){_SECONDS}(?: *(?P<p>{_WORDS['p']}))?"
_TAIL = f"(?:[T ]+{_CLOCK})?(?: *(?P<z>{_ZONE}))?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CENTURY = 70  # 69 is of 2069, 70 of 1970
_TICKS_BEFORE_1970 = 62_135_596_800  # seconds


@dataclass(frozen=True)
class TimeFormat:
    """One way to write times. ``name`` is its format, or ``TICKS``.

    Raises:
        SettingsError: the name is no format, or does not name year, month and day.
    """

    name: str

    def __post_init__(self) -> None:
        known = self.name == TICKS or ({"d"} <= set(self._fields) and {"Y", "y"} & set(self._fields))
        if not known or (self.name != TICKS and not {"m", "b"} & set(self._fields)):
            raise SettingsError(
                f"{option('time_format', self.name)}: it must name year, month and day, such as %d/%m/%Y"
            )

    def pattern(self, field: str | None = None) -> str:
        """A regular expression for the whole text, whose only group is that of ``field``: engines count to nine."""
        named = self._named if field is None else self._named.replace(f"(?P<{field}>", "(")
        return "^" + re.sub(r"\(\?P<\w>", "(?:", named) + "$"

    def fits(self, text: str) -> bool:
        """Whether ``text`` may be written so, as far as the ranges of its fields tell."""
        if self.name == TICKS:
            return re.fullmatch("6[2-4][0-9]{16}", text) is not None
        found = re.fullmatch(self._named, text)
        if found is None:
            return False
        named = found.groupdict()
        limits = {"m": 12, "d": 31, "H": 23, "I": 12, "M": 59, "S": 59}
        compact = self.name.startswith("%Y%m") and not "1900" <= named["Y"] <= "2099"
        month = named.get("b") is None or named["b"][:3].lower() in _MONTHS
        return month and not compact and all(int(named.get(field) or 0) <= most for field, most in limits.items())

    def microseconds(self, column: Value) -> Value:
        """Text as microseconds since 1970, null where it is written otherwise."""
        text = column.cast("string").strip()
        if self.name == TICKS:
            seconds = (functions.number(text[:11]) - _TICKS_BEFORE_1970) * 1e6
            whole = functions.rounded(seconds + functions.number(text[11:17]))
            return ibis.cases((text.re_search(self.pattern()), whole))
        return ibis.cases((text.re_search(self.pattern()), functions.moment(self._iso(text))))

    def _iso(self, text: Value) -> Value:
        def part(field: str) -> Value | None:
            return text.re_extract(self.pattern(field), 1) if field in self._fields else None

        date = _year(part("Y"), part("y")) + "-" + (_month(part("b")) if "b" in self._fields else part("m"))
        date = date + "-" + part("d")
        hour = part("H" if "H" in self._fields else "I")
        if hour is None:
            return date
        clock = _hour(hour, part("p")) + ":" + _or_zero(part("M")) + ":" + _or_zero(part("S")) + _fraction(part("f"))
        return ibis.cases((hour != "", date + " " + clock + _zone(part("z"))), else_=date)

    @cached_property
    def _named(self) -> str:
        if self.name == TICKS:
            return "[0-9]{18}"
        tight = re.search(r"%.%", self.name) is not None
        pattern, named = "", ""
        for directive, letters in re.findall(r"%(.)|([^%]+)", self.name):
            if directive:
                directive = _SAME.get(directive, directive)
                if directive in named or directive not in _DIGITS | _WORDS:
                    raise SettingsError(
                        f"{option('time_format', self.name)}: %{directive} is not known, or stands twice"
                    )
                digits = "[0-9]{2}" if tight and directive in "mdHIMS" else (_DIGITS | _WORDS)[directive]
                pattern, named = f"{pattern}(?P<{directive}>{digits})", named + directive
            pattern += re.sub(" +", " +", re.escape(letters).replace("\\ ", " "))
        return pattern + ("" if set("HIM") & set(named) else _TAIL)

    @cached_property
    def _fields(self) -> dict[str, int]:
        return dict(re.compile(self._named).groupindex)


@cache
def known_formats() -> tuple[TimeFormat, ...]:
    """What is tried where a column is neither ISO nor seconds; of two that fit alike, the first counts."""
    names = (
        *("%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S", TICKS, "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d"),
        *("%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%Y", "%d.%m.%y"),
        *("%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y", "%d %b %Y", "%d-%b-%Y", "%d/%b/%Y"),
        *("%b %d, %Y", "%b %d %Y", "%m %d, %Y"),
    )
    return tuple(map(TimeFormat, names))


TWINS = {"%m/%d/%Y": "%d/%m/%Y", "%m-%d-%Y": "%d-%m-%Y", "%m/%d/%y": "%d/%m/%y"}
"""Formats that one text may fit both of, month first or day first."""


def _year(long: Value | None, short: Value | None) -> Value:
    if long is not None:
        return long
    return ibis.cases((functions.number(short) < _CENTURY, ibis.literal("20")), else_=ibis.literal("19")) + short


def _month(name: Value | None) -> Value:
    known = name.lower()[:3]  # type: ignore[union-attr]
    return ibis.cases(*((known == word, str(place)) for place, word in enumerate(_MONTHS, start=1)), else_="0")


def _hour(hour: Value, half: Value | None) -> Value:
    if half is None:
        return hour
    at = functions.number(hour).fill_null(0).cast("int64") % 12
    late = ibis.cases((half.lower().startswith("p"), 12), else_=0)
    return ibis.cases((half == "", hour), else_=(at + late).cast("string"))


def _or_zero(digits: Value | None) -> Value:
    return ibis.literal("0") if digits is None else ibis.cases((digits == "", "0"), else_=digits)


def _fraction(digits: Value | None) -> Value:
    return ibis.literal("") if digits is None else ibis.cases((digits == "", ""), else_=ibis.literal(".") + digits)


def _zone(zone: Value | None) -> Value:
    return ibis.literal("") if zone is None else ibis.cases((zone.isin(("UTC", "GMT")), "Z"), else_=zone)
