"""CSV and its kin: cells between delimiters, under a header or under names that the format gives."""

import csv
from pathlib import Path

from ssna.core.errors import DataError
from ssna.data.engine import Engine, Layout, Rows
from ssna.data.sources.packed import LONGEST_LINE, open_binary, plain_name
from ssna.data.sources.sample import Sample, of_cells
from ssna.data.sources.tabular import TableFile, Wanted

_DELIMITERS = ",;\t|"


def open_csv(engine: Engine, path: Path) -> TableFile:
    """Cells that may be quoted; the delimiter is the one in the header."""
    line = _header(path)
    delimiter = "\t" if plain_name(path).endswith(".tsv") else max(_DELIMITERS, key=line.count)
    try:
        names = tuple(name.strip() for name in next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error as cause:
        raise DataError(
            f"{path}: the first line must name the columns, and lines end with LF or CR LF ({cause})"
        ) from None
    return _open(engine, path, _checked(path, names), delimiter, quote='"', header=True)


def open_unquoted(engine: Engine, path: Path) -> TableFile:
    """Tab-separated values in which a quote is a character like any other."""
    names = tuple(name.strip() for name in _header(path).split("\t"))
    return _open(engine, path, _checked(path, names), "\t", quote="", header=True)


def open_headless(engine: Engine, path: Path, names: tuple[str, ...], delimiter: str) -> TableFile:
    """A file without a header and without quotes, whose columns have the given names."""
    return _open(engine, path, names, delimiter, quote="", header=False)


def _header(path: Path) -> str:
    """The first line, blank or not, without a byte order mark and its end."""
    with open_binary(path) as file:
        return file.readline(LONGEST_LINE).decode("utf-8-sig").rstrip("\r\n")


def _checked(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    if not any(names):
        raise DataError(f"{path} has no header; its first line must name the columns")
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{path} has two columns named {name!r}; rename one")
    return names


def _open(engine: Engine, path: Path, names: tuple[str, ...], delimiter: str, quote: str, header: bool) -> TableFile:
    layout = Layout(len(names), delimiter, quote, header)

    def read(wanted: Wanted) -> Rows:
        places = {new: (names.index(name), convert) for new, (name, convert) in wanted.items()}
        return engine.select_cells(path, layout, places)

    def sample() -> Sample:
        return of_cells(path, names, delimiter, quote, skip=int(header))

    return TableFile(path, names, read, files=(path,), typed=False, sample=sample)
