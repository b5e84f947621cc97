"""Histories in Parquet files, read some rows at a time."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ssna.batch.lines import from_number
from ssna.core.errors import DataError

USER, HISTORY = "user", "history"
BUFFER = 2**20  # bytes of a column read ahead: of a large row group not all is held


@dataclass(frozen=True)
class HistoryFiles:
    """One Parquet file, or all of a folder in the order of their names.

    Attributes:
        files: each with the columns ``user``, of any type, and ``history``, lists of item ids, oldest first.
        rows: of all files.
        user: the type of ``user``.
    """

    files: tuple[Path, ...]
    rows: int
    user: pa.DataType

    @classmethod
    def open(cls, path: Path) -> "HistoryFiles":
        """Look at the files' schemas. Raises :class:`DataError` if there is none, or one is something else."""
        if not path.exists():
            raise DataError(f"{path} does not exist; name a file or a folder of histories in Parquet")
        files = tuple(sorted(path.glob("*.parquet"))) if path.is_dir() else (path,)
        if not files:
            raise DataError(f"{path} holds no *.parquet file; name a file or a folder of histories in Parquet")
        rows, types = 0, set()
        for file in files:
            with _readable(file):
                found = pq.ParquetFile(file)
                rows += found.metadata.num_rows
                types.add(_user_type(found.schema_arrow))
        if len(types) > 1:
            raise DataError(f"{path}: the files differ in the type of {USER!r}; write them alike")
        return cls(files, rows, types.pop())

    def identity(self) -> list[str]:
        """A digest a file: equal exactly for equal files."""
        digests = []
        for path in self.files:
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        return digests

    def blocks(self, start: int, size: int) -> Iterator[pa.Table]:
        """The rows from ``start`` on, ``user`` and ``history (list<string>)``, at most ``size`` at a time."""
        for path in self.files:
            with _readable(path):
                file = pq.ParquetFile(path, buffer_size=BUFFER)
                groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
                first, start = _seek(groups, start)
                wanted = list(range(first, len(groups)))
                for batch in file.iter_batches(size, row_groups=wanted, columns=[USER, HISTORY]) if wanted else ():
                    left = batch.slice(start)
                    start = max(start - len(batch), 0)
                    if len(left):
                        yield _plain(left)


def _seek(groups: Sequence[int], start: int) -> tuple[int, int]:
    """The first row group to read of those with so many rows each, and the rows still to be skipped from it on."""
    for group, rows in enumerate(groups):
        if start < rows:
            return group, start
        start -= rows
    return len(groups), start


def _user_type(schema: pa.Schema) -> pa.DataType:
    for name in (USER, HISTORY):
        if name not in schema.names:
            raise ValueError(f"there is no column {name!r}, only {', '.join(schema.names[:10])}")
    kind = schema.field(HISTORY).type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise ValueError(f"{HISTORY!r} holds {kind}, not lists of item ids")
    return schema.field(USER).type


def _plain(batch: Any) -> pa.Table:
    return pa.table({USER: batch[USER], HISTORY: _as_text(batch[HISTORY])})


_STRINGS = pa.list_(pa.string())


def _as_text(lists: Any) -> Any:
    """Lists of strings. They need not be UTF-8; what is no id becomes null."""
    kind = lists.type.value_type
    if pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return pa.array([None if row is None else list(map(_id, row)) for row in lists.to_pylist()], _STRINGS)
    return pc.cast(lists, options=pc.CastOptions(target_type=_STRINGS, allow_invalid_utf8=True))


def _id(value: float | bool | None) -> str | None:
    found = from_number(value)
    return found if isinstance(found, str) else None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as cause:
        reason = " ".join(str(cause).split())[:200]
        needed = f"it needs a column {USER!r} and a column {HISTORY!r} of lists of item ids"
        raise DataError(f"{path} holds no histories that can be read: {reason}; {needed}") from None
