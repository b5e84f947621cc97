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
    """Digits, a point, an exponent; null for anything else."""


def ssna_moment(text: dt.String) -> dt.Int64:
    """An ISO date or time as microseconds since 1970, UTC where it names no zone; null for anything else."""


def ssna_microseconds(moment: dt.timestamp) -> dt.Int64:
    """Microseconds since 1970."""


def ssna_rounded(number: dt.Float64) -> dt.Int64:
    """The nearest whole number, the even one of two; null where int64 does not hold it."""


_ALL = (ssna_whole, ssna_decimal, ssna_number, ssna_moment, ssna_microseconds, ssna_rounded)

whole, decimal, number, moment, microseconds, rounded = map(ibis.udf.scalar.builtin, _ALL)
