r"""What a number and a time look like as text: one grammar, which every engine asks before it reads a cell.

Without it each would go by its own parser: DuckDB reads ``24:00:00``, two blanks, ``(BC)``, ``1_000`` and ``PST`` (in
July as PDT), and Spark reads none of them. The patterns are of the common part of RE2 and Java's regular expressions.
"""

_DATE = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = "([01]?[0-9]|2[0-3]):[0-5]?[0-9](:[0-5]?[0-9]([.][0-9]*)?)?"
_OFFSET = "[+-](0[0-9]|1[0-4])(:?[0-5][0-9](:[0-5][0-9])?)?"
_ZONE = f"Z|{_OFFSET}| (UTC|GMT|[A-Za-z]+/[A-Za-z0-9/_+-]+)"

MOMENT = f"{_DATE}([ T]{_CLOCK}({_ZONE})?)?"
"""An ISO date, or a date and a time of day; then an offset, UTC, GMT or a region such as Europe/Berlin. Abbreviations
such as PST or IST mean several things, and are no zones."""

NUMBER = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
"""Digits, a point, an exponent."""

WITHOUT_SECONDS = f"([^ T]+[ T][0-9]+:[0-9]+)({_ZONE})"
"""A moment with a zone right behind the minutes, as two groups: Spark's parser wants seconds before a zone."""
