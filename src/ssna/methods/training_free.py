"""Scorers that need no training, and are hard to beat: popularity, item-kNN and text-kNN."""

from typing import Literal

import numpy as np
import scipy.sparse as sparse
import torch
from pydantic import Field

from ssna.core.ragged import Ragged
from ssna.data.dataset import Dataset
from ssna.methods.base import MethodSettings
from ssna.nn.sasrec import RecencyMean
from ssna.nn.whitening import Whitening
from ssna.scoring import NeighbourScorer, PopularityScorer, Scorer, VectorScorer
from ssna.text import LayerCache

FOLD = 4_000_000  # pairs held at once
MAX_DISTANCE = 1000  # events of a user further apart do not co-occur: bounds the work on endless histories
SHRINKAGE = 5.0  # added to an item's total co-occurrence before its square root divides the item's column


class PopularitySettings(MethodSettings):
    """Nothing to set."""

    name: Literal["popularity"] = "popularity"


class ItemKnnSettings(MethodSettings):
    """Co-occurrence within a user's training events, ``1 / distance``, both ways."""

    name: Literal["item-knn"] = "item-knn"
    window: int = Field(10, ge=1)
    """Latest items of a history that vote."""
    decay: float = Field(0.6, gt=0, le=1)
    """Weight of a vote, once for each step back in time."""


class TextKnnSettings(MethodSettings):
    """Cosine of PCA-whitened vectors of the top layer."""

    name: Literal["text-knn"] = "text-knn"
    window: int = Field(5, ge=1)
    """Latest items of a history that are averaged."""
    decay: float = Field(0.5, gt=0, le=1)
    """Weight of an item, once for each step back in time."""


def fit_popularity(settings: PopularitySettings, data: Dataset, cache: LayerCache | None, dim: int) -> Scorer:
    """The number of each item's training events."""
    return PopularityScorer(torch.from_numpy(np.bincount(data.train.values, minlength=len(data.items) + 1)))


def fit_item_knn(settings: ItemKnnSettings, data: Dataset, cache: LayerCache | None, dim: int) -> Scorer:
    """Co-occurrence over the training events, each column divided by the square root of its shrunken sum."""
    together = co_occurrence(data.train, len(data.items))
    column = np.asarray(together.sum(axis=0)).ravel()
    scaled = together @ sparse.diags_array((1 / np.sqrt(column + SHRINKAGE)).astype(np.float32))
    return NeighbourScorer(sparse.csr_array(scaled), settings.window, settings.decay)


def co_occurrence(train: Ragged, items: int) -> sparse.csr_array:
    """``(items + 1, items + 1)`` symmetric: the sum over users and pairs of events of ``1 / distance``.

    Pairs more than ``MAX_DISTANCE`` events apart are left out. A few million pairs at a time go into the matrix.
    """
    shape = (items + 1, items + 1)
    total = sparse.csr_array(shape, dtype=np.float32)
    later, earlier, weights, waiting = [], [], [], 0
    longest = min(MAX_DISTANCE, int(train.lengths.max()) - 1)
    for distance in range(1, longest + 1):
        places = np.flatnonzero(train.position_of_value >= distance)
        later.append(train.values[places])
        earlier.append(train.values[places - distance])
        weights.append(np.full(len(places), 1 / distance, dtype=np.float32))
        waiting += len(places)
        if waiting > FOLD or distance == longest:
            pairs = (np.concatenate(later), np.concatenate(earlier))
            total = total + sparse.csr_array(sparse.coo_array((np.concatenate(weights), pairs), shape=shape))
            later, earlier, weights, waiting = [], [], [], 0
    return sparse.csr_array(total + total.T)


def fit_text_knn(settings: TextKnnSettings, data: Dataset, cache: LayerCache | None, dim: int) -> Scorer:
    """Whitened vectors of the top layer, at unit length, averaged with a decay over the latest items."""
    assert cache is not None, "the run checks that a method that needs text gets a cache"
    h = torch.from_numpy(cache.top(cache.reach(1)))
    white = Whitening.fit(h[:, 1:], dim)
    vectors = white(h)
    vectors[0] = 0
    return VectorScorer(vectors, RecencyMean(settings.window, settings.decay), data.max_history, white)
