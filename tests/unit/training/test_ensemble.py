"""A trained model in an ensemble: members, weights and repeat consumption."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from small_training import SMALL

from ssna.data.dataset import Dataset
from ssna.evaluation import evaluate
from ssna.evaluation.metrics import METRICS, monitored, ndcg
from ssna.runs import train
from ssna.scoring import Ensemble, Member, PopularityScorer, Scorer
from ssna.training import ensemble as ensemble_module
from ssna.training.ensemble import RARE, fit_ensemble, with_repeat_consumption

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("seeded")]
MONITOR = "N@10+N@50"


@pytest.fixture(scope="module")
def data(random_data: Callable[..., Dataset]) -> Dataset:
    return random_data(seed=2)


class RandomScorer(Scorer):
    """Scores that have nothing to do with the history, of a given size."""

    kind, layers, num_rows = "random", 0, 21

    def __init__(self, seed: int, size: float = 1.0) -> None:
        self.table = size * torch.from_numpy(np.random.default_rng(seed).normal(size=(31, 21)).astype(np.float32))

    def prepare(self, histories):
        scores = self.table[torch.tensor([int(row.sum()) % 31 for row in histories])]
        return lambda items: scores[:, items].clone()


class Oracle(Scorer):
    """Knows the validation targets, but for a share of the users."""

    kind, layers, num_rows = "oracle", 0, 21

    def __init__(self, data: Dataset) -> None:
        self.answers = {tuple(h.tolist()): t for h, t in zip(data.valid.histories, data.valid.targets, strict=True)}

    def prepare(self, histories):
        scores = torch.zeros(len(histories), 21)
        for row, history in enumerate(histories):
            scores[row, self.answers[tuple(history.tolist())]] = 1.0
        return lambda items: scores[:, items].clone()


def gain(scorer, data, monitor: str = MONITOR) -> float:
    return monitored(evaluate(scorer, data.valid).metrics()["exclude_seen"], monitor)


def scale_of(scorer, data) -> float:
    return scorer.score(data.valid.histories)[:, 1:].numpy().std()


def test_weights_of_an_ensemble_are_tenths_that_sum_to_one(data):
    ensemble = fit_ensemble(RandomScorer(0), [RandomScorer(1), RandomScorer(2)], data.valid, MONITOR)
    weights = [member.weight for member in ensemble.members]
    assert sum(weights) == pytest.approx(1)
    assert weights == [round(weight, 1) for weight in weights]


def test_the_model_keeps_a_weight_even_beside_an_oracle(data):
    model = RandomScorer(0)
    ensemble = fit_ensemble(model, [Oracle(data)], data.valid, MONITOR)
    assert ensemble.members[0].scorer is model
    assert ensemble.members[0].weight >= 0.1 - 1e-6


def test_a_member_that_does_not_help_is_left_out(data):
    oracle = Oracle(data)
    assert [member.scorer for member in fit_ensemble(oracle, [RandomScorer(0)], data.valid, MONITOR).members] == [
        oracle
    ]


def test_scales_are_the_standard_deviations_of_the_scores_on_validation(data):
    parts = (RandomScorer(0, 5.0), RandomScorer(1, 0.01))
    ensemble = fit_ensemble(parts[0], [parts[1]], data.valid, MONITOR)
    expected = {id(part): scale_of(part, data) for part in parts}
    assert {id(part.scorer): part.scale for part in ensemble.members} == pytest.approx(
        {id(part.scorer): expected[id(part.scorer)] for part in ensemble.members}, rel=1e-4
    )


@pytest.mark.parametrize("monitor", [MONITOR, "R@10", "N@10+R@10"])
@pytest.mark.parametrize("seed", range(4))
def test_the_weights_of_an_ensemble_are_the_best_tenths_by_the_monitor(data, seed, monitor):
    scorers = (RandomScorer(seed), RandomScorer(seed + 10), PopularityScorer(torch.arange(21.0)))
    scales = [scale_of(scorer, data) for scorer in scorers]
    gains = {
        tenths: gain(
            Ensemble([Member(s, w / 10, c) for s, w, c in zip(scorers, tenths, scales, strict=True)]), data, monitor
        )
        for tenths in product(range(11), repeat=3)
        if sum(tenths) == 10 and tenths[0] > 0
    }
    found = fit_ensemble(scorers[0], scorers[1:], data.valid, monitor)
    assert gain(found, data, monitor) == pytest.approx(max(gains.values()), abs=1e-6)


@pytest.mark.parametrize("cost", [0.05, 0.2, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_of_weights_within_the_cost_those_that_rank_rare_targets_best_are_taken(data, seed, cost):
    scorers = (RandomScorer(seed), RandomScorer(seed + 10))
    scales = [scale_of(scorer, data) for scorer in scorers]
    events = np.where(np.arange(21) % 3 == 0, RARE, RARE + 1)
    rare = data.valid.take(np.flatnonzero(events[data.valid.targets] <= RARE))
    found = fit_ensemble(scorers[0], scorers[1:], data.valid, MONITOR, events, cost)
    all_gains, rare_gains = [], []
    for tenths in range(10, 0, -1):
        members = zip(scorers, (tenths / 10, 1 - tenths / 10), scales, strict=True)
        mixed = Ensemble([Member(*member) for member in members])
        all_gains.append(gain(mixed, data))
        rare_gains.append(monitored(evaluate(mixed, rare).metrics()["exclude_seen"], MONITOR))
    within = [r for g, r in zip(all_gains, rare_gains, strict=True) if g >= max(all_gains) * (1 - cost) - 1e-9]
    assert monitored(evaluate(found, rare).metrics()["exclude_seen"], MONITOR) == pytest.approx(max(within), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_an_ensemble_is_never_worse_on_validation_than_the_model_alone(data, seed):
    assert (
        gain(fit_ensemble(RandomScorer(seed), [RandomScorer(seed + 10)], data.valid, MONITOR), data)
        >= gain(RandomScorer(seed), data) - 1e-9
    )


def test_of_many_validation_users_some_spread_evenly_decide_the_weights(data, monkeypatch):
    monkeypatch.setattr(ensemble_module, "SCORES", 4 * 21 + 5)
    monkeypatch.setattr(ensemble_module, "USERS", 1)
    sizes: list[int] = []

    class CountingScorer(RandomScorer):
        def prepare(self, histories):
            sizes.append(len(histories))
            return super().prepare(histories)

    fit_ensemble(CountingScorer(0), [], data.valid, MONITOR)
    assert set(sizes) == {4}


@pytest.mark.parametrize(("last", "sign"), [("new", -1), ("repeated", 1)])
def test_repeat_consumption_raises_or_lowers_seen_items_as_validation_has_it(make_data, last, sign):
    rng, rows = np.random.default_rng(3), []
    for _ in range(60):
        *history, other = rng.permutation(np.arange(1, 21))[:6].tolist()
        rows.append([*history, other if last == "new" else history[0], other])
    data = make_data(rows, 20)
    popularity = PopularityScorer(torch.from_numpy(np.bincount(data.train.values, minlength=21)))
    model = Ensemble([Member(popularity, 1.0, 2.0)])
    found = with_repeat_consumption(model, data.valid, 50, MONITOR)
    before, after = (evaluate(scorer, data.valid) for scorer in (model, found))
    np.testing.assert_array_equal(after.ranks["exclude_seen"], before.ranks["exclude_seen"])
    assert isinstance(found, Ensemble)
    assert np.sign(found.members[-1].weight) == sign
    assert ndcg(after.ranks["include_seen"], 10).mean() > ndcg(before.ranks["include_seen"], 10).mean()


def test_repeat_consumption_that_gains_nothing_leaves_the_model_as_it_is(make_data):
    data = make_data([[1, 2, 3, 4, 5]] * 4, 6)
    popularity = PopularityScorer(torch.tensor([0.0, 1, 2, 3, 9, 5, 6]))  # the validation target is the first already
    model = Ensemble([Member(popularity, 1.0, 1.0)])
    assert with_repeat_consumption(model, data.valid, 50, MONITOR) is model


def test_the_record_has_the_weight_of_repeat_consumption(make_data):
    rng = np.random.default_rng(4)
    data = make_data([rng.permutation(np.arange(1, 21))[:7].tolist() for _ in range(40)], 20)
    run = train(
        data,
        method="ids",
        settings=[*SMALL, 'ensemble.members=["popularity"]', "ensemble.repeat_consumption=true"],
        quiet=True,
    )
    assert run.record.ensemble["repeat-consumption"] < 0
    assert isinstance(run.recommender.scorer, Ensemble)


def test_test_targets_change_neither_training_nor_the_weights_of_the_ensemble(make_data, data):
    rows = [row.tolist() for row in data.histories.ragged]
    exchanged = [[*row[:-1], other[-1]] for row, other in zip(rows, [*rows[1:], rows[0]], strict=True)]
    other = make_data(exchanged, len(data.items), data.texts[1:], data.max_history)
    settings = [*SMALL, "distillation.teacher=ease", 'ensemble.members=["ease", "item-knn", "popularity"]']
    first, second = (train(d, method="ids", settings=settings, quiet=True) for d in (data, other))
    assert first.record.ensemble == second.record.ensemble
    assert first.record.valid == second.record.valid
    assert first.record.test != second.record.test


def test_the_record_has_the_weights_of_the_ensemble(data):
    run = train(data, method="ids", settings=[*SMALL, 'ensemble.members=["item-knn", "popularity"]'], quiet=True)
    assert set(run.record.ensemble) <= {"ids", "item-knn", "popularity"}
    assert sum(run.record.ensemble.values()) == pytest.approx(1)


@pytest.mark.parametrize("method", ["item-knn", "popularity"])
def test_a_training_free_method_ignores_the_ensemble_of_a_recipe(data, method):
    run = train(data, recipe="best", method=method, quiet=True)
    assert run.record.ensemble is None


def test_another_ensemble_monitor_chooses_other_weights(random_data):
    data, monitors = random_data(seed=3), ("R@10", "N@10", MONITOR)
    settings = [*SMALL, 'ensemble.members=["ease", "item-knn", "popularity"]']
    runs = {
        monitor: train(data, method="ids", settings=[*settings, f"ensemble.monitor={monitor}"], quiet=True)
        for monitor in monitors
    }
    assert len({tuple(run.record.ensemble.items()) for run in runs.values()}) == 3
    for monitor, run in runs.items():
        best = max(monitored(other.record.valid["exclude_seen"], monitor) for other in runs.values())
        assert monitored(run.record.valid["exclude_seen"], monitor) == best


def test_another_ensemble_monitor_chooses_another_repeat_consumption(make_data):
    """Of all targets a third was seen before; to rank these first costs hits of the others."""
    rng, rows = np.random.default_rng(3), []
    for user in range(60):
        *history, other = rng.permutation(np.arange(1, 21))[:12].tolist()
        rows.append([*history, history[0] if user % 3 == 0 else other, other])
    data = make_data(rows, 20)
    popularity = PopularityScorer(torch.from_numpy(np.bincount(data.train.values, minlength=21)))
    model = Ensemble([Member(popularity, 1.0, 2.0)])
    found = {name: with_repeat_consumption(model, data.valid, 50, name) for name in METRICS}
    gains = {
        name: {by: evaluate(one, data.valid).metrics()["include_seen"][name] for by, one in found.items()}
        for name in METRICS
    }
    assert len({one.members[-1].weight for one in found.values()}) > 1
    assert all(of_metric[name] == max(of_metric.values()) for name, of_metric in gains.items())
