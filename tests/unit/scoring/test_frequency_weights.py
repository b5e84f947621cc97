"""Weights of an ensemble that follow the training events of an item."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ragged
from ssna.nn.sasrec import RecencyMean
from ssna.nn.whitening import Whitening
from ssna.scoring import Ensemble, FrequencyWeights, Member, PopularityScorer, VectorScorer, restore
from ssna.scoring.frequency import interpolation
from ssna.scoring.topk import top

KNOTS = np.array([0, 1, 7])
EVENTS = np.array([0, 0, 1, 3, 7, 100])  # padding, then five items
HISTORIES = Ragged.from_rows([[1, 2], [5], []])


def vector_scorer(rows: int = 6, seed: int = 0, width: int = 4) -> VectorScorer:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(rows, 3, generator=generator)
    vectors[0] = 0
    states = torch.randn(1, 9, width, generator=generator)
    return VectorScorer(vectors, RecencyMean(3, 0.5), 10, Whitening.fit(states, 3))


@pytest.fixture
def members() -> list[Member]:
    return [Member(vector_scorer(), 0.8, 0.5), Member(vector_scorer(seed=1), 0.2, 2.0)]


@pytest.fixture
def weights() -> FrequencyWeights:
    factors, bias = torch.tensor([[2.0, 1.0, 3.0], [0.0, 5.0, 1.0]]), torch.tensor([-1.0, 0.0, 0.5])
    return FrequencyWeights(KNOTS, factors, bias, EVENTS)


def test_between_knots_weights_are_linear_in_the_logarithm_of_events():
    found = interpolation(KNOTS, np.array([0, 1, 3, 7, 100]))
    expected = [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1], [0, 0, 1]]  # log2 of 2, 4 and 8
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))


def test_every_item_has_the_weights_and_the_bias_of_its_events(members, weights):
    found = Ensemble(members, weights).score(HISTORIES)[:, 1:]
    one, two = (member.scorer.score(HISTORIES)[:, 1:] / member.scale for member in members)
    factor_one, factor_two = torch.tensor([2.0, 1, 2, 3, 3]), torch.tensor([0.0, 5, 3, 1, 1])
    bias = torch.tensor([-1.0, 0, 0.25, 0.5, 0.5])
    expected = 0.8 * factor_one * one + 0.2 * factor_two * two + bias
    expected[2] = 0  # an empty history says nothing
    torch.testing.assert_close(found, expected)


def test_equal_weights_by_frequency_are_those_of_the_ensemble(members):
    plain = Ensemble(members).score(HISTORIES)
    torch.testing.assert_close(Ensemble(members, FrequencyWeights.equal(2, EVENTS)).score(HISTORIES), plain)


def test_an_exposure_raises_items_without_events_alone(members, weights):
    ensemble = Ensemble(members, weights)
    raised = ensemble.with_exposure(0.75)
    torch.testing.assert_close(raised.score(HISTORIES)[:2, 1], ensemble.score(HISTORIES)[:2, 1] + 0.75)
    assert torch.equal(raised.score(HISTORIES)[:, 2:], ensemble.score(HISTORIES)[:, 2:])
    less, expected = raised.with_exposure(0.25), ensemble.with_exposure(0.25)
    torch.testing.assert_close(less.score(HISTORIES), expected.score(HISTORIES))


@pytest.mark.parametrize("scorer", [PopularityScorer(torch.arange(6)), Ensemble([Member(vector_scorer(), 1, 1)])])
def test_without_weights_by_frequency_new_items_cannot_be_raised(scorer):
    assert scorer.with_exposure(0) is scorer
    with pytest.raises(ArtifactError, match="new_items must be 0") as refused:
        scorer.with_exposure(0.5)
    assert "so --new-items must be 0" in refused.value.for_command_line


def test_an_added_item_is_new_and_old_ones_keep_their_scores(members, weights):
    ensemble = Ensemble(members, weights)
    wider = ensemble.add_items(torch.randn(1, 2, 4, generator=torch.Generator().manual_seed(5)))
    assert wider.frequency is not None
    assert wider.frequency.events.tolist() == [*EVENTS, 0, 0]
    torch.testing.assert_close(wider.score(HISTORIES)[:, :6], ensemble.score(HISTORIES))
    raised = wider.with_exposure(1.0).score(HISTORIES) - wider.score(HISTORIES)
    assert raised[0, 1:].tolist() == pytest.approx([1, 0, 0, 0, 0, 1, 1], abs=1e-5)


def test_selected_items_keep_their_events(members, weights):
    ensemble, rows = Ensemble(members, weights), torch.tensor([0, 2, 3, 5])
    fewer = ensemble.select_items(rows)
    renamed = Ragged.from_rows([[1], [3]])
    torch.testing.assert_close(fewer.score(renamed), ensemble.score(Ragged.from_rows([[2], [5]]))[:, rows])


def test_it_is_restored_as_it_was_saved(members, weights):
    ensemble = Ensemble(members, weights)
    assert torch.equal(restore("ensemble", *ensemble.state()).score(HISTORIES), ensemble.score(HISTORIES))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("factors", torch.ones(1, 3)),
        ("factors", torch.ones(2, 2)),
        ("bias", torch.ones(2)),
        ("events", torch.zeros(5, dtype=torch.int64)),
        ("knots", torch.tensor([0, 7, 1])),
        ("knots", torch.tensor([1, 2, 3])),
    ],
)
def test_damaged_weights_by_frequency_are_a_named_error(members, weights, name, value):
    config, tensors = Ensemble(members, weights).state()
    with pytest.raises(ArtifactError, match="damaged"):
        restore("ensemble", config, tensors | {f"frequency.{name}": value})


def test_the_best_items_are_found_by_rough_scores_as_by_all_scores(weights):
    rows = 900
    events = np.random.default_rng(0).integers(0, 9, rows)
    members = [Member(vector_scorer(rows, seed), weight, 0.5) for seed, weight in ((3, 0.7), (4, 0.3))]
    ensemble = Ensemble(members, replace(weights, events=events))
    histories = Ragged.from_rows([[1, 2], [800], [5, 6, 7]])
    found, scores = top(ensemble, histories, 10)
    expected = ensemble.score(histories).sort(dim=1, descending=True, stable=True)
    np.testing.assert_array_equal(found, expected.indices[:, :10])
    np.testing.assert_allclose(scores, expected.values[:, :10], rtol=1e-5)
