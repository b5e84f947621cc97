"""Withheld items are ranked by their texts alone, among themselves and among all."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from some_runs import make_run
from torch.nn import functional as F

from ssna.data.dataset import HeldOut
from ssna.data.holdout import holdout_items
from ssna.report import result_groups, find, render, tables
from ssna.runs import RunRecord, train
from ssna.runs.cold_start import evaluate_cold
from ssna.text import encode

ITEMS = 30
SMALL = ["dim=8", "sequence.inner=8", "training.batch_size=64", "training.epochs=1"]


@pytest.fixture(scope="module")
def whole(random_data, distinct_texts):
    return random_data(seed=4, users=60, items=ITEMS, texts=distinct_texts(ITEMS))


@pytest.fixture(scope="module")
def rest(whole):
    return holdout_items(whole, 0.2, np.random.default_rng(0))[0]


@pytest.fixture(scope="module")
def cache(whole, language_model, tmp_path_factory):
    """Of the whole data: it has the withheld texts, too."""
    folder = tmp_path_factory.mktemp("cache")
    return encode(whole.texts, language_model, folder, dtype="fp32", device="cpu", quiet=True)[0]


@pytest.fixture(scope="module")
def run(rest, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "text-knn"
    return train(rest, cache, method="text-knn", settings=["dim=8"], out=folder, quiet=True), folder


def test_ranks_are_those_of_the_cosines_of_the_withheld_texts(run, rest):
    recommender = run[0].recommender.add_items(rest.withheld.texts)
    vectors = F.normalize(recommender.scorer.vectors, dim=-1).numpy()
    new = recommender.items.rows(rest.withheld.texts)
    for number, (history, target) in enumerate(zip(rest.withheld.histories, rest.withheld.targets, strict=True)):
        scores = vectors @ recommender.intents([history])[0]
        own = scores[recommender.items.rows([target])[0]] - 1e-4  # vectors of the cache are rounded to 16 bits
        seen = recommender.items.rows(history)
        others = np.setdiff1d(np.arange(1, len(vectors)), seen)
        assert run[0].cold.among[number] <= (scores[new] >= own).sum() <= run[0].cold.among[number] + 1
        assert run[0].cold.everywhere[number] <= (scores[others] >= own).sum() <= run[0].cold.everywhere[number] + 1


def test_the_record_and_the_ranks_are_kept_with_the_run(run, rest):
    trained, folder = run
    kept = pq.read_table(folder / "cold.parquet")
    assert tuple(kept["target"].to_pylist()) == rest.withheld.targets
    assert kept["rank_among"].to_numpy().tolist() == trained.cold.among.tolist()
    cold = RunRecord.read(folder).cold
    assert (cold["questions"], cold["withheld"], cold["items"]) == (len(kept), 6, len(rest.items) + 6)
    assert cold["among"]["R@10"] == 1.0  # of six items
    assert cold["all"]["R@10"] == (trained.cold.everywhere <= 10).mean()
    assert cold["all"]["median"] == np.median(trained.cold.everywhere)


def test_states_that_the_cache_lacks_are_read_from_the_texts(run, rest, language_model, tmp_path):
    narrow, _ = encode(rest.texts, language_model, tmp_path / "cache", dtype="fp32", device="cpu", quiet=True)
    found = evaluate_cold(run[0].recommender.scorer, rest, narrow)
    assert np.abs(found.everywhere - run[0].cold.everywhere).max() <= 1  # but for 16 bits


@pytest.mark.parametrize("method", ["popularity", "item-knn"])
def test_a_method_that_reads_no_text_puts_them_last(rest, method):
    cold = train(rest, method=method, quiet=True).cold
    assert (cold.among == cold.held_out).all()
    assert cold.figures()["all"]["R@10"] == 0


def test_a_method_that_cannot_add_an_item_has_no_figures(rest):
    trained = train(rest, method="ids", settings=SMALL, quiet=True)
    assert (trained.cold, trained.record.cold) == (None, None)


def test_data_without_questions_have_none(whole, rest):
    assert train(whole, method="popularity", quiet=True).record.cold is None
    silent = replace(rest, withheld=HeldOut({"new": "text"}, (), ()))
    assert train(silent, method="popularity", quiet=True).record.cold is None


def test_ids_of_a_history_that_the_data_lost_are_skipped(run, rest, cache):
    asked = [(*history, "lost") for history in rest.withheld.histories]
    longer = replace(rest, withheld=replace(rest.withheld, histories=tuple(asked)))
    found = evaluate_cold(run[0].recommender.scorer, longer, cache)
    assert found.everywhere.tolist() == run[0].cold.everywhere.tolist()


# the table


def figures(level: float, median: float) -> dict:
    return {"R@10": level, "N@10": level / 2, "R@50": 2 * level, "N@50": level, "median": median}


def cold(level: float, median: float) -> dict:
    ranks = {"among": figures(level, median), "all": figures(level / 4, 4 * median)}
    return {"questions": 700, "withheld": 100, "items": 1000, **ranks}


@pytest.fixture
def table(tmp_path):
    make_run(tmp_path / "good", cold=cold(0.4, 20))
    make_run(tmp_path / "bad", cold=cold(0.3, 40))
    make_run(tmp_path / "without")
    return tables("cold", result_groups(find([tmp_path])))[1]


def test_the_table_of_withheld_items_has_a_row_a_method_and_chance(table):
    rows = {row[0]: [cell and cell.value for cell in row[1:]] for row in table.rows}
    assert rows["good"] == [0.4, 0.2, 0.8, 20, 0.1, 0.05, 0.2, 80]
    assert rows["without"] == [None] * 8
    ndcg = (1 / np.log2(np.arange(2, 12))).sum()
    assert rows["chance"] == pytest.approx([0.1, ndcg / 100, 0.5, 50.5, 0.01, ndcg / 1000, 0.05, 500.5])


def test_the_best_of_the_withheld_items_have_high_recall_and_low_ranks(table):
    good = next(row for row in table.rows if row[0] == "good")
    assert {table.place(cell) for cell in good[1:]} == {1}
    chance = next(row for row in table.rows if row[0] == "chance")
    assert {table.place(cell) for cell in chance[1:]} == {None}


def test_what_is_no_better_than_chance_takes_no_place(tmp_path):
    make_run(tmp_path / "good", cold=cold(0.4, 20))
    make_run(tmp_path / "guess", cold=cold(0.005, 100) | {"all": figures(0.001, 600)})
    make_run(tmp_path / "better", cold=cold(0.5, 10))
    table = tables("cold", result_groups(find([tmp_path])))[1]
    places = {row[0]: {table.place(cell) for cell in row[1:]} for row in table.rows}
    assert places == {"better": {1}, "good": {2}, "guess": {None}, "chance": {None}}


def test_the_table_says_what_was_asked(table):
    assert "700 users chose one" in table.notes[0]
    assert "chance" in render([table], "md")


def test_without_withheld_items_there_is_no_such_table(tmp_path):
    make_run(tmp_path / "run")
    assert len(tables("cold", result_groups(find([tmp_path])))) == 1
