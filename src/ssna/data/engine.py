"""What reads and computes for the length of one ``prepare``; and the exceptions of others, turned into ours."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from ibis import Table
from ibis.common.exceptions import IbisError
from ibis.expr.types import Value

from ssna.core.errors import DataError, SettingsError, option
from ssna.data.error_hints import forbidden, not_data, not_utf8
from ssna.data.options import EngineName

_LONGEST_MESSAGE = 200

ROW = "row"
"""The column of the numbers of rows in their file, from 0, where they are asked for."""

Convert = Callable[[Value], Value]

# Name -> the module with its ``opened(master)``; each loads only when it is asked for.
_ENGINES: dict[EngineName, str] = {"duckdb": "ssna.data.engines.duck", "spark": "ssna.data.engines.spark"}


@dataclass(frozen=True)
class Layout:
    """How a file of text is made of cells; ``quote`` is empty where a quote is a character like any other."""

    cells: int
    delimiter: str
    quote: str
    header: bool
    skip: int = 0  # lines before the header


@dataclass(frozen=True, eq=False)
class Rows:
    """What is read of a file: a table, how many rows could not be taken apart, and one of these if it is known."""

    table: Table
    unreadable: int
    example: str = ""


@dataclass(frozen=True, eq=False)
class JsonLines:
    """One JSON object a line.

    Attributes:
        names: the keys of all objects, in alphabetical order.
        texts: new name -> key, to text (materialized); lines that are no object are unreadable. Lists are joined, but
            for those of the new names that are given besides: their lists stay JSON. Last: whether rows are numbered.
    """

    names: tuple[str, ...]
    texts: Callable[[Mapping[str, str], Set[str], bool], Rows]


class Engine(ABC):
    """The tables of one ``prepare``. Everything that is more than an Ibis expression happens here.

    Expressions are the same for all engines, and so are their results, to the last bit. What Ibis writes differently
    for two engines goes by the functions of :mod:`ssna.data.functions`, which each engine defines.
    """

    def __init__(self, connection: Any, folder: Path) -> None:
        self.connection = connection
        self.folder = folder  # for files on the way; gone with the engine
        self._made = 0

    @abstractmethod
    def materialize(self, expression: Table) -> Table:
        """Run ``expression`` and keep its rows."""

    @abstractmethod
    def release(self, table: Table) -> None:
        """Forget rows that :meth:`materialize` or :meth:`import_arrow` kept."""

    @abstractmethod
    def import_arrow(self, table: pa.Table | pa.RecordBatchReader) -> Table:
        """Rows made in Python; those of a reader can be read once."""

    @abstractmethod
    def read_parquet(self, path: Path, numbered: bool = False) -> Table:
        """The rows of one Parquet file, not materialized; with their numbers as ``ROW`` if they are ``numbered``."""

    @abstractmethod
    def select_cells(
        self, path: Path, layout: Layout, wanted: Mapping[str, tuple[int, Convert]], numbered: bool = False
    ) -> Rows:
        """Cells of a file of text: new name -> place and conversion, to a table (materialized), with ``ROW`` if they
        are ``numbered``."""

    @abstractmethod
    def read_json(self, path: Path) -> JsonLines:
        """A file of JSON lines."""

    @abstractmethod
    def batches(self, expression: Table) -> Iterator[pa.RecordBatch]:
        """The rows of ``expression``, some at a time."""

    def new_name(self) -> str:
        """A table name that is not in use."""
        self._made += 1
        return f"ssna_{self._made}"


def open_engine(name: EngineName = "duckdb", master: str | None = None) -> AbstractContextManager[Engine]:
    """An engine by its name, whose clock is UTC; ``master`` is where Spark runs.

    Raises:
        SettingsError: the engine is not installed, or cannot be reached; or ``TMPDIR`` is no place for its files.
    """
    _require_temporary_folder()
    try:
        module = import_module(_ENGINES[name])
    except ImportError as cause:
        raise SettingsError(
            f"{option('engine', name)} cannot be loaded ({cause}); install it: pip install 'ssna[{name}]'"
        ) from None
    opened: AbstractContextManager[Engine] = module.opened(master)
    return opened


def _require_temporary_folder() -> None:
    """Python itself would pass over such a ``TMPDIR``, and fill another disk."""
    named = os.environ.get("TMPDIR")
    if named and not (Path(named).is_dir() and os.access(named, os.W_OK | os.X_OK)):
        raise SettingsError(f"TMPDIR = {named!r} is no folder that may be written; make it, or name another")


@contextmanager
def reading(place: object) -> Iterator[None]:
    """Whatever goes wrong inside is :class:`DataError` with ``place``, a path or a table, as the culprit; so is a file
    that is a page, a pointer or an archive in the place of data."""
    path = Path(str(place))
    with engine_errors(f"{place} cannot be read; is it whole, and what its name says?"):
        try:
            if path.is_file() and (complaint := not_data(path)) is not None:
                raise DataError(complaint)
            yield
        except UnicodeDecodeError as cause:
            raise DataError(not_utf8(path, cause.object)) from None
        except (OSError, duckdb.IOException) as cause:
            if str(path) not in str(cause) or "Permission denied" not in str(cause):
                raise
            raise DataError(forbidden(path)) from None


@contextmanager
def engine_errors(complaint: str) -> Iterator[None]:
    """Failures of the engine, of Arrow and of the disk become :class:`DataError`: the complaint, and what they say."""
    try:
        yield
    except (duckdb.Error, IbisError, pa.ArrowException, OSError, EOFError) as cause:
        raise DataError(f"{complaint} ({in_one_line(cause)})") from None
    except RuntimeError as cause:
        if str(cause) == "Query interrupted":  # what DuckDB makes of Ctrl-C
            raise KeyboardInterrupt from None
        raise
    except Exception as cause:
        # Spark's own are known by where they come from: to import them takes longer than all else.
        if type(cause).__module__.partition(".")[0] not in ("pyspark", "py4j"):
            raise
        raise DataError(f"{complaint} ({in_one_line(cause)})") from None


def in_one_line(cause: object) -> str:
    """The first paragraph of what an exception says, cut if it is long."""
    message = " ".join(str(cause).split("\n\n")[0].split())
    return message[:_LONGEST_MESSAGE] + "…" if len(message) > _LONGEST_MESSAGE else message
