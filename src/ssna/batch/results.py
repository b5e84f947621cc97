"""Recommendations on the disk: parts that are whole or absent, so that a killed run goes on behind the last one."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.files import read_json, write_aside, write_json
from ssna.core.locks import try_lock

FORMAT = 3
ERROR = "error"  # the column that says why a history has no items
MANIFEST, LOCK = "_batch.json", ".lock"  # readers of folders of Parquet skip names that begin so
KEY = b"ssna"

Identity = dict[str, Any]
Write = Callable[[pa.Table], None]


@dataclass(frozen=True)
class ResultFiles:
    """Where recommendations go.

    Attributes:
        out: a file ``*.parquet``, which is there once all parts are, or a folder of parts.
        identity: what the recommendations depend on (JSON values); kept, and compared when a run goes on.
    """

    out: Path
    identity: Identity

    @property
    def folder(self) -> Path:
        """Where parts lie."""
        return self.out.with_name(f".{self.out.name}.parts") if self.in_one_file else self.out

    @property
    def in_one_file(self) -> bool:
        """Whether parts are merged in the end."""
        return self.out.suffix == ".parquet" and not self.out.is_dir()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The only run that writes there.

        Raises:
            SsnaError: another one does, or what lies there belongs to something else.
        """
        if not self.in_one_file and self.out.exists() and not self.out.is_dir():
            raise SsnaError(f"{self.out} is a file; name a folder, or a file that ends in .parquet")
        if not self.in_one_file and self.out.is_dir() and not self._begun and any(self.out.iterdir()):
            raise SsnaError(f"{self.out} holds other files and is left alone; name another output folder")
        self._check_file()
        self.folder.mkdir(parents=True, exist_ok=True)
        with try_lock(self.folder / LOCK) as free:
            if not free:
                raise SsnaError(f"{self.out} is being written by another run; wait for it")
            self._begin()
            yield
            if self.finished:
                shutil.rmtree(self.folder)

    @property
    def finished(self) -> bool:
        """Whether the one file is there."""
        return self.in_one_file and self.out.exists()

    @property
    def _begun(self) -> bool:
        return (self.folder / MANIFEST).exists()

    def part(self, number: int) -> Path:
        """The file of a part, whether it is there or not."""
        return self.folder / f"part-{number:05d}.parquet"

    def has(self, number: int, rows: int) -> bool:
        """Whether a part is there. Raises :class:`ArtifactError` if it has not ``rows`` rows."""
        path = self.part(number)
        if not path.exists():
            return False
        try:
            found = pq.read_metadata(path).num_rows
        except (OSError, pa.ArrowException):
            found = -1
        if found != rows:
            raise ArtifactError(f"{path} is damaged; delete it, and the next start makes it anew")
        return True

    def errors(self, number: int) -> int:
        """How many histories of a part that is there have an error."""
        return count_errors(self.part(number))

    @contextmanager
    def new_part(self, number: int, schema: pa.Schema) -> Iterator[Write]:
        """A part to write tables to, each a row group; it is there once the block ends well."""
        with _table_writer(self.part(number), schema) as write:
            yield write

    def merge(self, parts: int) -> None:
        """Parts into the one file, row group by row group, if one was asked for."""
        if not self.in_one_file:
            return
        schema = pq.read_schema(self.part(0)).with_metadata({KEY: json.dumps(self.identity).encode()})
        with _table_writer(self.out, schema) as write:
            for number in range(parts):
                part = pq.ParquetFile(self.part(number))
                for group in range(part.num_row_groups):
                    write(part.read_row_group(group))

    def _check_file(self) -> None:
        if not self.finished:
            return
        try:
            kept = (pq.read_schema(self.out).metadata or {}).get(KEY)
            found = None if kept is None else json.loads(kept)
        except (OSError, ValueError, pa.ArrowException):
            found = None
        if not isinstance(found, dict):
            raise SsnaError(f"{self.out} is there, and ssna did not make it; name another output")
        self._compare(found)

    def _begin(self) -> None:
        if any(self.folder.glob("part-*.parquet")):
            self._compare(read_json(self.folder / MANIFEST, maker="ssna recommend"))
        elif not self.finished:
            write_json(self.folder / MANIFEST, self.identity)
        for leftover in self.folder.glob(".*.aside"):
            leftover.unlink()

    def _compare(self, found: Identity) -> None:
        if (given := found.get("format")) != FORMAT:
            raise SsnaError(f"{self.out} has format {given!r}, this ssna reads {FORMAT}; delete it, or name another")
        different = [name for name in self.identity if found.get(name) != self.identity[name]]
        if different:
            shown = {name: (found.get(name), self.identity[name]) for name in different}
            words = ", ".join(
                f"{name} {old!r} (asked for: {new!r})" if isinstance(new, int | float) else f"another {name}"
                for name, (old, new) in shown.items()
            )
            raise SsnaError(f"{self.out} was begun with {words}; name another output, or delete it")


def count_errors(path: Path) -> int:
    """Histories in ``path`` that have an error in the place of items."""
    column = pq.read_table(path, columns=[ERROR])[ERROR]
    return int(len(column) - column.null_count)


@contextmanager
def _table_writer(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with write_aside(path) as aside, pq.ParquetWriter(aside, schema, compression="zstd") as writer:
        yield lambda table: writer.write_table(table.cast(schema))
