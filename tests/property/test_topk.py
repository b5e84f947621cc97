"""The best few from nearly right scores are the best few: ties, worst errors, tiles and strands of any size."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna.core.errors import TrainingError
from ssna.core.ragged import Ragged
from ssna.scoring import Approximation, Scorer, candidates, topk


class GivenScorer(Scorer):
    """Scores ``(n, I + 1)`` and an approximation of them; the history ``[n]`` asks for row ``n - 1``."""

    def __init__(self, scores, rough, error, share=0.0):
        self.scores, self.rough, self.error, self.share = scores, rough, error, share

    @property
    def num_rows(self):
        return self.scores.shape[1]

    def prepare(self, histories):
        exact = self.scores[chosen(histories)]
        return lambda items: exact[:, items].clone()

    def approximate(self, histories):
        def rough(items):
            exact, near = (scores[chosen(histories)][:, items] for scores in (self.scores, self.rough))
            return lying(near.clone(), self.rough.stride(0) == 1), lambda owner, columns: exact[owner, columns]

        return Approximation(rough, self.error, self.share, 100.0)


def chosen(histories):
    return torch.from_numpy(histories.values.astype(np.int64)) - 1


@st.composite
def scorers(draw):
    users, rows = draw(st.integers(1, 5)), draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    error = draw(st.sampled_from([0.0, 1.0, 2.0]))
    levels, below, scale = (
        draw(st.integers(1, 12)),
        draw(st.sampled_from([0, 3, 20])),
        draw(st.sampled_from([1, 1.0049])),
    )
    scores = torch.from_numpy(scale * (rng.integers(0, levels, (users, rows)) - below)).float()
    rough = scores + torch.from_numpy(rng.choice([-error, 0.0, error], (users, rows))).float()
    by_item = draw(st.booleans())
    if not draw(st.booleans()):
        return GivenScorer(scores, lying(rough, by_item), error)
    return GivenScorer(scores, lying(rough.bfloat16(), by_item), error, 2**-8 / (1 - 2**-8))


def lying(scores, by_item):
    """The same, with the scores of an item side by side or those of a user."""
    return scores.T.contiguous().T if by_item else scores


@given(
    scorer=scorers(),
    k=st.integers(1, 8),
    tile=st.integers(1, 40),
    strand=st.integers(1, 9),
    many=st.sampled_from([1, 4, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_top_k_by_an_approximation_are_the_first_of_all_sorted_scores(scorer, k, tile, strand, many, seed):
    rng, users = np.random.default_rng(seed), len(scorer.scores)
    gone = [np.flatnonzero(rng.random(scorer.num_rows) < rng.choice([0.0, 0.3, 0.95])) for _ in range(users)]
    excluded = torch.from_numpy(rng.random(scorer.num_rows) < 0.1)
    with patch.multiple(topk, SHARE=0, TILE=tile, MANY=many), patch.object(candidates, "STRAND", strand):
        histories = Ragged.from_rows([[user + 1] for user in range(users)])
        rows, values = topk.top(scorer, histories, k, Ragged.from_rows(gone), excluded)
    left = scorer.scores.clone()
    left[:, 0] = left[:, excluded] = -torch.inf
    for user, items in enumerate(gone):
        left[user, torch.from_numpy(items)] = -torch.inf
    expected, order = left.sort(dim=1, descending=True, stable=True)
    order = order.masked_fill(expected == -torch.inf, 0)
    np.testing.assert_array_equal(values, expected[:, :k].numpy())
    np.testing.assert_array_equal(rows, order[:, :k].numpy())


def test_a_score_that_is_not_a_number_is_an_error():
    scores = torch.zeros(2, 64)
    scores[1, 17] = torch.nan
    scorer = GivenScorer(scores, scores.bfloat16(), 0.0)
    with patch.multiple(topk, SHARE=0, MANY=1), pytest.raises(TrainingError, match="not a number"):
        topk.top(scorer, Ragged.from_rows([[1], [2]]), 3)
