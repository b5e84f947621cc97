"""Rows of unequal length, packed: the one container for histories of items below the data layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def evenly_spaced(n: int, k: int) -> Ints:
    """``(k,)`` rows of ``n``, from the first to the last at even distances, rounded down; rising where ``k <= n``."""
    return np.linspace(0, n - 1, k).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Ragged:
    """``n`` rows of integers: row ``i`` is ``values[offsets[i]:offsets[i + 1]]``.

    Attributes:
        values: ``(m,)``, all rows one after the other.
        offsets: ``(n + 1,)``, from 0 to ``m``, never falling.
    """

    values: NDArray[np.integer]
    offsets: Ints

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or self.offsets.ndim != 1 or len(self.offsets) == 0:
            raise ValueError("values and offsets are one-dimensional, offsets has at least one entry")
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.values) or (np.diff(self.offsets) < 0).any():
            raise ValueError("offsets run from 0 to len(values) and never fall")

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int]] | Sequence[NDArray[np.integer]]) -> "Ragged":
        """Pack a list of rows."""
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        values = (
            np.concatenate([np.asarray(row, dtype=np.int64) for row in rows]) if len(rows) else np.zeros(0, np.int64)
        )
        return cls(values, offsets)

    def __repr__(self) -> str:
        return f"<Ragged: {len(self):,} rows of {len(self.values):,} values>"

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[np.integer]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[NDArray[np.integer]]:
        return (self[row] for row in range(len(self)))

    @cached_property
    def lengths(self) -> Ints:
        """``(n,)`` number of values in each row."""
        return np.diff(self.offsets)

    @cached_property
    def row_of_value(self) -> Ints:
        """``(m,)`` the row that each value stands in."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def position_of_value(self) -> Ints:
        """``(m,)`` each value's place in its row, from 0."""
        return np.arange(len(self.values)) - np.repeat(self.offsets[:-1], self.lengths)

    def cut(self, start: Ints, stop: Ints) -> "Ragged":
        """Each row cut to ``[start, stop)``, both ``(n,)`` positions within the row."""
        lengths = stop - start
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        row = self.offsets[:-1]
        # Marks of a byte each: with an index, long histories would take many times their own memory.
        edges = np.zeros(len(self.values) + 1, dtype=np.int8)
        edges[(row + start)[lengths > 0]] += 1
        edges[(row + stop)[lengths > 0]] -= 1
        return Ragged(self.values[np.cumsum(edges[:-1], dtype=np.int8).astype(bool)], offsets)

    def last(self, count: int) -> "Ragged":
        """Each row's last ``count`` values (all of them where a row has fewer)."""
        if (self.lengths <= count).all():
            return self
        return self.cut(np.maximum(self.lengths - count, 0), self.lengths)

    def take(self, rows: Ints | slice) -> "Ragged":
        """The rows named, in the order named."""
        chosen = np.arange(len(self))[rows]
        lengths = self.lengths[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        source = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Ragged(self.values[source], offsets)
