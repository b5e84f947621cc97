"""Every method, trained in earnest on a pattern that it can learn, recovers it; and what such a run promises."""

import pytest
import torch
from method_worlds import DIM, ITEMS, LEARN, READERS, SOME_ITEMS, World, pattern_of, run_of, settings_of

from ssna.core.ragged import Ragged
from ssna.evaluation.metrics import recall
from ssna.methods import METHODS, FittedMethod
from ssna.nn.sasrec import SASRec
from ssna.runs import Run
from ssna.scoring import VectorScorer

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def trained_runs(worlds: dict[str, World]) -> dict[str, Run]:
    """Every method, trained in earnest on a pattern that it can learn."""
    return {
        method: run_of(
            method,
            worlds[pattern_of(method)],
            "training.early_stopping_patience=60",
            "sequence.dropout=0.1",
            *LEARN.get(method, ("training.epochs=25",)),
        )
        for method in METHODS
    }


def test_a_pattern_is_recovered(method, trained_runs):
    ranks = trained_runs[method].evaluations["test"].ranks["exclude_seen"]
    assert recall(ranks, 10).mean() > 0.9


def test_a_pattern_is_recovered_far_better_than_by_chance(method, trained_runs):
    ranks = trained_runs[method].evaluations["test"].ranks["exclude_seen"]
    assert recall(ranks, 3).mean() > 0.7


def test_training_lowers_the_loss(trained, trained_runs):
    epochs = trained_runs[trained].record.epochs
    assert epochs[-1]["loss"] < 0.5 * epochs[0]["loss"]


def test_the_record_counts_the_parameters_that_learn(method, trained_runs, build, worlds):
    if isinstance(METHODS[method], FittedMethod):
        expected = 0
    else:
        sequence = SASRec(DIM, 10, **settings_of(method).sequence.model_dump())
        expected = sum(p.numel() for m in (build(method), sequence) for p in m.parameters() if p.requires_grad)
    assert trained_runs[method].record.trainable_parameters == expected


@pytest.mark.parametrize("reader", READERS)
def test_an_item_added_with_the_states_of_a_known_one_scores_as_that_one(reader, trained_runs, worlds):
    """So what is learned lies in the adapters, and the catalogue's own states are those of the cache."""
    scorer = trained_runs[reader].recommender.scorer
    if not isinstance(scorer, VectorScorer) or not scorer.layers:
        pytest.skip("its scores do not come from the text alone, or it adds no items")
    cache = worlds[pattern_of(reader)].cache
    states = torch.from_numpy(cache.top(len(cache.layers)))  # more than a scorer may read
    scores = scorer.add_items(states[:, SOME_ITEMS]).score(Ragged.from_rows([[2, 3], [9]]))
    torch.testing.assert_close(scores[:, ITEMS + 1 :], scores[:, SOME_ITEMS], rtol=1e-4, atol=1e-5)


def test_a_saved_run_answers_as_before(method, trained_runs, tmp_path):
    recommender = trained_runs[method].recommender
    recommender.save(tmp_path / "model")
    loaded = type(recommender).load(tmp_path / "model")
    histories = [["i1", "i2"], ["i7"], []]
    assert loaded.recommend(histories) == recommender.recommend(histories)
