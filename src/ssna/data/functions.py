"""Functions that Ibis has not, or writes differently for DuckDB and Spark: each engine defines them in its own SQL.

In expressions they look like functions of the engine: ``whole(column)``.
"""

import ibis
import ibis.expr.datatypes as dt


def ssna_whole(text: dt.String) -> dt.String:
    """``17850.0`` as ``17850``; any other text as it is."""


def ssna_decimal(text: dt.String) -> dt.String:
    """A floating point number that the engine wrote, as DuckDB writes it."""


def ssna_number(text: dt.String) -> dt.Float64:
    """The number that a text of :data:`ssna.data.grammar.NUMBER` says; null, or not finite, for anything else."""


def ssna_moment(text: dt.String) -> dt.Int64:
    """A text of :data:`ssna.data.grammar.MOMENT` as microseconds since 1970, UTC where it names no zone; null for
    anything else."""


def ssna_microseconds(moment: dt.timestamp) -> dt.Int64:
    """Microseconds since 1970."""


def ssna_rounded(number: dt.Float64) -> dt.Int64:
    """The nearest whole number, the even one of two; null where int64 does not hold it."""


def ssna_hex(content: dt.Binary) -> dt.String:
    """Bytes as hexadecimal digits, in lower case."""


def ssna_decoded(content: dt.Binary) -> dt.String:
    """Bytes of UTF-8 as text."""


_ALL = (
    ssna_whole,
    ssna_decimal,
    ssna_number,
    ssna_moment,
    ssna_microseconds,
    ssna_rounded,
    ssna_hex,
    ssna_decoded,
)

whole, decimal, number, moment, microseconds, rounded, hexadecimal, decoded = map(ibis.udf.scalar.builtin, _ALL)
