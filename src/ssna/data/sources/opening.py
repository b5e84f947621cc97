"""From what the user names (a file, a folder, a pattern) to a table."""

import glob
import os
from collections.abc import Callable
from functools import partial
from operator import getitem
from pathlib import Path

from ssna.core.errors import DataError
from ssna.data.engine import ROW, Engine, Rows, reading
from ssna.data.error_hints import forbidden
from ssna.data.sources.delimited import TextForm, open_csv, open_unquoted
from ssna.data.sources.frames import open_frame
from ssna.data.sources.json_lines import open_json_lines
from ssna.data.sources.nested import taken_apart
from ssna.data.sources.packed import plain_name
from ssna.data.sources.parquet import as_written, uuids_of
from ssna.data.sources.place import Frame, Place
from ssna.data.sources.sample import of_parquet
from ssna.data.sources.tabular import TableFile, Wanted, stacked
from ssna.data.storage import MANIFEST, is_data_set

Opener = Callable[[Engine, Path], TableFile]

_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
_TEXT_SUFFIXES = (".txt", ".dat", ".data", ".tab", ".inter")
_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz")


def open_table(engine: Engine, place: Place, form: TextForm | None = None) -> TableFile:
    """A table in memory, or tables in any of ``SUFFIXES``, known by their names; ``form`` is for text. Raises
    :class:`DataError`."""
    if isinstance(place, Frame):
        return open_frame(engine, place)
    files = files_at(place) if isinstance(place, Path) else place.paths
    return stacked(place, [open_one(engine, file, form) for file in files])


def open_one(engine: Engine, file: Path, form: TextForm | None = None) -> TableFile:
    """One file, as :func:`open_table` opens it."""
    return open_file(engine, file, _opener(file, form))


def open_tsv(engine: Engine, path: Path) -> TableFile:
    """Tab-separated values in which a quote is a character like any other. Raises :class:`DataError`."""
    return open_file(engine, path, open_unquoted)


def open_file(engine: Engine, path: Path, opener: Opener) -> TableFile:
    """One file by ``opener``. Raises :class:`DataError` if it is not there, empty or damaged."""
    if not path.is_file():
        raise DataError(f"{path} {'is no file' if path.exists() else 'does not exist'}; check the path")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; give a file with a header and rows")
    with reading(path):
        return opener(engine, path)


def is_table(path: Path) -> bool:
    """Whether ``path`` is a file with the name of a table."""
    return path.is_file() and plain_name(path).endswith(tuple(SUFFIXES))


def _is_text(path: Path) -> bool:
    return path.is_file() and plain_name(path).endswith(_TEXT_SUFFIXES)


def tables_at(path: Path) -> tuple[Path, ...]:
    """The tables that ``path`` names, by name: itself, those in the folder at any depth, or those of the pattern.

    What a name begins with ``.`` or ``_`` hides (Spark's ``_SUCCESS``) is left out of a folder.
    """
    if path.is_file():
        found = [path]
    elif path.is_dir():
        found = _files_in(path)
    else:
        found = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - the pattern may be absolute
    tables = tuple(file for file in sorted(found) if is_table(file))
    # In a folder a README.txt is no table; what is named is meant.
    return tables or tuple(file for file in sorted(found) if not path.is_dir() and _is_text(file))


def passed_over_at(place: Place) -> tuple[Path, ...]:
    """What stands in a folder at any depth, is not hidden, and is no table by its name."""
    if not isinstance(place, Path) or not place.is_dir():
        return ()
    return tuple(file for file in _files_in(place) if not is_table(file))


def files_at(path: Path) -> tuple[Path, ...]:
    """As :func:`tables_at`; a file that is none is left to its opener.

    Raises:
        DataError: it is a folder without tables, or a data set is among them.
    """
    found = tables_at(path)
    if not found and path.is_dir():
        raise unknown(path)
    for file in found:
        if file.name == MANIFEST and is_data_set(file.parent):
            raise DataError(
                f"{file.parent} is a data set already, and no log; `ssna prepare DATA --append NEWLOGS -o DATA` adds "
                "to it, `ssna data describe DATA` looks at it"
            )
    return found or (path,)


def unknown(path: Path) -> DataError:
    """The error for a file, or a folder, that is of none of the formats by its name."""
    for file in _files_in(path) if path.is_dir() else [path]:
        kind = Path(plain_name(file)).suffix
        if kind in _SPREADSHEETS:
            return DataError(f"{file} is a spreadsheet; export it as CSV")
        if kind in _ARCHIVES:
            return DataError(f"{file} is packed as {kind}; unpack it first (.gz and .zst are read as they are)")
    remedy = "" if path.is_dir() else f"; if it is one, rename it, for example to {path.stem}.csv"
    return DataError(
        f"{path} has none of the known formats; the name of a table ends in one of {', '.join(SUFFIXES)} "
        f"(.gz or .zst may follow){remedy}"
    )


def _files_in(path: Path) -> list[Path]:
    found = [Path(folder) / name for folder, _, names in os.walk(path, onerror=_refuse) for name in names]
    return sorted(file for file in found if not any(_hidden(part) for part in file.relative_to(path).parts))


def _refuse(error: OSError) -> None:
    raise DataError(forbidden(Path(error.filename)))


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _opener(path: Path, form: TextForm | None) -> Opener:
    for suffix, opener in SUFFIXES.items():
        if plain_name(path).endswith(suffix):
            return partial(open_csv, form=form) if opener is open_csv else opener
    if plain_name(path).endswith(_TEXT_SUFFIXES):
        return partial(open_csv, form=form)
    raise unknown(path)


def _open_parquet(engine: Engine, path: Path) -> TableFile:
    rows, uuids = engine.read_parquet(path), uuids_of(path)

    def read(wanted: Wanted, numbered: bool) -> Rows:
        found = engine.read_parquet(path, numbered) if numbered else rows
        names = {name for name, _ in wanted.values()}
        found, values = taken_apart(found, found.columns, names, getitem, getitem, lambda array: array)
        chosen = {new: convert(as_written(values[name], name in uuids)) for new, (name, convert) in wanted.items()}
        if numbered:
            chosen[ROW] = found[ROW]
        return Rows(found.select(**chosen), unreadable=0)  # not held: the file is read faster than such a copy

    return TableFile(path, tuple(rows.columns), read, (path,), sample=partial(of_parquet, path))


SUFFIXES: dict[str, Opener] = {
    ".csv": open_csv,
    ".tsv": open_csv,
    ".parquet": _open_parquet,
    ".jsonl": open_json_lines,
    ".ndjson": open_json_lines,
    ".json": open_json_lines,
}
