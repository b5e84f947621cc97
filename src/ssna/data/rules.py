"""What ``prepare`` keeps."""

from dataclasses import dataclass
from typing import Literal

from ssna.data.limits import Limits
from ssna.data.split_points import MIN_EVENTS, SplitRule

MissingText = Literal["drop", "id", "fail"]
EngineName = Literal["duckdb", "spark"]
Dedup = Literal["none", "same", "first", "last"]


@dataclass(frozen=True)
class Rules:
    """What stays, as :func:`ssna.data.prepare` describes it."""

    min_user: int
    min_item: int
    max_history: int
    missing_text: MissingText
    dedup: Dedup
    split: SplitRule
    limits: Limits

    @property
    def least(self) -> int:
        """The fewest events of a user that the split can do with."""
        return MIN_EVENTS if self.split == "leave-one-out" else 1
