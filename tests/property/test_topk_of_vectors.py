"""The best few of vectors are those of a plain product, whatever ties and near-ties there are."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna.core.errors import TrainingError
from ssna.core.ragged import Ragged
from ssna.nn.sasrec import RecencyMean
from ssna.scoring import Ensemble, Member, RepeatConsumptionScorer, VectorScorer, topk
from ssna.scoring.topk import top

WIDTH = 32
KINDS = ("random", "duplicates", "near", "equal", "opposite", "zeros")


def vectors_of(kind: str, items: int, seed: int) -> torch.Tensor:
    """``(items + 1, WIDTH)``; row 0 zero. ``near``: further apart than fp32 rounds, nearer than bf16 tells."""
    rng = np.random.default_rng(seed)
    some = rng.standard_normal((items, WIDTH))
    one = rng.standard_normal(WIDTH)
    if kind == "duplicates":
        some = some[rng.integers(0, max(items // 4, 1), items)]
    elif kind == "near":
        some = one + 1e-3 * some
    elif kind == "equal":
        some[:] = one
    elif kind == "opposite":  # every score is negative, but one
        some = -one + 0.1 * some
        some[0] = one
    elif kind == "zeros":
        some[rng.random(items) < 0.5] = 0
    return torch.from_numpy(np.concatenate([np.zeros((1, WIDTH)), some])).float()


def naive(scorer: VectorScorer, histories: Ragged, gone: Ragged, excluded: torch.Tensor) -> torch.Tensor:
    """``(n, I + 1)`` scores of all items, in double precision; minus infinity where one may not be ranked."""
    users = torch.nn.functional.normalize(scorer.user_embeddings(histories), dim=-1).double()
    scores = users @ scorer.directions.double().T
    scores[:, 0] = scores[:, excluded] = -torch.inf
    scores[gone.row_of_value, gone.values] = -torch.inf
    return scores


@pytest.mark.slow
@given(
    kind=st.sampled_from(KINDS),
    items=st.integers(1, 300),
    k=st.sampled_from([1, 2, 5, 20, 500]),
    tile=st.sampled_from([16, 64, 150, 8192]),
    bf16=st.booleans(),
    left_out=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_top_k_of_vectors_is_that_of_all_scores(kind, items, k, tile, bf16, left_out, seed):
    scorer, rng = VectorScorer(vectors_of(kind, items, seed), RecencyMean(1, 1.0), 5), np.random.default_rng(seed)
    lists = [rng.integers(1, items + 1, size) for size in (1, 3, 0, 2, 1)]
    histories = Ragged.from_rows(lists)
    gone = Ragged.from_rows([np.unique(history) for history in lists])
    excluded = torch.from_numpy(rng.random(items + 1) < left_out)
    with (
        patch.multiple(topk, SHARE=0, TILE=tile),
        patch("ssna.scoring.vectors.multiplies_bf16", lambda: bf16),
    ):
        rows, values = top(scorer, histories, k, gone, excluded)
    scores = naive(scorer, histories, gone, excluded)
    expected = scores.sort(dim=1, descending=True).values[:, :k]
    np.testing.assert_allclose(values, expected, rtol=0, atol=2e-6)
    found = torch.from_numpy(values) > -torch.inf
    picked = torch.from_numpy(rows)
    assert (rows[~found.numpy()] == 0).all()
    np.testing.assert_allclose(scores.gather(1, picked)[found], expected[found], rtol=0, atol=2e-6)
    directions = scorer.directions.numpy()
    for user, (ranked, own) in enumerate(zip(rows, found.numpy(), strict=True)):
        listed = ranked[own].tolist()
        assert len(set(listed)) == len(listed)
        allowed = (scores[user] > -torch.inf).numpy()
        first = {directions[row].tobytes(): 0 for row in listed}
        for row in listed:  # of equal items the lower row comes first, and none of them is passed over
            same = np.flatnonzero(allowed & (directions == directions[row]).all(axis=1))
            key = directions[row].tobytes()
            assert row == same[first[key]]
            first[key] += 1


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("bf16", [True, False])
def test_a_vector_that_is_not_a_number_is_an_error_whatever_its_sign(monkeypatch, sign, bf16):
    monkeypatch.setattr(topk, "SHARE", 0)
    monkeypatch.setattr("ssna.scoring.vectors.multiplies_bf16", lambda: bf16)
    vectors = vectors_of("random", 64, 0)
    vectors[17] = torch.copysign(torch.tensor(torch.nan), torch.tensor(sign))
    with pytest.raises(TrainingError, match="not a number"):
        top(VectorScorer(vectors, RecencyMean(1, 1.0), 5), Ragged.from_rows([[1], [2]]), 3)


def test_scores_of_an_ensemble_are_as_far_off_as_its_members_may_be(monkeypatch):
    monkeypatch.setattr("ssna.scoring.vectors.multiplies_bf16", lambda: True)
    scorer = VectorScorer(vectors_of("near", 200, 3), RecencyMean(1, 1.0), 5)
    repeats, histories = RepeatConsumptionScorer(201, 5), Ragged.from_rows([[1], [2]])
    own = scorer.approximate(histories)
    both = Ensemble([Member(scorer, 2.0, 0.5), Member(repeats, 1.0, 1.0)]).approximate(histories)
    assert own.share > 0
    assert own.largest >= 1
    assert both is not None
    assert both.worst == pytest.approx(4 * (own.error + own.share * own.largest))
