"""Arrays in memory that processes share, with spare rows: more are appended in place, and another process sees them.

A block holds one array. Its rows never change once they are handed out, so that a shorter array of the same block stays
as it was. Pages that no row has reached take no memory.
"""

import mmap
import os
import tempfile
import weakref
from collections.abc import Callable
from itertools import count
from math import prod
from threading import RLock

import torch
from torch import Tensor

SPARE, LEAST_SPARE = 0.25, 16_384  # rows ahead: a share of those there are, and so many at least
AT_ONCE = 65_536  # rows that are worked out together


class Block(mmap.mmap):
    """Memory for the rows of one array. Whatever tensor lies in it keeps it mapped.

    Attributes:
        descriptor: of its memory, to be passed to another process.
        key: a number that no other block of this process has.
        used: rows that are handed out.
    """

    descriptor: int
    key: int
    used: int

    def __init__(self, *_: object) -> None:
        self.used, self._derived = 0, dict[str, tuple[Tensor, int]]()
        self.lock = RLock()

    @classmethod
    def map(cls, descriptor: int, size: int, key: int | None = None) -> "Block":
        """Of ``size`` bytes behind ``descriptor``, which is closed with it."""
        block = cls(descriptor, size)
        block.descriptor, block.key = descriptor, next(_KEYS) if key is None else key
        weakref.finalize(block, os.close, descriptor)
        return block

    @classmethod
    def allocate(cls, size: int) -> "Block":
        """New memory of ``size`` bytes."""
        descriptor = _memory()
        os.ftruncate(descriptor, size)
        return cls.map(descriptor, size)

    def tensor(self, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
        """The array's first rows, as a tensor in this memory."""
        found = torch.frombuffer(self, dtype=dtype, count=prod(shape)).view(shape)
        with self.lock:
            self.used = max(self.used, shape[0])
        _BLOCKS[found.data_ptr()] = self
        return found

    def derived(self, name: str, rows: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """See :func:`per_row`."""
        with self.lock:
            kept, known = self._derived.get(name, (None, 0))
            if known < len(rows):
                for start in range(known, len(rows), AT_ONCE):
                    part = function(rows[start : start + AT_ONCE])
                    if kept is None or len(kept) < len(rows):
                        capacity = len(self) // (rows[0].numel() * rows.element_size())
                        longer = part.new_empty((capacity, *part.shape[1:]))
                        if kept is not None:
                            longer[:start] = kept[:start]
                        kept = longer
                    kept[start : start + len(part)] = part
                assert kept is not None
                self._derived[name] = kept, len(rows)
        assert kept is not None
        return kept[: len(rows)]


_KEYS = count()
_BLOCKS: "weakref.WeakValueDictionary[int, Block]" = weakref.WeakValueDictionary()


def block_of(rows: Tensor) -> Block | None:
    """The block that ``rows``, an array from its first row on, lies in."""
    return _BLOCKS.get(rows.data_ptr()) if rows.device.type == "cpu" and rows.numel() and rows.is_contiguous() else None


def placed(rows: Tensor, more: int = 0) -> Tensor:
    """A copy of ``rows (n, ...)`` in a block of its own, with spare rows for ``more`` and others."""
    capacity = len(rows) + more + max(LEAST_SPARE, int(SPARE * len(rows)))
    block = Block.allocate(capacity * rows[0].numel() * rows.element_size())
    return block.tensor(rows.dtype, tuple(rows.shape)).copy_(rows)


def appended(rows: Tensor, more: Tensor) -> Tensor:
    """``rows (n, ...)``, then ``more (m, ...)``: in place where ``rows`` are all that a block has handed out.

    Only one thread at a time may append to what one block holds; reading goes on meanwhile.
    """
    if (block := block_of(rows)) is None or not len(more):
        return torch.cat([rows, more])
    size = len(rows) + len(more)
    if block.used != len(rows) or size * rows[0].numel() * rows.element_size() > len(block):
        longer = placed(rows, len(more))
        block = block_of(longer)
        assert block is not None
    whole = block.tensor(rows.dtype, (size, *rows.shape[1:]))
    whole[len(rows) :] = more
    return whole


def give_back(rows: Tensor) -> None:
    """Rows that were appended to ``rows`` are nobody's any more; the next ones take their place."""
    if (block := block_of(rows)) is not None:
        with block.lock:
            block.used = min(block.used, len(rows))
            for name, (kept, known) in block._derived.items():
                block._derived[name] = kept, min(known, len(rows))


def per_row(name: str, rows: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """``function (rows)``, which works row by row; where ``rows`` lie in a block, each row is worked out once only."""
    block = block_of(rows)
    return function(rows) if block is None else block.derived(name, rows, function)


def _memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("ssna", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
