"""CSV and its kin: cells between delimiters, under a header or under names that the format gives."""

import csv
import glob
from pathlib import Path

import duckdb
from ibis import Table

from ssna.data.engine import Engine
from ssna.data.sources.packed import byte_lines, open_binary, plain_name
from ssna.data.sources.tabular import Rows, TableFile, Wanted
from ssna.errors import DataError

_DELIMITERS = ",;\t|"
_BLOCK, _PIECE = 16_000_000, 1_000_000  # bytes


def open_csv(engine: Engine, path: Path) -> TableFile:
    """Cells that may be quoted; the delimiter is the one in the header."""
    with open_binary(path) as file:
        line = file.readline().decode("utf-8-sig").rstrip("\r\n")
    delimiter = "\t" if plain_name(path).endswith(".tsv") else max(_DELIMITERS, key=line.count)
    names = tuple(name.strip() for name in next(csv.reader([line], delimiter=delimiter), []))
    return _open(engine, path, _checked(path, names), delimiter, quote='"', header=True)


def open_unquoted(engine: Engine, path: Path) -> TableFile:
    """Tab-separated values in which a quote is a character like any other."""
    with open_binary(path) as file:
        line = file.readline().decode("utf-8-sig").rstrip("\r\n")
    names = tuple(name.strip() for name in line.split("\t"))
    return _open(engine, path, _checked(path, names), "\t", quote="", header=True)


def open_headless(engine: Engine, path: Path, names: tuple[str, ...], delimiter: str) -> TableFile:
    """A file without a header and without quotes, whose columns have the given names."""
    return _open(engine, path, names, delimiter, quote="", header=False)


def _checked(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    if not any(names):
        raise DataError(f"{path} has no header; its first line must name the columns")
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{path} has two columns named {name!r}; rename one")
    return names


def _open(engine: Engine, path: Path, names: tuple[str, ...], delimiter: str, quote: str, header: bool) -> TableFile:
    """The header was read by us, so that nothing about the file is guessed from its first rows."""
    rejects = engine.new_name()
    rows = engine.connection.read_csv(
        glob.escape(str(path)),
        columns={f"c{place}": "VARCHAR" for place in range(len(names))},
        delim=delimiter,
        quote=quote,
        escape=quote,
        header=header,
        auto_detect=False,
        store_rejects=True,
        rejects_table=rejects,
        rejects_scan=engine.new_name(),
        rejects_limit=0,
        parallel=_for_several_threads(path),
    )

    def read(wanted: Wanted) -> Rows:
        chosen = {new: convert(rows[f"c{names.index(name)}"]) for new, (name, convert) in wanted.items()}
        try:
            table = engine.hold(rows.select(**chosen))
        except duckdb.InvalidInputException:
            _require_one_line_end(path)
            raise
        unreadable = _rejected(path, engine.connection.table(rejects))
        if unreadable:
            require_utf8(path)
        return Rows(table, unreadable)

    return TableFile(path, names, read, files=(path,), typed=False)


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


def require_utf8(path: Path) -> None:
    """Raise :class:`UnicodeDecodeError` if a line is not UTF-8."""
    for line in byte_lines(path):
        line.decode()


def _require_one_line_end(path: Path) -> None:
    if len({line.endswith(b"\r\n") for line in byte_lines(path) if line.endswith(b"\n")}) > 1:
        raise DataError(f"{path} ends some lines with CR LF and others with LF; convert it, for example: dos2unix")
