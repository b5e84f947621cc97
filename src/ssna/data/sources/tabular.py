"""Tables of any kind as one thing: named columns, whose rows are still to be read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ibis

from ssna.data.engine import ROW, Convert, Rows, reading
from ssna.data.sources.nested import head
from ssna.data.sources.sample import Sample
from ssna.data.sources.source import unknown_column

Wanted = Mapping[str, tuple[str, Convert]]  # new name -> column and conversion


@dataclass(frozen=True, eq=False)
class TableFile:
    """One file, or several with the same columns.

    Attributes:
        path: what the user named: a path, a table in memory, or several files.
        names: the columns.
        read: the rows of a selection, held by the engine; whether they are numbered.
        files: what is read.
        typed: whether the file tells numbers from text; a CSV does not.
        sample: the first rows, as Python reads them.
        headless: whether the names of the columns are not from the file.
        looks: whether kinds of values are to be told by their looks, as all that is read is text.
    """

    path: object
    names: tuple[str, ...]
    read: Callable[[Wanted, bool], Rows]
    files: tuple[Path, ...]
    typed: bool = True
    sample: Callable[[], Sample] = list
    headless: bool = False
    looks: bool = False

    def _leads_into(self, path: str) -> bool:
        return self.typed and head(path) != path and head(path) in self.names

    def select(self, wanted: Wanted, numbered: bool = False) -> Rows:
        """Read columns under new names; if ``numbered``, with the rows' places in the file as ``ROW``.

        Raises:
            DataError: a column is not there, or the file is damaged, is not UTF-8, or opens a quote that swallows the
                lines after it.
        """
        for column, _ in wanted.values():
            if column not in self.names and (
                not self.typed or head(column) not in self.names or head(column) == column
            ):
                raise unknown_column(self.path, column, self.names)
        with reading(self.path):
            return self.read(wanted, numbered)


def stacked(path: object, parts: Sequence[TableFile]) -> TableFile:
    """Several files as one. Each must have every column that is read; others may differ."""
    if len(parts) == 1:
        return parts[0]

    def read(wanted: Wanted, numbered: bool) -> Rows:
        rows = [part.select(wanted, numbered) for part in parts]
        if numbered:
            rows = _numbered_on(rows)
        examples = (row.example for row in rows if row.example)
        table = ibis.union(*(row.table for row in rows), distinct=False)
        return Rows(table, sum(row.unreadable for row in rows), next(examples, ""))

    files = tuple(file for part in parts for file in part.files)
    return TableFile(
        path,
        parts[0].names,
        read,
        files,
        typed=all(part.typed for part in parts),
        sample=parts[0].sample,
        headless=parts[0].headless,
        looks=any(part.looks or not part.typed for part in parts),
    )


def _numbered_on(rows: Sequence[Rows]) -> list[Rows]:
    """The rows of one file after those of the file before."""
    found, before = [], 0
    for each in rows:
        found.append(replace(each, table=each.table.mutate(**{ROW: each.table[ROW] + before})))
        before += each.table.count().to_pyarrow().as_py()
    return found
