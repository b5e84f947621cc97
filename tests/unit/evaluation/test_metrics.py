"""Against ranx, an independent library, and by hand."""

import math

import numpy as np
import pytest
import ranx
import torch

from ssna.evaluation.metrics import ndcg, recall, summary
from ssna.scoring.topk import count_from

USERS, ITEMS = 40, 25


@pytest.fixture(scope="module")
def tied():
    """Scores with many ties, and a target a user."""
    rng = np.random.default_rng(5)
    return rng.integers(0, 8, (USERS, ITEMS)).astype(np.float32), rng.integers(0, ITEMS, USERS)


@pytest.mark.parametrize("k", [1, 3, 10, 25])
def test_recall_and_ndcg_agree_with_ranx_when_ties_count_against_the_target(tied, k):
    scores, targets = tied
    names = [f"i{item:02d}" for item in range(ITEMS)]
    run = {}
    for user in range(USERS):
        worst_last = sorted(range(ITEMS), key=lambda item: (-scores[user, item], item == targets[user]))
        run[f"u{user:02d}"] = {names[item]: float(ITEMS - place) for place, item in enumerate(worst_last)}
    qrels = ranx.Qrels({f"u{user:02d}": {names[targets[user]]: 1} for user in range(USERS)})
    expected = ranx.evaluate(qrels, ranx.Run(run), [f"recall@{k}", f"ndcg@{k}"])
    own = torch.from_numpy(scores[np.arange(USERS), targets])
    ranks = count_from(torch.from_numpy(scores), own).numpy()
    actual = summary(ranks, 10**6, (k,))
    assert actual == pytest.approx({f"R@{k}": expected[f"recall@{k}"], f"N@{k}": expected[f"ndcg@{k}"]})


def test_recall_is_one_up_to_rank_k():
    assert recall(np.array([1, 10, 11]), 10).tolist() == [1, 1, 0]


def test_ndcg_falls_with_the_logarithm_of_the_rank_and_is_zero_after_k():
    assert ndcg(np.array([1, 2, 3, 10, 11]), 10).tolist() == pytest.approx(
        [1, 1 / math.log2(3), 0.5, 1 / math.log2(11), 0]
    )


def test_the_summary_is_the_mean_over_users():
    assert summary(np.array([1, 20]), 100) == pytest.approx(
        {"R@10": 0.5, "N@10": 0.5, "R@50": 1.0, "N@50": 0.5 + 0.5 / math.log2(21)}
    )
