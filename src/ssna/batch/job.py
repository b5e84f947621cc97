"""What a batch is asked, in which parts it is ranked, and what comes of it."""

from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from ssna.batch.results import ERROR
from ssna.core.rules import Rules


@dataclass(frozen=True)
class BatchReport:
    """What one start did.

    Attributes:
        histories: ranked now.
        reused: ranked by earlier starts.
        seconds: from the first history on, without loading the model.
        unanswerable: of those ranked now, how many have no item that the catalogue knows; popularity answers them.
        errors: of all, how many have an error in the place of items.
    """

    histories: int
    reused: int
    seconds: float
    unanswerable: int = 0
    errors: int = 0

    @property
    def speed(self) -> float:
        """Histories a second."""
        return self.histories / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Options:
    """Of :func:`recommend_all`, by the same names."""

    k: int
    exclude_seen: bool
    new_items: float
    rules: Rules
    strict: bool
    quiet: bool


class Part(NamedTuple):
    """Some histories, one after the other: the file that they go to, the first one's row, and how many."""

    number: int
    start: int
    rows: int


class Counts(NamedTuple):
    """Of histories that were ranked: all, those with an error, those that popularity answered."""

    histories: int = 0
    errors: int = 0
    unanswerable: int = 0

    @classmethod
    def of(cls, ranked: pa.Table) -> "Counts":
        """By the columns ``error`` and ``known`` of what :func:`rank_block` made."""
        errors = len(ranked) - ranked[ERROR].null_count
        return cls(len(ranked), errors, int((ranked["known"].to_numpy() == 0).sum()))
