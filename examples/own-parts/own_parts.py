"""A method and a metric that ssna finds by their entry points."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field

from ssna.data import Dataset
from ssna.methods import FittedMethod, MethodSettings
from ssna.scoring import PopularityScorer, Scorer
from ssna.text import LayerCache


class TrendingSettings(MethodSettings):
    """Popularity of late."""

    name: Literal["trending"] = "trending"
    latest: int = Field(3, ge=1)
    """So many of the last training events of each user count."""


def fit_trending(settings: TrendingSettings, data: Dataset, cache: LayerCache | None, dim: int) -> Scorer:
    """How often each item is among the latest of somebody: ``(I + 1,)`` counts."""
    late = data.train.last(settings.latest).values
    return PopularityScorer(torch.from_numpy(np.bincount(late, minlength=len(data.items) + 1)))


TRENDING = FittedMethod(TrendingSettings, fit_trending, needs_text=False)


def hit_in_first_half(ranks: np.ndarray, lists: np.ndarray, k: int) -> np.ndarray:
    """``(n,)``: whether the target is in the first half of the list."""
    return ranks <= k // 2
