"""A text that says nothing is admitted with a warning, and adds nothing to a score."""

import warnings

import numpy as np
import pytest
import torch

from ssna.core.errors import SsnaError
from ssna.recommender.explanation import explain, rank_text
from ssna.recommender.recommender import Recommender
from ssna.runs import train
from ssna.text import ReadOptions, encode

NOTHING = {"punctuation": "... !", "one": "word7", "twice": "word7 word7", "unknown": "a red lamp"}
HISTORIES = [["i1", "i2"], ["i7"], ["i9", "i3", "i9", "i4"]]


@pytest.fixture(params=["ssna", "text-knn"])
def some(request, recommenders) -> Recommender:
    return recommenders[request.param]


@pytest.fixture
def wider(some) -> Recommender:
    with pytest.warns(UserWarning, match="say nothing"):
        return some.add_items(NOTHING)


def test_the_warning_has_how_many_and_an_example(some):
    texts = {"new": "word1 word2 word3", "dots": "...", "one": "word7"}
    expected = r"2 of 3 texts of new items say nothing of them, such as '\.\.\.' of 'dots'"
    with pytest.warns(UserWarning, match=expected):
        assert "one" in some.add_items(texts).items


def test_texts_that_say_something_are_admitted_without_a_warning(some):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        some.add_items({"new": "word1 word2"})


def test_a_long_text_is_cut_in_the_warning(some):
    with pytest.warns(UserWarning, match=r"'\.{63}' of 'dots'"):
        some.add_items({"dots": "." * 500})


def test_all_texts_that_say_nothing_score_alike_and_zero(wider):
    for recommendation in wider.recommend(HISTORIES, k=100, exclude_seen=False):
        scores = {scored.item: scored.score for scored in recommendation.items}
        assert {scores[item] for item in NOTHING} == {0.0}


def test_a_history_that_holds_such_an_item_is_ranked(wider):
    found = wider.recommend([["one"], ["one", "i1"]], k=100)
    assert all(np.isfinite([scored.score for scored in recommendation.items]).all() for recommendation in found)
    assert found[0].unknown == ()


def test_a_text_beside_them_scores_as_it_does_alone(some):
    alone = some.add_items({"new": "word1 word2 word3"}).recommend(HISTORIES, k=100)
    with pytest.warns(UserWarning, match="say nothing"):
        beside = some.add_items({"dots": "...", "new": "word1 word2 word3"}).recommend(HISTORIES, k=100, deny=["dots"])
    for first, second in zip(alone, beside, strict=True):
        assert [s.item for s in second.items] == [s.item for s in first.items]
        assert [s.score for s in second.items] == pytest.approx([s.score for s in first.items], abs=1e-6)


def test_it_ranks_as_a_text_where_it_would_as_an_item_and_can_be_explained(recommenders):
    some = recommenders["ssna"]
    with pytest.warns(UserWarning, match="say nothing"):
        wider = some.add_items({"new": "word7"})
    found = explain(wider, ["i1", "i2"], "new")
    ranked = rank_text(some, ["i1", "i2"], "word7")
    assert (found.rank, found.item.score) == (ranked.rank, pytest.approx(ranked.score))
    assert found.adapters is None
    assert {value for _, value in found.members} <= {0.0}


def test_it_survives_save_and_load(wider, tmp_path):
    wider.save(tmp_path / "model")
    assert Recommender.load(tmp_path / "model").recommend(HISTORIES, k=100) == wider.recommend(HISTORIES, k=100)


@pytest.mark.parametrize("text", [float("nan"), [0.1, float("nan")], np.zeros(3)])
def test_a_vector_in_the_place_of_a_text_is_an_error_in_words(some, text):
    with pytest.raises(SsnaError, match="texts are text"):
        some.add_items({"new": text})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("text-knn", []),
        ("text-linear", ["method.ridge=1"]),
        ("ssna", ['ensemble.members=["cease"]', "ensemble.by_frequency=true", "training.epochs=4"]),
    ],
)
def test_it_ranks_no_higher_than_the_new_items_of_validation(
    method, settings, make_data, distinct_texts, language_model, tmp_path
):
    rng = np.random.default_rng(0)
    groups = distinct_texts(8, seed=1, longest=9)
    texts = [f"{groups[item // 5]} {groups[item // 5]} word{item}" for item in range(40)]
    walks = [(5 * rng.integers(8) + 1 + rng.permutation(5)).tolist() for _ in range(120)]  # items of one group
    data = make_data(walks, 40, texts, max_history=10)
    cache, _ = encode(data.texts, language_model, tmp_path, ReadOptions(dtype="fp32", device="cpu"), quiet=True)
    small = ["dim=16", "sequence.ffn_dim=16", "training.learning_rate=5e-3", "method.init=whitened"]
    chosen = ["dim=16", *settings] if method != "ssna" else [*small, *settings]
    recommender = train(data, cache, method=method, settings=chosen, quiet=True).recommender
    histories, targets = data.valid.histories, torch.from_numpy(data.valid.targets.astype(np.int64))
    old = recommender.scorer.score(histories)
    h = torch.from_numpy(cache.top(recommender.scorer.layers))
    as_new = recommender.scorer.as_new(h)(histories)(slice(0, recommender.scorer.num_rows))

    def ranks(scores: torch.Tensor) -> torch.Tensor:
        return (old > scores[:, None]).sum(dim=1) + 1

    of_targets = ranks(as_new[torch.arange(len(targets)), targets])
    with pytest.warns(UserWarning, match="say nothing"):
        wider = recommender.add_items(NOTHING).scorer.score(histories)
    for row in range(old.shape[1], wider.shape[1]):
        assert ranks(wider[:, row]).median() > of_targets.median()
        assert (ranks(wider[:, row]) > 5).all()
