"""From vectors alone to recommendations: no language model, whatever the method."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from given_vectors import ITEMS, some_vectors, with_equal_texts
from torch.nn import functional as F

from ssna.core.errors import CacheError, SettingsError
from ssna.data.holdout import holdout_items
from ssna.runs import Run, encode, train
from ssna.text.cache import LayerCache

pytestmark = pytest.mark.slow

SMALL = ["dim=8", "sequence.ffn_dim=8", "training.batch_size=64", "training.epochs=1"]
METHODS = {
    "ssna": [*SMALL, "method.num_experts=2", "method.init=whitened", 'ensemble.members=["cease"]'],
    "tmlp": SMALL,
    "tmoe": [*SMALL, "method.num_experts=2"],
    "text-knn": ["dim=8"],
    "text-linear": [],
    "cease": [],
    "cease-words": [],
}
VECTORS = some_vectors()


@pytest.fixture(autouse=True)
def no_language_model(monkeypatch):
    """As if transformers were not installed."""
    monkeypatch.setitem(sys.modules, "transformers", None)


@pytest.fixture(scope="module")
def data(random_data):
    return with_equal_texts(random_data(seed=8, users=60, items=ITEMS))


@pytest.fixture(scope="module")
def cache(data, tmp_path_factory):
    return encode(data, vectors=VECTORS, out=tmp_path_factory.mktemp("c") / "cache", quiet=True)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_that_reads_texts_reads_vectors(data, cache, tmp_path, method):
    run = train(data, cache, method=method, settings=METHODS[method], out=tmp_path / "run", quiet=True)
    recommender = Run.load(tmp_path / "run").recommender
    assert len(recommender.recommend([["i1", "i2"]], k=5)[0].items) == 5
    assert run.record.cache["sources"] == [{"name": "vectors", "layers": 1, "width": 6, "stored": "f32", "scale": 1.0}]


@pytest.mark.parametrize("recipe", ["best", "fast", "text"])
def test_recipes_run_on_vectors_whatever_layers_they_ask_for(data, cache, recipe):
    settings = [*SMALL, "sequence.num_layers=1", *(["loss.num_negatives=5"] if recipe == "text" else ())]
    run = train(data, cache, recipe=recipe, settings=settings, quiet=True)
    assert run.record.test


def test_items_of_one_text_with_unlike_vectors_stay_two(data, cache):
    vectors = train(data, cache, method="text-knn", settings=["dim=6"], quiet=True).recommender.scorer.vectors
    cosines = F.normalize(vectors[1:], dim=-1) @ F.normalize(vectors[1:], dim=-1).T
    assert (cosines - np.eye(ITEMS, dtype=np.float32)).max() < 0.999


@pytest.mark.parametrize("method", ["tmlp", "tmoe", "text-knn", "cease", "text-linear", "ssna"])
def test_a_second_source_changes_what_each_method_learns(data, tmp_path, method):
    def scores(second):
        sources = {"title": VECTORS, "image": some_vectors(width=9, seed=second)}
        cache = encode(data, vectors=sources, out=tmp_path / f"{second}", quiet=True)
        run = train(data, cache, method=method, settings=METHODS[method], quiet=True)
        return run.recommender.scorer.score(data.test.histories)

    assert not np.allclose(scores(1), scores(2))


@pytest.mark.parametrize("method", ["lora", "adalora", "full"])
def test_methods_that_tune_a_language_model_refuse_in_words(data, cache, method):
    with pytest.raises(SettingsError, match=r"tune a language model, but the cache holds vectors alone; encode"):
        train(data, cache, method=method, settings=SMALL, quiet=True)


def test_held_out_items_are_ranked_by_their_vectors(data, cache):
    rest = holdout_items(data, 0.2, np.random.default_rng(0))[0]
    run = train(rest, LayerCache.open(cache.folder, rest.texts, rest.items.external), method="text-knn", quiet=True)
    assert run.record.cold["held_out"] == len(rest.held_out.texts)
    admitted = run.recommender.add_items(vectors={item: VECTORS[item] for item in rest.held_out.texts})
    rows = admitted.items.rows(rest.held_out.texts)
    best = admitted.recommend([rest.held_out.histories[0]], k=len(rows), allow=tuple(rest.held_out.texts))[0]
    rank = [scored.item for scored in best.items].index(rest.held_out.targets[0]) + 1
    assert run.cold.among[0] == rank


def test_held_out_items_without_vectors_in_the_cache_are_an_error_with_the_remedy(data, tmp_path):
    rest = holdout_items(data, 0.2, np.random.default_rng(0))[0]
    cache = encode(replace(rest, held_out=None), vectors=VECTORS, out=tmp_path / "c", quiet=True)
    with pytest.raises(CacheError, match=r"items are not in it; run `ssna\.encode\(data, vectors=\.\.\., out="):
        train(rest, cache, method="text-knn", quiet=True)
    encode(rest, vectors=VECTORS, out=tmp_path / "c", quiet=True)
    assert train(rest, cache, method="text-knn", quiet=True).record.cold


def test_new_items_of_the_data_are_admitted_by_their_vectors_at_the_end(data, tmp_path, capsys):
    more = replace(data, new_items={"new-1": "a lamp", "new-2": "a lamp"})
    vectors = {**VECTORS, "new-1": VECTORS["i3"], "new-2": VECTORS["i4"]}
    cache = encode(more, vectors=vectors, out=tmp_path / "c", quiet=True)
    run = train(more, cache, method="text-knn", settings=["dim=6"])
    assert "2 new items can be recommended, by their vectors" in capsys.readouterr().err
    assert run.recommender.similar_items("new-2", k=1)[0].item == "i4"


def test_encode_says_which_items_have_no_vector(data, tmp_path, capsys):
    some = {item: vector for item, vector in VECTORS.items() if item not in ("i5", "i9")}
    encode(data, vectors=some, out=tmp_path / "c")
    said = capsys.readouterr().err
    assert "warning: 2 of 30 items have no vector, such as 'i5'; zeros stand in its place" in said
