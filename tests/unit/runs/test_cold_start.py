"""Held-out items are ranked by their texts alone, among themselves and among all."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from torch.nn import functional as F

from ssna.data.dataset import HeldOut
from ssna.data.holdout import holdout_items
from ssna.evaluation import evaluate
from ssna.runs import RunRecord, train
from ssna.runs.cold_start import evaluate_cold, shortfall
from ssna.text import ReadOptions, encode

pytestmark = pytest.mark.slow

ITEMS = 30
SMALL = ["dim=8", "sequence.ffn_dim=8", "training.batch_size=64", "training.epochs=1"]


@pytest.fixture(scope="module")
def whole(random_data, distinct_texts):
    return random_data(seed=4, users=60, items=ITEMS, texts=distinct_texts(ITEMS))


@pytest.fixture(scope="module")
def rest(whole):
    return holdout_items(whole, 0.2, np.random.default_rng(0))[0]


@pytest.fixture(scope="module")
def cache(whole, language_model, tmp_path_factory):
    """Of the whole data: it has the held-out texts, too."""
    folder = tmp_path_factory.mktemp("cache")
    return encode(whole.texts, language_model, folder, ReadOptions(dtype="fp32", device="cpu"), quiet=True)[0]


@pytest.fixture(scope="module")
def run(rest, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "text-knn"
    return train(rest, cache, method="text-knn", settings=["dim=8"], out=folder, quiet=True), folder


def test_cold_start_ranks_are_those_of_the_cosines_of_held_out_texts(run, rest):
    recommender = run[0].recommender.add_items(rest.held_out.texts)
    vectors = F.normalize(recommender.scorer.vectors, dim=-1).numpy()
    new = recommender.items.rows(rest.held_out.texts)
    for number, (history, target) in enumerate(zip(rest.held_out.histories, rest.held_out.targets, strict=True)):
        scores = vectors @ recommender.user_embeddings([history])[0]
        own = scores[recommender.items.rows([target])[0]] - 1e-4  # vectors of the cache are rounded to 16 bits
        seen = recommender.items.rows(history)
        others = np.setdiff1d(np.arange(1, len(vectors)), seen)
        assert run[0].cold.among[number] <= (scores[new] >= own).sum() <= run[0].cold.among[number] + 1
        assert run[0].cold.everywhere[number] <= (scores[others] >= own).sum() <= run[0].cold.everywhere[number] + 1


def test_cold_start_figures_and_ranks_are_kept_with_the_run(run, rest):
    trained, folder = run
    kept = pq.read_table(folder / "cold.parquet")
    assert tuple(kept["target"].to_pylist()) == rest.held_out.targets
    assert kept["rank_among"].to_numpy().tolist() == trained.cold.among.tolist()
    cold = RunRecord.read(folder).cold
    assert (cold["questions"], cold["held_out"], cold["items"]) == (len(kept), 6, len(rest.items) + 6)
    assert cold["among"]["R@10"] == 1.0  # of six items
    assert cold["all"]["R@10"] == (trained.cold.everywhere <= 10).mean()
    assert cold["all"]["median"] == np.median(trained.cold.everywhere)


def test_held_out_states_that_the_cache_lacks_are_read_from_the_texts(run, rest, language_model, tmp_path):
    narrow, _ = encode(
        rest.texts, language_model, tmp_path / "cache", ReadOptions(dtype="fp32", device="cpu"), quiet=True
    )
    found = evaluate_cold(run[0].recommender.scorer, rest, narrow)
    assert np.abs(found.everywhere - run[0].cold.everywhere).max() <= 1  # but for 16 bits


def test_old_items_are_ranked_with_the_new_ones_admitted(run, rest):
    trained, _ = run
    admitted = trained.recommender.add_items(rest.held_out.texts).scorer
    expected = evaluate(admitted, rest.test).ranks["exclude_seen"]
    assert np.abs(trained.cold.old - expected).max() <= 1  # the cache holds 16 bits a number
    figures = trained.record.cold["old"]
    assert figures["N@10"] <= trained.record.test["exclude_seen"]["N@10"]
    assert figures["R@10"] == (trained.cold.old <= 10).mean()


def test_weights_by_frequency_raise_new_items_as_far_as_they_may_cost(rest, cache):
    settings = [*SMALL, "method.num_experts=2", "method.layers=2", 'ensemble.members=["cease"]']
    plain = train(rest, cache, method="ssna", settings=settings, quiet=True)
    raised = [
        train(
            rest,
            cache,
            method="ssna",
            settings=[*settings, "ensemble.by_frequency=true", f"ensemble.new_items_cost={cost}"],
            quiet=True,
        )
        for cost in (0.0, 0.9)
    ]
    assert plain.record.new_items is None
    low, high = (run.record.new_items for run in raised)
    assert [price["exposure"] for price in low] == [0.0, 0.25, 0.5, 1.0, 2.0]
    assert low[0]["new"] < high[0]["new"]
    assert low[0]["old"] > high[0]["old"]
    assert np.median(raised[0].cold.everywhere) > np.median(raised[1].cold.everywhere)
    assert plain.record.cold["raised"] == []
    steps = raised[0].record.cold["raised"]
    assert [step["new_items"] for step in steps] == [0.25, 0.5, 1.0, 2.0]
    further = raised[0].recommender.scorer.with_exposure(2.0)
    figures = evaluate_cold(further, rest, cache).figures()
    for name in ("all", "old"):
        assert steps[-1][name].items() <= figures[name].items()


@pytest.mark.parametrize("method", ["popularity", "item-knn"])
def test_a_method_that_reads_no_text_ranks_held_out_items_last(rest, method):
    cold = train(rest, method=method, quiet=True).cold
    assert (cold.among == cold.held_out).all()
    assert cold.figures()["all"]["R@10"] == 0


def test_a_method_that_cannot_add_an_item_has_no_cold_start_figures(rest):
    trained = train(rest, method="ids", settings=SMALL, quiet=True)
    assert (trained.cold, trained.record.cold) == (None, None)


def test_data_without_questions_have_none(whole, rest):
    assert train(whole, method="popularity", quiet=True).record.cold is None
    silent = replace(rest, held_out=HeldOut({"new": "text"}, (), ()))
    assert train(silent, method="popularity", quiet=True).record.cold is None


def test_ids_of_a_history_that_the_data_lost_are_skipped(run, rest, cache):
    histories = [(*history, "lost") for history in rest.held_out.histories]
    longer = replace(rest, held_out=replace(rest.held_out, histories=tuple(histories)))
    found = evaluate_cold(run[0].recommender.scorer, longer, cache)
    assert found.everywhere.tolist() == run[0].cold.everywhere.tolist()


def cold_figures(among: float, everywhere: float) -> dict:
    return {"questions": 400, "held_out": 100, "items": 1000, "among": {"R@10": among}, "all": {"R@10": everywhere}}


@pytest.mark.parametrize(
    ("among", "everywhere", "words"),
    [
        (0.12, 0.5, "R@10 0.1200 among 100 new items, by chance 0.1000; the texts of these items do not say who"),
        (0.4, 0.019, "R@10 0.0190 among 1,000 items, by chance 0.0100; raise new items with"),
    ],
)
def test_new_items_that_are_found_no_better_than_by_chance_are_a_warning(among, everywhere, words):
    assert words in shortfall(cold_figures(among, everywhere))


def test_new_items_that_are_found_better_than_by_chance_are_none():
    assert shortfall(cold_figures(0.131, 0.021)) is None  # chance and two standard errors: .130 and .020
    assert shortfall(cold_figures(0.1, 0.1) | {"held_out": 10}) is None  # each of ten is among the first ten
