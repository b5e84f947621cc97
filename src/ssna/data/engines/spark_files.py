"""Files as Spark reads them, where it takes them apart as DuckDB does; None where it would not."""

import re
from collections.abc import Mapping, Set
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from ssna.data.engine import Layout
from ssna.data.sources.packed import LONGEST_LINE, open_binary, plain_name

_LINE = "value"  # what Spark calls the lines of a text
_LONGEST_ROW = 2_000_000  # bytes; DuckDB rejects what is longer than 2 MB or so
_MOST_QUOTES = 1_000  # of a line that Java's regular expressions can take without running out of stack
_MARK = b"\xef\xbb\xbf"

_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}"
# Text of these is written alike by both engines: no objects, no exponents, no lists of this and that.
_SIMPLE = r"VOID|STRING|BOOLEAN|BIGINT|DECIMAL\(([1-9]|1[0-5]),[0-5]\)"
_SIMPLE_KIND = rf"^({_SIMPLE}|ARRAY<({_SIMPLE})>|ARRAY<ARRAY<({_SIMPLE})>>)$"


def read_parquet(session: SparkSession, path: Path) -> DataFrame:
    """All rows; times in nanoseconds, which Spark has as numbers, become times again."""
    frame = session.read.parquet(_address(path))
    fine = [
        field.name for field in pq.read_schema(path) if pa.types.is_timestamp(field.type) and field.type.unit == "ns"
    ]
    return frame.withColumns({name: F.expr(f"timestamp_micros(`{name.replace('`', '``')}` div 1000)") for name in fine})


def cells(session: SparkSession, path: Path, layout: Layout) -> DataFrame | None:
    """``c0``, ... as text, if every line is a row: all cells are there, no quote is out of place, none spans lines."""
    if layout.cells == 1 or layout.skip or not _unpacks(path):
        return None
    with open_binary(path) as file:
        first = file.readline().removeprefix(_MARK)
    end = "\r" if first.endswith(b"\r\n") else ""
    whole = F.col(_LINE)
    line = F.regexp_replace(whole, r"\r\z", "") if end else whole
    lines = _lines(session, path).where(whole != F.lit(end))
    is_header = whole == F.lit(first.decode().removesuffix("\n")) if layout.header else F.lit(False)
    in_order = _is_text(whole, _LONGEST_ROW) & _ends(whole, end) & _is_row(line, layout)
    checked = lines.agg(F.bool_and(in_order).alias("fine"), F.count_if(is_header).alias("headers")).first()
    if checked is None or checked["fine"] is False or checked["headers"] != int(layout.header):
        return None
    rows = lines.where(~is_header)
    if not layout.quote:
        parts = F.split(line, re.escape(layout.delimiter), -1)
        return rows.select([parts[place].alias(f"c{place}") for place in range(layout.cells)])
    schema = ", ".join(f"c{place} STRING" for place in range(layout.cells))
    options = {"sep": layout.delimiter, "quote": layout.quote, "escape": layout.quote, "maxCharsPerColumn": "-1"}
    return rows.select(F.from_csv(line, schema, options).alias("row")).select("row.*")


def objects(session: SparkSession, path: Path) -> DataFrame | None:
    """``value``: a line, and ``object``: what it holds, if all lines but blank ones hold one object."""
    if not _unpacks(path):
        return None
    line = F.col(_LINE)
    # In brackets, as Spark would overlook what stands behind the object.
    listed = F.try_parse_json(F.concat(F.lit("["), line, F.lit("]")))
    one = F.try_variant_get(listed, "$[0]", "variant")
    alone = F.try_variant_get(listed, "$[1]", "variant").isNull() & F.schema_of_variant(one).startswith("OBJECT")
    lines = _lines(session, path).where(F.trim(F.regexp_replace(line, r"[\t\r]", " ")) != "")
    in_order = _is_text(line, LONGEST_LINE) & ~line.rlike(_LONE) & F.coalesce(alone, F.lit(False))
    checked = lines.agg(F.bool_and(in_order).alias("fine")).first()
    if checked is None or checked["fine"] is False:
        return None
    return lines.select(line, F.parse_json(line).alias("object"))


def keys(lines: DataFrame) -> tuple[str, ...]:
    """The keys of all objects."""
    found = lines.select(F.explode(F.json_object_keys(_LINE)).alias("key")).distinct().orderBy("key")
    return tuple(row["key"] for row in found.collect())


def texts(lines: DataFrame, wanted: Mapping[str, str], ids: Set[str]) -> DataFrame | None:
    """New name -> key as text, lists joined; if there are only values that are text without any doubt, and no lists
    among ``ids``."""
    found = {new: F.variant_get("object", f'$["{name}"]', "variant") for new, name in wanted.items()}
    simple = {new: f"^({_SIMPLE})$" if new in ids else _SIMPLE_KIND for new in found}
    kinds = [F.bool_and(F.schema_of_variant(value).rlike(simple[new])).alias(new) for new, value in found.items()]
    checked = lines.agg(*kinds).first()
    if checked is None or any(fine is False for fine in checked):
        return None
    return lines.select([_text(value).alias(new) for new, value in found.items()])


def _text(value: Column) -> Column:
    kind = F.schema_of_variant(value)
    nested = F.try_variant_get(value, "$", "array<array<string>>")
    flat = F.try_variant_get(value, "$", "array<string>")
    return (
        F.when(
            kind.startswith("ARRAY<ARRAY"),
            F.array_join(F.transform(nested, lambda part: F.array_join(part, ", ")), ", "),
        )
        .when(kind.startswith("ARRAY"), F.array_join(flat, ", "))
        .otherwise(F.try_variant_get(value, "$", "string"))
    )


def _lines(session: SparkSession, path: Path) -> DataFrame:
    return session.read.text(_address(path), lineSep="\n")


def _address(path: Path) -> str:
    """Not a pattern, though Hadoop would take it for one."""
    return "file:" + re.sub(r"([][{}*?\\])", r"\\\1", str(path.absolute()))


def _unpacks(path: Path) -> bool:
    """Whether Hadoop does, and knows it by the name."""
    return plain_name(path) == path.name.lower() or path.suffix == ".gz"


def _is_text(line: Column, longest: int) -> Column:
    return F.is_valid_utf8(line) & (F.octet_length(line) <= longest) & ~F.contains(line, F.lit("\0"))


def _ends(line: Column, end: str) -> Column:
    """A carriage return stands at the end, if it does so in the first line, and nowhere else."""
    return F.instr(line, "\r") == F.length(line) if end else F.instr(line, "\r") == 0


def _is_row(line: Column, layout: Layout) -> Column:
    parts = F.split(line, re.escape(layout.delimiter), -1)
    if not layout.quote:
        return F.size(parts) == layout.cells
    quote, delimiter = re.escape(layout.quote), re.escape(layout.delimiter)
    cell = f"(?:{quote}[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote}|[^{quote}{delimiter}]*+)"
    quoted = line.rlike(f"^{cell}(?:{delimiter}{cell}){{{layout.cells - 1}}}\\z")
    few = F.length(line) - F.length(F.replace(line, F.lit(layout.quote), F.lit(""))) <= _MOST_QUOTES
    return F.when(~F.contains(line, F.lit(layout.quote)), F.size(parts) == layout.cells).otherwise(few & quoted)
