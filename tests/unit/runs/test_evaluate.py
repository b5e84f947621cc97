"""Any recommender on any data set, by the metrics that are asked for."""

import numpy as np
import pandas as pd
import pytest
from ranx import Qrels
from ranx import Run as RanxRun
from ranx import evaluate as of_ranx

import ssna
from ssna.core.errors import SettingsError
from ssna.data.dataset import Dataset, IdMap
from ssna.evaluation import Evaluation, beyond_accuracy
from ssna.runs import evaluate, train
from ssna.runs.evaluation import figures
from ssna.runs.refit import on_all_events


@pytest.fixture(scope="module")
def data(random_data) -> Dataset:
    return random_data(seed=5, users=60, items=40)


@pytest.fixture(scope="module")
def run(data):
    settings = ("dim=8", "sequence.ffn_dim=8", "training.batch_size=16", "training.epochs=2")
    return train(data, method="ids", settings=settings, quiet=True)


def test_recall_ndcg_and_mrr_are_those_of_ranx(run, data):
    found = evaluate(run.recommender, data, k=[1, 5, 10], metrics=["recall", "ndcg", "mrr"])
    evaluation = run.evaluations["test"]
    for policy in ("exclude_seen", "include_seen"):
        lists, targets = evaluation.lists[policy], evaluation.targets
        qrels = Qrels({f"q{user}": {f"i{item}": 1} for user, item in enumerate(targets)})
        scored = {
            f"q{user}": {f"i{item}": 100 - place for place, item in enumerate(row) if item}
            for user, row in enumerate(lists)
        }
        for k in (1, 5, 10):
            names = [f"{name}@{k}" for name in ("recall", "ndcg", "mrr", "precision", "hit_rate", "map")]
            theirs = of_ranx(qrels, RanxRun(scored), names)
            assert found[policy][f"R@{k}"] == pytest.approx(theirs[f"recall@{k}"])
            assert found[policy][f"N@{k}"] == pytest.approx(theirs[f"ndcg@{k}"])
            assert found[policy][f"MRR@{k}"] == pytest.approx(theirs[f"mrr@{k}"])
            assert found[policy][f"R@{k}"] / k == pytest.approx(theirs[f"precision@{k}"])
            assert found[policy][f"R@{k}"] == pytest.approx(theirs[f"hit_rate@{k}"])
            assert found[policy][f"MRR@{k}"] == pytest.approx(theirs[f"map@{k}"])


@pytest.mark.parametrize("k", [1, 3, 10, 30])
def test_metrics_of_random_ranks_are_those_of_ranx(run, k):
    """Ranks beyond the catalogue are misses; a cut-off may be longer than the catalogue."""
    items, users = len(run.recommender.items), 500
    rng = np.random.default_rng(k)
    ranks = rng.integers(1, items + 2, users)
    lists = np.array([rng.permutation(np.arange(1, items + 1)) for _ in range(users)], dtype=np.int32)
    targets = np.array([row[rank - 1] if rank <= items else items + 1 for row, rank in zip(lists, ranks, strict=True)])
    found = Evaluation(
        targets,
        dict.fromkeys(("exclude_seen", "include_seen"), ranks),
        dict.fromkeys(("exclude_seen", "include_seen"), lists),
        items,
    )
    ours = figures(found, run.recommender, [k], ["recall", "ndcg", "mrr"])["exclude_seen"]
    qrels = Qrels({f"q{user}": {f"i{item}": 1} for user, item in enumerate(targets)})
    scored = {f"q{user}": {f"i{item}": 100 - place for place, item in enumerate(row)} for user, row in enumerate(lists)}
    theirs = of_ranx(qrels, RanxRun(scored), [f"recall@{k}", f"ndcg@{k}", f"mrr@{k}"])
    assert list(ours.values()) == pytest.approx([theirs[f"{name}@{k}"] for name in ("recall", "ndcg", "mrr")])


def test_the_figures_of_a_run_are_those_of_its_record(run, data):
    assert dict(evaluate(run.recommender, data)) == run.record.test
    assert dict(evaluate(run.recommender, data, split="valid")) == run.record.valid


def test_coverage_and_novelty_are_those_of_the_record_and_have_any_cut_off(run, data):
    found = evaluate(run.recommender, data, k=[3, 10], metrics=["coverage", "novelty", "popular"])
    lists = run.evaluations["test"].lists["exclude_seen"]
    assert {name: found["exclude_seen"][f"{name}@10"] for name in ("coverage", "novelty", "popular")} == {
        name: run.record.beyond["exclude_seen"][f"{name}@10"] for name in ("coverage", "novelty", "popular")
    }
    assert found["exclude_seen"]["coverage@3"] == len(np.unique(lists[:, :3])) / len(data.items)
    assert beyond_accuracy(lists, run.recommender.counts, 3)["novelty@3"] == found["exclude_seen"]["novelty@3"]


def test_diversity_is_one_minus_the_mean_cosine_of_two_items_of_a_list(run, data):
    found = evaluate(run.recommender, data, k=4, metrics=["diversity"])["exclude_seen"]["diversity@4"]
    vectors = run.recommender.scorer.directions.numpy()
    distances = []
    for row in run.evaluations["test"].lists["exclude_seen"][:, :4]:
        cosines = vectors[row] @ vectors[row].T
        distances.append(1 - cosines[np.triu_indices(4, k=1)].mean())
    assert found == pytest.approx(np.mean(distances), abs=1e-5)


def test_own_metrics_get_ranks_lists_and_the_cut_off(run, data):
    asked = []

    def first_is_popular(ranks, lists, k):
        asked.append((ranks.shape, lists.shape, k))
        return run.recommender.counts[lists[:, 0]] > 5

    found = evaluate(run.recommender, data, k=7, metrics=[first_is_popular, "recall"])
    assert asked == [((60,), (60, 7), 7)] * 2
    best = run.evaluations["test"].lists["include_seen"][:, 0]
    assert found["include_seen"]["first_is_popular@7"] == (run.recommender.counts[best] > 5).mean()


def test_items_are_told_by_their_ids_and_an_unknown_target_is_a_miss(run, data):
    order = np.random.default_rng(0).permutation(40)
    model = run.recommender
    row_of = np.argsort(order) + 1
    shuffled = Dataset(
        data.users,
        IdMap(tuple(data.items.external[k] for k in order)),
        ("", *(data.texts[k + 1] for k in order)),
        type(data.histories)(row_of[data.histories.items - 1].astype(np.int32), None, data.histories.offsets),
        data.max_history,
    )
    for policy, values in evaluate(model, data).items():
        assert evaluate(model, shuffled)[policy] == pytest.approx(values)
    gone = data.items.ids(np.unique(data.test.targets)[:5])
    left = model.remove_items(gone)
    share = np.isin(data.test.targets, data.items.rows(gone)).mean()
    assert 0 < share < 1
    found = evaluate(left, data, k=50)["include_seen"]["R@50"]
    assert found == pytest.approx(1 - share)


def test_figures_are_a_table(run, data):
    found = evaluate(run.recommender, data, k=10, metrics=["recall", "mrr"])
    frame = found.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame["metric"].tolist() == ["R@10", "MRR@10"]
    assert frame["exclude_seen"].tolist() == list(found["exclude_seen"].values())
    assert found.to_polars()["include_seen"].to_list() == list(found["include_seen"].values())
    assert repr(found).startswith("<Figures of 60 users>\nmetric")
    assert found._repr_html_().startswith("<table>")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"metrics": ["recal"]}, "there is no metric 'recal'; there are recall, .* did you mean recall"),
        ({"k": 0}, "k = 0: it must be a whole number of at least 1, or a list of such"),
        ({"k": [5, 2.5]}, "it must be a whole number of at least 1"),
        ({"k": "10"}, "it must be a whole number of at least 1"),
        ({"split": "train"}, "split = 'train': there are valid, test"),
    ],
)
def test_what_cannot_be_measured_is_an_error_in_words(run, data, wrong, message):
    with pytest.raises(SettingsError, match=message):
        evaluate(run.recommender, data, **wrong)


def test_what_is_no_recommender_and_data_without_questions_are_refused(run, data, random_data):
    with pytest.raises(SettingsError, match=r"takes a recommender .run.recommender. and what prepare"):
        ssna.evaluate(run, data)
    with pytest.raises(SettingsError, match="nobody to evaluate on"):
        ssna.evaluate(run.recommender, on_all_events(data))
    knn = train(data, method="item-knn", quiet=True).recommender
    with pytest.raises(SettingsError, match="diversity is told by item vectors"):
        ssna.evaluate(knn, data, metrics=["diversity"])
