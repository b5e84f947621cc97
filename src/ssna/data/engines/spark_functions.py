r"""The functions of :mod:`ssna.data.functions` in Spark's SQL, where a string knows escapes: ``\\z`` is ``\z``."""

from ssna.data.grammar import MOMENT, NUMBER, WITHOUT_SECONDS

_WITH_SECONDS = f"regexp_replace(x, '^{WITHOUT_SECONDS}\\\\z', '$1:00$2')"

# Java writes 1.23E7 and 1.0E-5, DuckDB 12300000.0 and 1e-05.
_EXPONENT = "CAST(substring_index(x, 'E', -1) AS INT)"
_PLAIN = "regexp_replace(CAST(CAST(x AS DECIMAL(38, 21)) AS STRING), '([.][0-9]+?)0+\\\\z', '$1')"
_SCIENTIFIC = (
    "concat(regexp_replace(substring_index(x, 'E', 1), '[.]0\\\\z', ''), "
    f"CASE WHEN {_EXPONENT} < 0 THEN 'e-' ELSE 'e+' END, "
    f"CASE WHEN abs({_EXPONENT}) < 10 THEN '0' ELSE '' END, abs({_EXPONENT}))"
)

FUNCTIONS = {
    "ssna_whole(x STRING) RETURNS STRING": "regexp_replace(x, '^(-?[0-9]+)[.]0+\\\\z', '$1')",
    "ssna_decimal(x STRING) RETURNS STRING": (
        "CASE WHEN x LIKE '%Infinity' THEN replace(x, 'Infinity', 'inf') WHEN x NOT LIKE '%E%' THEN x "
        f"WHEN {_EXPONENT} BETWEEN -4 AND 15 THEN {_PLAIN} ELSE {_SCIENTIFIC} END"
    ),
    "ssna_number(x STRING) RETURNS DOUBLE": f"CASE WHEN x RLIKE '^({NUMBER})\\\\z' THEN TRY_CAST(x AS DOUBLE) END",
    "ssna_moment(x STRING) RETURNS BIGINT": (
        f"CASE WHEN x RLIKE '^({MOMENT})\\\\z' THEN unix_micros(TRY_CAST({_WITH_SECONDS} AS TIMESTAMP)) END"
    ),
    "ssna_hex(x BINARY) RETURNS STRING": "lower(hex(x))",
    "ssna_decoded(x BINARY) RETURNS STRING": "decode(x, 'UTF-8')",
    "ssna_microseconds(x TIMESTAMP) RETURNS BIGINT": "unix_micros(x)",
    "ssna_rounded(x DOUBLE) RETURNS BIGINT": "TRY_CAST(rint(x) AS BIGINT)",
}
