"""Where rows are: a path, several paths, or a table in memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ssna.core.errors import SettingsError

_TABLES = "a path, a list of paths, or a table (pandas, Polars, Arrow, DuckDB, or whatever has an Arrow C stream)"


@dataclass(frozen=True, eq=False)
class Frame:
    """A table in memory.

    Attributes:
        argument: what the caller gave it as, ``logs`` or ``items``.
        data: has ``__arrow_c_stream__``.
    """

    argument: str
    data: Any

    @property
    def kind(self) -> str:
        """As in ``pandas DataFrame``."""
        return f"{package(self.data)} {type(self.data).__name__}"

    def __str__(self) -> str:
        return f"{self.argument} (a {self.kind})"


@dataclass(frozen=True)
class Files:
    """Several tables with the same columns, in any order."""

    paths: tuple[Path, ...]

    def __str__(self) -> str:
        more = len(self.paths) - 1
        return f"{self.paths[0]}{f' and {more} more' if more else ''}"


Place = Path | Frame | Files
"""Where rows are."""


def place_of(given: object, argument: str) -> Place:
    """What the caller gave as ``argument``. Raises :class:`SettingsError` if it is nothing to read rows from."""
    if isinstance(given, str | Path):
        return Path(given)
    if isinstance(given, list | tuple) and given and all(isinstance(path, str | Path) for path in given):
        return Files(tuple(Path(path) for path in given))
    if isinstance(given, pa.RecordBatch) or (hasattr(given, "__arrow_c_stream__") and not _is_column(given)):
        return Frame(argument, given)
    remedy = ""
    if hasattr(given, "collect"):
        remedy = "; collect it first"
    elif isinstance(given, dict):
        remedy = f"; make it one: pandas.DataFrame({argument})"
    raise SettingsError(f"{argument} takes {_TABLES}, not {_named(given)}{remedy}")


def _named(given: object) -> str:
    if isinstance(given, list | tuple):
        odd = next((value for value in given if not isinstance(value, str | Path)), None)
        return f"a list with {_named(odd)}" if given else "an empty list"
    if given is None or isinstance(given, int | float):
        return repr(given)
    return f"a {type(given).__name__}" if package(given) == "builtins" else f"a {package(given)} {type(given).__name__}"


def package(value: object) -> str:
    """The one that defines the type of ``value``."""
    return type(value).__module__.partition(".")[0].removeprefix("_")


def _is_column(value: object) -> bool:
    return type(value).__name__ in ("Series", "Array", "ChunkedArray")
