"""Files of text and Parquet, read by DuckDB."""

import codecs
import glob
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten

import duckdb
import ibis
import ibis.expr.datatypes as dt
from ibis import Table
from ibis.expr.types import Value

from ssna.core.errors import DataError, option
from ssna.data.engine import ROW, Convert, Engine, JsonLines, Layout, Rows
from ssna.data.error_hints import one_object_a_line
from ssna.data.sources.nested import taken_apart
from ssna.data.sources.packed import LONGEST_LINE, byte_lines, plain_name
from ssna.data.sources.values import as_raw_id, as_text

_BLOCK, _PIECE = 16_000_000, 1_000_000  # bytes
_LINE = "line"
_LONGEST_EXAMPLE = 60  # letters


def read_parquet(engine: Engine, path: Path) -> Table:
    """The rows of one Parquet file, which stay in it. A name is never a pattern."""
    return engine.connection.read_parquet(glob.escape(str(path)), hive_partitioning=False)


def numbered(engine: Engine, rows: Table) -> Table:
    """``rows`` of a file with their numbers as ``ROW``; from here on the engine keeps the order of files."""
    engine.connection.raw_sql("SET preserve_insertion_order = true")
    return rows.mutate(**{ROW: ibis.row_number()})


def select_cells(
    engine: Engine, path: Path, layout: Layout, wanted: Mapping[str, tuple[int, Convert]], with_numbers: bool
) -> Rows:
    """Cells by their places, as a materialized table, and the number of rows that DuckDB rejects.

    The header was read by us, so that nothing about the file is guessed from its first rows.

    Raises:
        DataError: a quote is never closed, or line ends are of two kinds.
        UnicodeDecodeError: rows are rejected because they are not UTF-8.
    """
    rejects = engine.new_name()
    rows = engine.connection.read_csv(
        glob.escape(str(path)),
        columns={f"c{place}": "VARCHAR" for place in range(layout.cells)},
        delim=layout.delimiter,
        quote=layout.quote,
        escape=layout.quote,
        header=layout.header,
        skip=layout.skip,
        auto_detect=False,
        store_rejects=True,
        rejects_table=rejects,
        rejects_scan=engine.new_name(),
        rejects_limit=0,
        parallel=_for_several_threads(path),
        hive_partitioning=False,
    )
    chosen = {new: convert(rows[f"c{place}"]) for new, (place, convert) in wanted.items()}
    selected = rows.select(**chosen)
    try:
        table = engine.materialize(numbered(engine, selected) if with_numbers else selected)
    except duckdb.InvalidInputException:
        _require_one_line_end(path)
        raise
    rejected = engine.connection.table(rejects)
    unreadable = _rejected(path, rejected)
    if unreadable:
        _require_utf8(path)
    return Rows(table, unreadable, _first(rejected) if unreadable else "")


def read_json(engine: Engine, path: Path) -> JsonLines:
    """Keys of all objects, and a function that reads some of them as text; each line stays JSON until then.

    Raises:
        DataError: a line is too long.
        UnicodeDecodeError: no line holds an object, and one is not UTF-8.
    """
    rows = engine.connection.read_json(
        glob.escape(str(path)),
        columns={_LINE: "JSON"},
        format="newline_delimited",
        records="false",
        ignore_errors=True,
        hive_partitioning=False,
    )
    line = rows[_LINE]
    is_object = (_json_type(line) == "OBJECT").fill_null(False)
    with _short_lines(path):
        names = rows.select(name=_json_keys(line).unnest()).distinct().order_by("name").to_pyarrow()["name"].to_pylist()
    if not names:
        _require_utf8(path)

    def texts(wanted: Mapping[str, str], ids: Set[str], with_numbers: bool) -> Rows:
        objects, found = taken_apart(rows.filter(is_object), names, wanted.values(), _of_line, _key, _elements)
        chosen = {new: (as_raw_id if new in ids else as_text)(found[name]) for new, name in wanted.items()}
        selected = objects.select(**chosen)
        table = engine.materialize(numbered(engine, selected) if with_numbers else selected)
        unreadable = rows.filter(~is_object).count().to_pyarrow().as_py()
        if unreadable:
            _require_utf8(path)
        return Rows(table, unreadable)

    return JsonLines(tuple(names), texts)


def _of_line(rows: Table, name: str) -> Value:
    return _key(rows[_LINE], name)


def _key(value: Value, name: str) -> Value:
    return value[f'"{name}"']


def _elements(value: Value) -> Value:
    return value.array


@contextmanager
def _short_lines(path: Path) -> Iterator[None]:
    """The engine passes over a line that is not too long for its buffer, and gives up on one that is."""
    try:
        yield
    except duckdb.InvalidInputException as cause:
        if "maximum_object_size" not in str(cause):
            raise
        raise DataError(
            f"{path} has a line of more than {LONGEST_LINE >> 20} MiB; leave it out or, if it is an array, "
            f"{one_object_a_line(path)}"
        ) from None


def json_keys(line: dt.JSON) -> dt.Array[dt.String]:
    """DuckDB's function: the keys of an object, none for another value."""


def json_type(line: dt.JSON) -> dt.String:
    """DuckDB's function: OBJECT, ARRAY, VARCHAR and so on."""


# What Ibis has for the two (``map.keys()`` and ``map.notnull()``) takes ten times as long.
_json_keys = ibis.udf.scalar.builtin(json_keys)
_json_type = ibis.udf.scalar.builtin(json_type)


def _rejected(path: Path, rejects: Table) -> int:
    """The number of rows that the engine left out. One row may stand there for several reasons, and where two of its
    cells go on behind their quotes, at several places in the file; its line is one."""
    swallowed = (rejects.error_type == "UNQUOTED VALUE") & rejects.csv_line.strip().contains("\n")
    found = rejects.agg(rows=rejects.line.nunique(), line=rejects.line.min(where=swallowed))
    counts = found.to_pyarrow().to_pylist()[0]
    if counts["line"] is not None:
        raise DataError(
            f"{path}, line {counts['line']}: a quote is opened and not closed before the line ends; "
            f'write a quote inside a quoted cell as "", or take quotes for letters: {option("quote", "none")}'
        )
    return int(counts["rows"])


def _first(rejects: Table) -> str:
    """The first row that the engine left out, cut if it is long."""
    rows = rejects.order_by("line").limit(1).csv_line.to_pyarrow().to_pylist()
    return shorten(rows[0] or "", _LONGEST_EXAMPLE, placeholder="…")


def _for_several_threads(path: Path) -> bool:
    """Whether no line is longer than what a thread of DuckDB reads at a time (32 MB).

    Several threads lose such a line without a word, where one alone rejects it. It fills a block of half that size; in
    a compressed file nobody knows before it is unpacked.
    """
    if plain_name(path) != path.name.lower():
        return False
    with path.open("rb") as file:
        for start in range(0, path.stat().st_size, _BLOCK):
            file.seek(start)
            pieces = (file.read(_PIECE) for _ in range(0, _BLOCK, _PIECE))
            if all(len(piece) == _PIECE and b"\n" not in piece for piece in pieces):
                return False
    return True


def _require_utf8(path: Path) -> None:
    """Raise :class:`UnicodeDecodeError` if a line is not UTF-8. A piece of a long line may end within a letter."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for line in byte_lines(path):
        decoder.decode(line)
    decoder.decode(b"", final=True)


def _require_one_line_end(path: Path) -> None:
    if len({line.endswith(b"\r\n") for line in byte_lines(path) if line.endswith(b"\n")}) > 1:
        raise DataError(f"{path} ends some lines with CR LF and others with LF; convert it, for example: dos2unix")
