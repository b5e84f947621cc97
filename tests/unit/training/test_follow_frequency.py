"""How weights by frequency are chosen: against rankings of everything."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from small_training import SMALL

from ssna.evaluation.metrics import summary
from ssna.evaluation.ranking import ranks
from ssna.runs import train
from ssna.scoring import Ensemble, FrequencyWeights
from ssna.scoring.frequency import interpolation
from ssna.training import frequency as module
from ssna.training.frequency import NewQuestions, OldQuestions, _moved, follow_frequency

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("seeded")]
ITEMS = 40
MONITOR = "N@10+N@50"


@pytest.fixture(scope="module")
def world(random_data, make_cache, random_states):
    data = random_data(seed=4, users=120, items=ITEMS, longest=14)
    cache = make_cache(data, random_states(seed=4, items=ITEMS))
    settings = [
        *SMALL,
        "method.num_experts=2",
        "method.layers=2",
        "method.id_embeddings=true",
        "training.epochs=4",
        "training.learning_rate=0.02",
        'ensemble.members=["cease", "item-knn"]',
    ]
    ensemble = train(data, cache, method="ssna", settings=settings, quiet=True).recommender.scorer
    assert isinstance(ensemble, Ensemble)
    events = np.bincount(data.train.values, minlength=ITEMS + 1)
    return data, ensemble, events, torch.from_numpy(cache.top(ensemble.layers))


@pytest.fixture
def frequency(world):
    _, ensemble, events, _ = world
    generator = torch.Generator().manual_seed(0)
    equal = FrequencyWeights.equal(len(ensemble.members), events)
    factors = torch.rand(equal.factors.shape, generator=generator)
    return replace(equal, factors=factors, bias=torch.randn(len(equal.bias), generator=generator))


def test_moved_weights_rank_as_the_whole_sum_does(world, frequency):
    data, ensemble, _, _ = world
    old = OldQuestions(ensemble.members, data.valid, ITEMS, MONITOR)
    scores, members, knots = old.scores(frequency), *frequency.factors.shape
    shares = interpolation(frequency.knots, frequency.events)
    for row, knot, by in [
        (0, 2, 0.3),
        (members - 1, knots - 1, -0.2),
        (members, 3, 0.5),
        (members, 1, -0.7),
        (0, 3, -9),
    ]:
        moved, moved_by = _moved(frequency, row, knot, by)
        there = old.moved(scores, old.of_knot(shares[:, knot]), row, moved_by)
        for found, expected in zip(there, old.scores(moved), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (moved.factors >= 0).all()


def test_old_questions_rank_as_an_evaluation_does(world, frequency):
    data, ensemble, _, _ = world
    old = OldQuestions(ensemble.members, data.valid, ITEMS, MONITOR)
    expected = ranks(Ensemble(ensemble.members, frequency), data.valid)
    np.testing.assert_array_equal(old.ranks(frequency), expected)


def test_a_pool_of_few_items_holds_those_that_rank_first(world, frequency, monkeypatch):
    data, ensemble, events, _ = world
    monkeypatch.setattr(module, "OLD", 12)
    monkeypatch.setattr(module, "TILE", 7)
    equal = FrequencyWeights.equal(len(ensemble.members), events)
    found = OldQuestions(ensemble.members, data.valid, ITEMS, MONITOR).ranks(equal)
    expected = ranks(Ensemble(ensemble.members, equal), data.valid)
    first = expected <= 12
    np.testing.assert_array_equal(found[first], expected[first])
    assert (found[~first & (expected <= ITEMS)] == 13).all()


def by_hand(world, frequency, factors, bias):
    """The monitors of questions about old and about new items, one score at a time."""
    data, ensemble, _, h = world
    rng = np.random.default_rng(3)
    parts = rng.integers(0, module.PARTS, ITEMS + 1)
    own = parts[data.valid.targets]
    other = (own + rng.integers(1, module.PARTS, len(own))) % module.PARTS
    old = Ensemble(ensemble.members, frequency).score(data.valid.histories)
    scales = torch.tensor([member.weight / member.scale for member in ensemble.members])
    new = sum(
        float(factor * scale) * member.scorer.as_new(h)(data.valid.histories)(slice(0, ITEMS + 1))
        for factor, scale, member in zip(factors, scales, ensemble.members, strict=True)
    )
    values = []
    for wanted in (other, own):
        found = []
        for row, target in enumerate(data.valid.targets.tolist()):
            seen = set(data.valid.seen[row].tolist())
            scores = torch.where(torch.from_numpy(parts == wanted[row]), new[row] + bias, old[row])
            others = [item for item in range(1, ITEMS + 1) if item not in seen and item != target]
            rank = 1 + sum(bool(scores[item] >= scores[target]) for item in others)
            found.append(ITEMS + 1 if target in seen else rank)
        figures = summary(np.array(found), ITEMS)
        values.append(figures["N@10"] + figures["N@50"])
    return values


def test_questions_about_new_items_rank_as_by_hand(world, frequency):
    data, ensemble, _, h = world
    old = OldQuestions(ensemble.members, data.valid, ITEMS, MONITOR)
    new = NewQuestions(old, [member.scorer.as_new(h) for member in ensemble.members], frequency, seed=3)
    for factors, bias in (([1.0, 1.0, 1.0], 0.0), ([0.5, 2.0, 1.0], 0.7)):
        factors = torch.tensor(factors[: len(ensemble.members)])
        expected = by_hand(world, frequency, factors, bias)
        assert [new.old_value(factors, bias), new.new_value(factors, bias)] == pytest.approx(expected, abs=1e-6)


def test_more_exposure_costs_old_items_and_helps_new_ones(world):
    data, ensemble, events, h = world
    _, prices = follow_frequency(ensemble, data.valid, events, MONITOR, h, data.texts, 0.1, 0)
    assert [price.exposure for price in prices] == list(module.EXPOSURES)
    assert all(a.old >= b.old and a.new <= b.new for a, b in pairwise(prices))
    assert prices[0].old > prices[-1].old


@pytest.mark.parametrize("cost", [0.0, 0.05, 0.3])
def test_new_items_cost_old_ones_no_more_than_the_setting_allows(world, cost):
    data, ensemble, events, h = world
    weights, prices = follow_frequency(ensemble, data.valid, events, MONITOR, h, data.texts, cost, 0)
    old = OldQuestions(ensemble.members, data.valid, ITEMS, MONITOR)
    hidden = NewQuestions(old, [member.scorer.as_new(h) for member in ensemble.members], weights.frequency, 0)
    without = hidden.old_value(torch.ones(len(ensemble.members)), -torch.inf)
    assert prices[0].old >= (1 - cost) * without - 1e-9


def test_validation_is_ranked_no_worse_than_with_equal_weights(world):
    data, ensemble, events, _ = world
    weights, prices = follow_frequency(ensemble, data.valid, events, MONITOR, None, data.texts, 0.03, 0)
    assert prices == []

    def value(scorer):
        figures = summary(ranks(scorer, data.valid), ITEMS)
        return figures["N@10"] + figures["N@50"]

    assert value(weights) >= value(ensemble)


def test_the_same_seed_chooses_the_same_weights(world):
    data, ensemble, events, h = world
    one, two = (follow_frequency(ensemble, data.valid, events, MONITOR, h, data.texts, 0.03, 1)[0] for _ in range(2))
    assert torch.equal(one.frequency.factors, two.frequency.factors)
    assert torch.equal(one.frequency.bias, two.frequency.bias)


def test_old_items_may_keep_their_weights_while_new_ones_get_their_own(world):
    data, ensemble, events, h = world
    found, prices = follow_frequency(ensemble, data.valid, events, MONITOR, h, data.texts, 0.03, 0, old_items=False)
    frequency = found.frequency
    assert (frequency.factors[:, 1:] == 1).all()
    assert (frequency.bias[1:] == 0).all()
    assert prices[0].exposure == 0
    assert float(frequency.bias[0]) != 0
