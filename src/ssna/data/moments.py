"""Events looked at block by block, so that a log of any size takes little memory besides itself; and those of a user at
the same time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssna.core.ragged import Ints

_BLOCK = 1_000_000  # events


def blocks(offsets: Ints) -> Iterator[Ints]:
    """``offsets`` of whole histories, cut into pieces that overlap by one, each of about as many events as fit."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + _BLOCK, side="right")) - 1
        last = max(last, first + 1)
        yield offsets[first : last + 1]
        first = last


def parts(count: int) -> Iterator[slice]:
    """All of ``count`` events: an array of them as an index would be copied to twice its size at once."""
    return (slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))


def count_codes(codes: NDArray[np.integer]) -> Ints:
    """``(codes,)`` how often each code occurs, as :func:`numpy.bincount` counts, block by block."""
    counts = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    for part in parts(len(codes)):
        counts += np.bincount(codes[part], minlength=len(counts))
    return counts


@dataclass(frozen=True, eq=False)
class Moments:
    """Groups of events of one user at one time.

    Attributes:
        starts: ``(g,)`` the first event of each.
        sizes: ``(g,)`` its events.
        mixed: ``(g,)`` whether it holds several items, so that time alone does not settle their order.
    """

    starts: Ints
    sizes: Ints
    mixed: NDArray[np.bool_]

    @classmethod
    def of(cls, items: NDArray[np.integer], exact: Ints, offsets: Ints) -> "Moments":
        """Groups of ``items`` ``(m,)`` by their times ``exact`` ``(m,)``, in any unit, rising within each history.

        Args:
            offsets: of the histories, from 0 to ``m``; none is empty.
        """
        new = np.ones(len(exact), dtype=bool)
        np.not_equal(exact[1:], exact[:-1], out=new[1:])
        new[offsets[:-1]] = True
        starts = np.flatnonzero(new)
        sizes = np.diff(starts, append=len(exact))
        mixed = np.zeros(len(starts), dtype=bool)
        differ = np.flatnonzero((items[1:] != items[:-1]) & ~new[1:])  # from the next, at the same moment
        mixed[np.repeat(np.arange(len(starts)), sizes)[differ]] = True
        return cls(starts, sizes, mixed)

    def mixed_at(self, events: Ints) -> NDArray[np.bool_]:
        """``(n,)`` whether the group of each of ``events`` is mixed; these are places among all events."""
        return self.mixed[np.searchsorted(self.starts, events, side="right") - 1]
