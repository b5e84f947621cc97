"""Linear weights between the texts of items, in closed form: what follows on what, told by texts alone.

The similarity of two items is a bilinear form of their vectors (Sharma et al., "Feature-based factorized Bilinear
Similarity Model for Cold-Start Top-n Item Recommendation", SDM 2015), fitted by ridge regression as EASE is.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import scipy.sparse as sparse
import torch
from pydantic import Field
from torch import Tensor

from ssna.core.ragged import Ints, Ragged
from ssna.data.dataset import Dataset
from ssna.methods.base import MethodSettings
from ssna.nn.sasrec import RecencyLinear
from ssna.nn.whitening import Whitening
from ssna.scoring import Scorer, VectorScorer
from ssna.text import LayerCache

AT_ONCE = 16_384  # events whose vectors are held at once
ENOUGH = 50_000  # items, spread evenly over the catalogue, that the whitening is fitted to


class TextLinearSettings(MethodSettings):
    """The text of an item as a linear function of the texts beside it in its history."""

    name: Literal["text-linear"] = "text-linear"
    ridge: float = Field(150.0, gt=0)
    """``lambda``: what a squared weight costs, where an error of prediction costs its square."""
    window: int = Field(10, ge=1)
    """Items before and behind an event that predict it; and latest items of a history that count."""
    decay: float = Field(0.7, gt=0, le=1)
    """Weight of an item, once for each step away."""
    layers: int = Field(6, ge=1)
    """Top layers of the language model whose states stand side by side; of fewer in the cache, all."""
    n_components: int = Field(2048, ge=1)
    """Whitened directions of these that are kept, 4 bytes an item each; half as many as there are items at the most:
    with as many as items, every text would be as far from every other."""
    max_events: int = Field(1_000_000, ge=1)
    """Training events that are learned from, spread evenly over the users, if there are more."""


def fit_text_linear(settings: TextLinearSettings, data: Dataset, cache: LayerCache | None, dim: int) -> Scorer:
    """``argmin_W sum |v_t - W^T sum_j decay^(|t - j| - 1) v_j|^2 + lambda |W|^2``; an item scores the cosine of its
    ``v`` and of the history's ``W^T sum_j decay^j v_j``."""
    assert cache is not None, "the run checks that a method that needs text gets a cache"
    h = torch.from_numpy(cache.top(cache.reach(min(settings.layers, len(cache.layers)))))
    a, rows, width = h.shape
    texts = np.arange(1, rows) if rows <= ENOUGH else np.linspace(1, rows - 1, ENOUGH).astype(np.int64)
    white = Whitening.fit(h[:, texts], min(settings.n_components, a * width, max(len(texts) // 2, 1)))
    vectors = white(h)
    vectors[0] = 0
    intent = RecencyLinear(settings.window, settings.decay, vectors.shape[1])
    intent.weight.copy_(_weights(settings, data.train, vectors))
    return VectorScorer(vectors, intent, data.max_history, white)


def _weights(settings: TextLinearSettings, train: Ragged, vectors: Tensor) -> Tensor:
    """``W (D, D)``, from what lies around to what lies there."""
    gram = settings.ridge * torch.eye(vectors.shape[1])
    cross = torch.zeros_like(gram)
    for around, events in _surroundings(train, len(vectors), settings):
        x = torch.from_numpy(around @ vectors.numpy())
        gram.addmm_(x.T, x)
        cross.addmm_(x.T, vectors[torch.from_numpy(events)])
    return torch.cholesky_solve(cross, torch.linalg.cholesky(gram))


def _surroundings(train: Ragged, rows: int, settings: TextLinearSettings) -> Iterator[tuple[sparse.csr_array, Ints]]:
    """Some events at a time: ``(n, rows)`` the weighted items around each, and ``(n,)`` the items that they are of."""
    place, length = train.position_of_value, train.lengths[train.row_of_value]
    chosen = np.flatnonzero(length > 1)
    if len(chosen) > settings.max_events:
        chosen = chosen[np.linspace(0, len(chosen) - 1, settings.max_events).astype(np.int64)]
    steps = [sign * distance for distance in range(1, settings.window + 1) for sign in (-1, 1)]
    for start in range(0, len(chosen), AT_ONCE):
        events = chosen[start : start + AT_ONCE]
        there = [
            np.flatnonzero((place[events] + step >= 0) & (place[events] + step < length[events])) for step in steps
        ]
        items = [train.values[events[rows_] + step] for rows_, step in zip(there, steps, strict=True)]
        weights = [
            np.full(len(rows_), settings.decay ** (abs(step) - 1), dtype=np.float32)
            for rows_, step in zip(there, steps, strict=True)
        ]
        places = (np.concatenate(there), np.concatenate(items))
        yield (
            sparse.csr_array((np.concatenate(weights), places), shape=(len(events), rows)),
            train.values[events].astype(np.int64),
        )
