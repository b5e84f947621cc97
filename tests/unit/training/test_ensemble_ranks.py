"""Ranks under many weights at once are those of a naive count, as far as a metric counts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna.core.ragged import Ragged
from ssna.data.dataset import Split
from ssna.scoring import topk
from ssna.scoring.topk import Tiles
from ssna.training import ensemble

MEMBERS, HISTORIES = 3, 7


def naive(scores: np.ndarray, weights: np.ndarray, split: Split, exclude_seen: bool) -> np.ndarray:
    found = []
    for weight in weights:
        total = sum(np.float32(w) * part for w, part in zip(weight, scores, strict=True) if w)
        ranks = []
        for row, (target, seen) in enumerate(zip(split.targets, split.seen, strict=True)):
            rivals = [item for item in range(1, scores.shape[2]) if not (exclude_seen and item in seen)]
            missed = exclude_seen and target in seen
            above = sum(total[row, item] >= total[row, target] for item in rivals if item != target)
            ranks.append(scores.shape[2] if missed else above + 1)
        found.append(ranks)
    return np.array(found)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([5, 40, 90, 130]),
    st.sampled_from([2, 5, 1000]),  # few values: many ties
    st.booleans(),
    st.booleans(),
)
def test_ranks_are_those_of_a_naive_count_up_to_the_last_that_counts(seed, items, values, exclude_seen, negative):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-values, values, (MEMBERS, HISTORIES, items + 1)).astype(np.float32)
    lengths = rng.integers(0, 4, HISTORIES)
    seen = Ragged.from_rows([rng.integers(1, items + 1, length) for length in lengths])
    split = Split("valid", np.arange(HISTORIES), seen, seen, rng.integers(1, items + 1, HISTORIES))
    weights, ends = ensemble._simplex(MEMBERS).astype(np.float32), None  # sums of whole numbers are exact
    if negative:
        weights = np.array([[1, 0, amount] for amount in (-3, -1, 0, 2, 4)], dtype=np.float32)
        ends = weights[[0, -1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topk, "TILE", 32)
        patch.setattr(ensemble, "BLOCK", 3)
        tiles = [Tiles(lambda rows, part=part: torch.from_numpy(part[:, rows].copy()), items + 1) for part in scores]
        found = ensemble._ranks(tiles, weights, split, exclude_seen, ends)
    expected = naive(scores, weights, split, exclude_seen)
    counted = expected <= min(ensemble.LAST, items)
    np.testing.assert_array_equal(found[counted], expected[counted])
    assert (found[~counted] > min(ensemble.LAST, items)).all()
