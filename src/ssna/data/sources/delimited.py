"""CSV and its kin: cells between delimiters, under a header or under names that the format or the user gives."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from ssna.core.errors import DataError, option
from ssna.data.engine import Engine, Layout, Rows
from ssna.data.sources.columns import is_known
from ssna.data.sources.headless import guessed_names, is_data
from ssna.data.sources.packed import LONGEST_LINE, open_binary, plain_name
from ssna.data.sources.sample import Sample, first_lines, of_cells
from ssna.data.sources.tabular import TableFile, Wanted

_DELIMITERS = ",;\t|"
_SCARCE = ("::", " ")  # only where none of the others is
_UNESCAPED = ("\t", "|", "::")  # programs that write these seldom quote
_NAMED_DELIMITER = re.compile("sep=(.)", re.IGNORECASE)


@dataclass(frozen=True)
class TextForm:
    """What the user says of a file of text.

    Attributes:
        header: the names of its columns, where it has no header.
        quote: ``none`` where a quote is a letter like any other.
        named: columns that the options name; they are in the header, if there is one.
        is_log: whether it may be without a header, which is found out.
    """

    header: tuple[str, ...] | None = None
    quote: str = "auto"
    named: frozenset[str] = frozenset()
    is_log: bool = False


def open_csv(engine: Engine, path: Path, form: TextForm | None = None) -> TableFile:
    """Cells that may be quoted; the delimiter is that of the header, or the one that a first line ``sep=;`` names."""
    form = form or TextForm()
    line, named, skip = _header(path), None, 0
    if found := _NAMED_DELIMITER.fullmatch(line):
        named, skip, line = found[1], 1, first_lines(path, 2)[-1]
    delimiter = named or _delimiter(path, line)
    try:
        cells = tuple(cell.strip() for cell in _cells(line, delimiter))
    except csv.Error as cause:
        raise DataError(
            f"{path}: the first line must name the columns, and lines end with LF or CR LF ({cause})"
        ) from None
    names = _names(path, cells, delimiter, form)
    header = names is None
    names = _checked(path, cells) if names is None else names
    quote = "" if form.quote == "none" or _is_letter(path, delimiter, len(names)) else '"'
    return _open(engine, path, names, Layout(len(names), delimiter, quote, header, skip))


def open_unquoted(engine: Engine, path: Path) -> TableFile:
    """Tab-separated values in which a quote is a character like any other."""
    names = _checked(path, tuple(name.strip() for name in _header(path).split("\t")))
    return _open(engine, path, names, Layout(len(names), "\t", quote="", header=True))


def open_headless(engine: Engine, path: Path, names: tuple[str, ...], delimiter: str) -> TableFile:
    """A file without a header and without quotes, whose columns have the given names."""
    return _open(engine, path, names, Layout(len(names), delimiter, quote="", header=False))


def _header(path: Path) -> str:
    """The first line, blank or not, without a byte order mark and its end."""
    with open_binary(path) as file:
        return file.readline(LONGEST_LINE).decode("utf-8-sig").rstrip("\r\n")


def _delimiter(path: Path, line: str) -> str:
    if plain_name(path).endswith(".tsv"):
        return "\t"
    if any(letter in line for letter in _DELIMITERS):
        return max(_DELIMITERS, key=line.count)
    return next((each for each in _SCARCE if each in line.strip()), ",")


def _cells(line: str, delimiter: str) -> list[str]:
    return line.split(delimiter) if len(delimiter) > 1 else next(csv.reader([line], delimiter=delimiter), [])


def _names(path: Path, cells: tuple[str, ...], delimiter: str, form: TextForm) -> tuple[str, ...] | None:
    """The names of the columns of a file without a header; None where the first line is one."""
    if form.header is not None:
        if len(form.header) != len(cells):
            raise DataError(
                f"{option('header', form.header)} names {len(form.header)} columns, and {path} has {len(cells)}: "
                f"{', '.join(cells[:8])}"
            )
        return form.header
    if not form.is_log or not form.named.isdisjoint(cells) or any(map(is_known, cells)) or not is_data(cells):
        return None
    return guessed_names(of_cells(path, tuple(map(str, range(1, len(cells) + 1))), delimiter, '"', skip=0), len(cells))


def _is_letter(path: Path, delimiter: str, count: int) -> bool:
    """Whether quotes of the first rows open cells and close none, while all rows have ``count`` cells."""
    if delimiter not in _UNESCAPED:
        return False
    rows = [line.split(delimiter) for line in first_lines(path)]
    cells = (cell.strip() for row in rows for cell in row)
    opened = any(cell.startswith('"') and (cell.count('"') % 2 or len(cell) == 1) for cell in cells)
    return opened and all(len(row) == count for row in rows)


def _checked(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    if not any(names):
        raise DataError(f"{path} has no header; its first line must name the columns")
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{path} has two columns named {name!r}; rename one")
    return names


def _open(engine: Engine, path: Path, names: tuple[str, ...], layout: Layout) -> TableFile:
    def read(wanted: Wanted, numbered: bool) -> Rows:
        places = {new: (names.index(name), convert) for new, (name, convert) in wanted.items()}
        return engine.select_cells(path, layout, places, numbered)

    def sample() -> Sample:
        return of_cells(path, names, layout.delimiter, layout.quote, skip=layout.skip + int(layout.header))

    headless = not layout.header
    return TableFile(path, names, read, files=(path,), typed=False, sample=sample, headless=headless)
