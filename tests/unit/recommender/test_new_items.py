"""Raising items without training events, call by call."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse
import torch
from some_recommenders import ids

from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.ragged import Ragged
from ssna.recommender import Recommender
from ssna.recommender.explanation import explain
from ssna.recommender.ranking import RankRequest, rank
from ssna.scoring import Ensemble, FrequencyWeights, Member, NeighbourScorer


@pytest.fixture
def raising(fixed) -> Recommender:
    """Five items; whatever the history, ``a`` scores 5, ``b`` 4, ..., and ``d`` and ``e`` have no events."""
    scores = sparse.csr_array(np.tile(np.array([0, 5, 4, 3, 2, 1], dtype=np.float32), (6, 1)))
    weights = FrequencyWeights.equal(1, np.array([0, 9, 9, 9, 0, 0]))
    scorer = Ensemble([Member(NeighbourScorer(scores, window=1, decay=1.0), 1.0, 1.0)], weights)
    return replace(fixed, scorer=scorer, counts=np.array([0, 9, 9, 9, 0, 0]))


def test_new_items_are_raised_by_so_much(raising):
    assert ids(raising.recommend([["a"]])[0]) == ["b", "c", "d", "e"]
    assert ids(raising.recommend([["a"]], new_items=1.5)[0]) == ["b", "d", "c", "e"]
    assert ids(raising.recommend([["a"]], new_items=-10)[0]) == ["b", "c", "d", "e"]
    assert [s.score for s in raising.recommend([["a"]], new_items=1.5)[0].items] == [4, 3.5, 3, 2.5]


def test_popularity_ranks_where_a_history_says_nothing_however_far_new_items_are_raised(raising):
    assert ids(raising.recommend([[]], k=3, new_items=50)[0]) == ["a", "b", "c"]


def test_each_history_of_a_request_has_its_own(raising):
    request = replace(
        RankRequest.uniform(Ragged.from_rows([[1], [1], [1], []]), k=4), new_items=np.array([0.0, 1.5, 10.0, 10.0])
    )
    rows, _ = rank(raising.scorer, raising.counts, request)
    assert rows.tolist() == [[2, 3, 4, 5], [2, 4, 3, 5], [4, 5, 2, 3], [1, 2, 3, 4]]


@pytest.mark.parametrize("new_items", [float("nan"), float("inf"), -101])
def test_a_number_out_of_reach_is_an_error_in_words(raising, new_items):
    with pytest.raises(SsnaError, match=r"new_items is .*; give a number from -100 to 100"):
        raising.recommend([["a"]], new_items=new_items)


def test_a_model_that_does_not_tell_new_items_apart_says_so(fixed):
    with pytest.raises(ArtifactError, match=r"new_items must be 0; train with ensemble\.new_items=true"):
        fixed.recommend([["a"]], new_items=0.5)


def test_an_explanation_says_what_the_training_events_add(raising):
    weights = replace(raising.scorer.frequency, bias=torch.tensor([0.75, 0, 0, 0, 0, 0, 0]))
    raised = replace(raising, scorer=Ensemble(raising.scorer.members, weights))
    assert dict(explain(raised, ["a"], "d").members) == {"item neighbours": 2.0, "training events": 0.75}
    assert dict(explain(raised, ["a"], "b").members) == {"item neighbours": 4.0}
