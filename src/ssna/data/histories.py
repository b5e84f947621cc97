"""Whole histories, and the questions that a split asks about them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssna.core.errors import DataError
from ssna.core.ragged import Ints, Ragged

SplitName = Literal["valid", "test"]


@dataclass(frozen=True, eq=False)
class Histories:
    """Every user's events, uncut, oldest first. User ``u`` (from 0) owns ``items[offsets[u]:offsets[u + 1]]``.

    Attributes:
        items: ``(m,)`` int32 item rows, none of them 0.
        times: ``(m,)`` int64 seconds since 1970, or None where the source has no time.
        offsets: ``(U + 1,)`` int64.
    """

    items: NDArray[np.int32]
    times: NDArray[np.int64] | None
    offsets: Ints

    def __repr__(self) -> str:
        return f"<Histories of {len(self.offsets) - 1:,} users: {len(self.items):,} events>"

    def __post_init__(self) -> None:
        Ragged(self.items, self.offsets)
        if self.times is not None and self.times.shape != self.items.shape:
            raise DataError("times and items differ in length; the data folder is damaged")
        if len(self.items) and self.items.min() < 1:
            raise DataError("a history holds row 0, which is padding; the data folder is damaged")

    @cached_property
    def ragged(self) -> Ragged:
        """The same rows without times."""
        return Ragged(self.items, self.offsets)


@dataclass(frozen=True, eq=False)
class Split:
    """At most one question a user: given ``histories[i]`` of user ``users[i]``, find ``targets[i]``.

    Attributes:
        name: ``"valid"`` or ``"test"``.
        users: ``(n,)`` the evaluation users: rows from 0, rising.
        histories: ``n`` rows, each cut to the data set's ``max_history`` latest items.
        seen: ``n`` rows, the same histories uncut: what ``exclude_seen`` takes out of the ranking.
        targets: ``(n,)`` item rows.
    """

    name: SplitName
    users: Ints
    histories: Ragged
    seen: Ragged
    targets: Ints

    def __repr__(self) -> str:
        return f"<Split {self.name}: {len(self):,} users>"

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: Ints | slice) -> "Split":
        """Some of the questions, in the order named."""
        chosen = np.arange(len(self))[rows]
        histories, seen = self.histories.take(chosen), self.seen.take(chosen)
        return Split(self.name, self.users[chosen], histories, seen, self.targets[chosen])
