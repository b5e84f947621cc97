"""Weights of an ensemble's members that follow how often an item occurs in training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssna.core.ragged import Ints

KNOTS = (0, 1, 3, 8, 20, 50, 150)


@dataclass(frozen=True, eq=False)
class FrequencyWeights:
    """What the weight of each member is multiplied by, and what is added to the score, by an item's training events.

    Between two knots both are linear in ``log2(1 + events)``; beyond the last one they are as there.

    Attributes:
        knots: ``(K,)`` numbers of events, ascending from 0, which is that of new items.
        factors: ``(M, K)`` of the members.
        bias: ``(K,)``.
        events: ``(I + 1,)`` training events of each item.
        exposure: added to the scores of new items, on top of their bias.
    """

    knots: Ints
    factors: Tensor
    bias: Tensor
    events: Ints
    exposure: float = 0.0

    @classmethod
    def equal(cls, members: int, events: Ints, knots: tuple[int, ...] = KNOTS) -> "FrequencyWeights":
        """The same for all items."""
        found = np.array(knots, dtype=np.int64)
        return cls(found, torch.ones(members, len(knots)), torch.zeros(len(knots)), events.astype(np.int64))

    def of_items(self) -> tuple[Tensor, Tensor]:
        """``(M, I + 1)`` factors and ``(I + 1,)`` bias of every item."""
        beyond = int(self.knots[-1])
        by_events = torch.cat([self.factors, self.bias[None]]) @ interpolation(self.knots, np.arange(beyond + 1)).T
        values = by_events[:, torch.from_numpy(np.minimum(self.events, beyond))]  # far fewer numbers than items
        return values[:-1], values[-1] + self.exposure * torch.from_numpy(self.events == 0)

    def expose(self, exposure: float) -> "FrequencyWeights":
        """With another ``exposure``."""
        return replace(self, exposure=exposure)

    def add_items(self, count: int) -> "FrequencyWeights":
        """With ``count`` more items, put last, that have no events."""
        return replace(self, events=np.pad(self.events, (0, count)))

    def select_items(self, rows: Tensor) -> "FrequencyWeights":
        """Of the item rows ``(n,)`` alone."""
        return replace(self, events=self.events[rows.numpy()])

    def tensors(self) -> dict[str, Tensor]:
        """What :meth:`from_tensors` takes; the exposure is not saved."""
        arrays = {"knots": torch.from_numpy(self.knots), "events": torch.from_numpy(self.events)}
        return arrays | {"factors": self.factors, "bias": self.bias}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "FrequencyWeights":
        """The inverse of :meth:`tensors`. Raises :class:`ValueError` where shapes do not fit."""
        knots, factors, bias = tensors["knots"], tensors["factors"], tensors["bias"]
        if bias.shape != knots.shape or factors.shape[1:] != knots.shape or int(knots[0]) or (knots.diff() <= 0).any():
            raise ValueError("weights by frequency do not fit their knots")
        return cls(knots.numpy(), factors, bias, tensors["events"].numpy())


def interpolation(knots: Ints, events: Ints) -> Tensor:
    """``(n, K)``: each row weights the two knots around ``events (n,)``; rows sum to 1."""
    place, events_ = np.log2(1.0 + knots), np.log2(1.0 + np.minimum(events, knots[-1]))
    after = np.searchsorted(place, events_, side="left").clip(min=1)
    share = torch.from_numpy((events_ - place[after - 1]) / (place[after] - place[after - 1])).float()
    above = torch.from_numpy(after.astype(np.int64))
    row = torch.arange(len(events))
    found = F.one_hot(above - 1, len(knots)).float() * (1 - share[:, None])
    found[row, above] += share
    return found
