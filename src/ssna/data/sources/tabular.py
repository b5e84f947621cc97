"""CSV, TSV, Parquet and JSON lines as one thing: a file with named columns."""

import csv
import glob
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

import duckdb
import ibis
import ibis.expr.datatypes as dt
from ibis import Table
from ibis.expr.types import Value

from ssna.data.engine import Engine, reading
from ssna.data.sources.source import unknown_column
from ssna.data.sources.values import as_text
from ssna.errors import DataError

Wanted = Mapping[str, tuple[str, Callable[[Value], Value]]]  # new name -> column and conversion

_DELIMITERS = ",;\t|"
_LINE = "line"


@dataclass(frozen=True, eq=False)
class Rows:
    """What :meth:`TableFile.select` reads: a table, and how many rows could not be taken apart."""

    table: Table
    unreadable: int


@dataclass(frozen=True, eq=False)
class TableFile:
    """A file whose columns are known and whose rows are still to be read.

    Attributes:
        names: the columns.
        read: the rows of a selection, held by the engine.
    """

    path: Path
    names: tuple[str, ...]
    read: Callable[[Wanted], Rows]

    def select(self, wanted: Wanted) -> Rows:
        """Read columns under new names.

        Raises:
            DataError: a column is not there, or the file is damaged, is not UTF-8, or opens a quote that swallows the
                lines after it.
        """
        for column, _ in wanted.values():
            if column not in self.names:
                raise unknown_column(self.path, column, self.names)
        with reading(self.path):
            rows = self.read(wanted)
            if rows.unreadable:
                _require_utf8(self.path)
        return rows


def open_table(engine: Engine, path: Path) -> TableFile:
    """A table in any of ``SUFFIXES``, known by its name. Raises :class:`DataError`."""
    for suffix, opener in SUFFIXES.items():
        if path.name.lower().endswith((suffix, f"{suffix}.gz")):
            return _open(engine, path, opener)
    raise DataError(f"{path}: the name of a table ends in one of {', '.join(SUFFIXES)} (.gz may follow)")


def open_tsv(engine: Engine, path: Path) -> TableFile:
    """Tab-separated values in which a quote is a character like any other. Raises :class:`DataError`."""
    return _open(engine, path, _open_unquoted)


def is_table(path: Path) -> bool:
    """Whether ``path`` is a file with the name of a table."""
    return path.is_file() and path.name.lower().removesuffix(".gz").endswith(tuple(SUFFIXES))


def _open(engine: Engine, path: Path, opener: Callable[[Engine, Path], TableFile]) -> TableFile:
    if not path.is_file():
        raise DataError(f"there is no file {path}; check the path")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; give a file with a header and rows")
    with reading(path):
        return opener(engine, path)


def _open_quoted(engine: Engine, path: Path) -> TableFile:
    return _open_delimited(engine, path, quote='"')


def _open_unquoted(engine: Engine, path: Path) -> TableFile:
    return _open_delimited(engine, path, quote="")


def _open_delimited(engine: Engine, path: Path, quote: str) -> TableFile:
    """The header is read here, so that nothing about the file is guessed from its first rows."""
    delimiter, names = _header(path, quoted=bool(quote))
    rejects = engine.new_name()
    rows = engine.connection.read_csv(
        glob.escape(str(path)),
        columns={f"c{place}": "VARCHAR" for place in range(len(names))},
        delim=delimiter,
        quote=quote,
        escape=quote,
        header=True,
        auto_detect=False,
        store_rejects=True,
        rejects_table=rejects,
        rejects_scan=engine.new_name(),
        rejects_limit=0,
    )

    def read(wanted: Wanted) -> Rows:
        chosen = {new: convert(rows[f"c{names.index(name)}"]) for new, (name, convert) in wanted.items()}
        try:
            table = engine.hold(rows.select(**chosen))
        except duckdb.InvalidInputException:
            _require_one_line_end(path)
            raise
        return Rows(table, _rejected(path, engine.connection.table(rejects)))

    return TableFile(path, names, read)


def _header(path: Path, quoted: bool) -> tuple[str, tuple[str, ...]]:
    with _open_binary(path) as file:
        line = file.readline().decode("utf-8-sig").rstrip("\r\n")
    tabs = not quoted or path.name.lower().removesuffix(".gz").endswith(".tsv")
    delimiter = "\t" if tabs else max(_DELIMITERS, key=line.count)
    cells = next(csv.reader([line], delimiter=delimiter), []) if quoted else line.split(delimiter)
    names = tuple(name.strip() for name in cells)
    if not any(names):
        raise DataError(f"{path} has no header; its first line must name the columns")
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{path} has two columns named {name!r}; rename one")
    return delimiter, names


def _rejected(path: Path, rejects: Table) -> int:
    """The number of rows that the engine left out. One row may stand there for several reasons."""
    swallowed = (rejects.error_type == "UNQUOTED VALUE") & rejects.csv_line.strip().contains("\n")
    found = rejects.agg(rows=rejects.line_byte_position.nunique(), line=rejects.line.min(where=swallowed))
    counts = found.to_pyarrow().to_pylist()[0]
    if counts["line"] is not None:
        raise DataError(
            f"{path}, line {counts['line']}: a quote is opened and not closed before the line ends; "
            'write a quote inside a quoted cell as ""'
        )
    return int(counts["rows"])


def _open_parquet(engine: Engine, path: Path) -> TableFile:
    rows = engine.connection.read_parquet(glob.escape(str(path)))

    def read(wanted: Wanted) -> Rows:
        chosen = {new: convert(rows[name]) for new, (name, convert) in wanted.items()}
        return Rows(engine.hold(rows.select(**chosen)), unreadable=0)

    return TableFile(path, tuple(rows.columns), read)


def _open_json(engine: Engine, path: Path) -> TableFile:
    """One JSON value a line, taken apart by us: what a column is must not depend on a sample of its rows."""
    rows = engine.connection.read_json(
        glob.escape(str(path)),
        columns={_LINE: "JSON"},
        format="newline_delimited",
        records="false",
        ignore_errors=True,
    )
    line = rows[_LINE]
    is_object = (_json_type(line) == "OBJECT").fill_null(False)
    names = rows.select(name=_json_keys(line).unnest()).distinct().order_by("name").to_pyarrow()["name"].to_pylist()
    if not names:
        _require_utf8(path)
        raise DataError(f"{path} holds no JSON object; write one object a line, with the names of the columns as keys")

    def read(wanted: Wanted) -> Rows:
        # Text first, in a step of its own: the engine would take the JSON apart again for every use of a column.
        chosen = {new: as_text(line[f'"{name}"']) for new, (name, _) in wanted.items()}
        texts = engine.hold(rows.filter(is_object).select(**chosen))
        table = engine.hold(texts.select(**{new: convert(texts[new]) for new, (_, convert) in wanted.items()}))
        engine.free(texts)
        return Rows(table, rows.filter(~is_object).count().to_pyarrow().as_py())

    return TableFile(path, tuple(name for name in names if '"' not in name), read)


def json_keys(line: dt.JSON) -> dt.Array[dt.String]:
    """DuckDB's function: the keys of an object, none for another value."""


def json_type(line: dt.JSON) -> dt.String:
    """DuckDB's function: OBJECT, ARRAY, VARCHAR and so on."""


# What Ibis has for the two (``map.keys()`` and ``map.notnull()``) takes ten times as long.
_json_keys = ibis.udf.scalar.builtin(json_keys)
_json_type = ibis.udf.scalar.builtin(json_type)


def _open_binary(path: Path) -> BufferedIOBase:
    if path.name.lower().endswith(".gz"):
        return gzip.GzipFile(path)
    return path.open("rb")


def _require_utf8(path: Path) -> None:
    with _open_binary(path) as file:
        for line in file:
            line.decode()


def _require_one_line_end(path: Path) -> None:
    with _open_binary(path) as file:
        if len({line.endswith(b"\r\n") for line in file if line.endswith(b"\n")}) > 1:
            raise DataError(f"{path} ends some lines with CR LF and others with LF; convert it, for example: dos2unix")


SUFFIXES: dict[str, Callable[[Engine, Path], TableFile]] = {
    ".csv": _open_quoted,
    ".tsv": _open_quoted,
    ".parquet": _open_parquet,
    ".jsonl": _open_json,
    ".ndjson": _open_json,
    ".json": _open_json,
}
