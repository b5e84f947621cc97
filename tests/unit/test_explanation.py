import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.ragged import Ragged
from ssna.recommender import Recommender
from ssna.recommender.explanation import explain, rank_text
from ssna.runs import train
from ssna.scoring import Ensemble, Member, RepeatConsumptionScorer
from ssna.text import embed, encode

ITEMS = 20
SMALL = ["dim=8", "sequence.inner=8", "training.batch_size=64", "training.epochs=2"]
HEADS = ["method.heads=2", "method.layers=2"]
METHODS = {
    "best": (
        "ssna",
        [*SMALL, *HEADS, "method.ids=true", "training.learning_rate=0.02", 'join.methods=["item-knn", "text-knn"]'],
    ),
    "text": ("ssna", [*SMALL, *HEADS]),
    "mean": ("ssna", [*SMALL, *HEADS, "method.integrate=mean"]),
    "tmlp": ("tmlp", SMALL),
    "ids": ("ids", SMALL),
    "item-knn": ("item-knn", []),
    "text-knn": ("text-knn", ["dim=8"]),
}
HISTORY = ["i3", "i8", "i5"]


@pytest.fixture(scope="module")
def recommenders(random_data, distinct_texts, language_model, tmp_path_factory) -> dict[str, Recommender]:
    data = random_data(seed=8, items=ITEMS, texts=distinct_texts(ITEMS))
    folder = tmp_path_factory.mktemp("cache")
    cache, _ = encode(data.texts, language_model, folder, dtype="fp32", device="cpu", quiet=True)
    return {
        name: train(data, cache, method=method, settings=assignments, quiet=True).recommender
        for name, (method, assignments) in METHODS.items()
    }


@pytest.fixture(params=METHODS)
def name(request) -> str:
    return request.param


@pytest.fixture
def recommender(name, recommenders) -> Recommender:
    return recommenders[name]


def ranking(recommender: Recommender, history: list[str]) -> list[str]:
    """What is not of the history, best first."""
    return [found.item for found in recommender.recommend([history], k=ITEMS)[0].items]


def score(recommender: Recommender, history: list[str], item: str) -> float:
    answer = recommender.recommend([history], k=ITEMS, exclude_seen=False)[0]
    return next(found.score for found in answer.items if found.item == item)


def test_the_explained_score_is_the_one_that_is_recommended_by(recommender):
    for item in recommender.items.external:
        assert explain(recommender, HISTORY, item).item.score == pytest.approx(
            score(recommender, HISTORY, item), abs=1e-5
        )


def test_the_rank_is_the_place_among_what_is_not_of_the_history(recommenders):
    for name in ("best", "text", "ids"):
        ranked = ranking(recommenders[name], HISTORY)
        assert [explain(recommenders[name], HISTORY, item).rank for item in ranked] == list(range(1, len(ranked) + 1))


def test_an_item_of_the_history_has_the_rank_that_it_would_have_alone_among_the_others(recommenders):
    recommender = recommenders["ids"]
    above = sum(
        score(recommender, HISTORY, item) > score(recommender, HISTORY, "i8") for item in ranking(recommender, HISTORY)
    )
    assert explain(recommender, HISTORY, "i8").rank == above + 1


def test_parts_add_up_to_the_score(recommender):
    found = explain(recommender, HISTORY, "i9")
    assert sum(share for _, share in found.parts) == pytest.approx(found.item.score, abs=1e-5)


def test_a_joined_model_has_a_part_for_each_scorer_that_has_a_weight(recommenders):
    found = explain(recommenders["best"], HISTORY, "i9")
    assert len(found.parts) == len(recommenders["best"].scorer.parts) > 1
    assert {name for name, _ in found.parts} <= {"model", "item neighbours", "text neighbours"}
    assert len({name for name, _ in found.parts}) == len(found.parts)


def test_the_effect_of_an_event_is_what_the_score_loses_without_it(recommender):
    found = explain(recommender, HISTORY, "i9")
    assert [influence.item for influence in found.history] == HISTORY
    for place_, influence in enumerate(found.history):
        without = HISTORY[:place_] + HISTORY[place_ + 1 :]
        expected = score(recommender, HISTORY, "i9") - score(recommender, without, "i9")
        assert influence.effect == pytest.approx(expected, abs=1e-5)


def test_the_only_event_has_all_the_effect_of_a_neighbour_scorer(recommenders):
    found = explain(recommenders["item-knn"], ["i3"], "i9")
    assert found.history[0].effect == pytest.approx(found.item.score, abs=1e-6)


def test_similarity_is_that_of_similar_items(recommenders):
    for name in ("best", "text", "tmlp", "ids"):
        recommender = recommenders[name]
        nearest = {found.item: found.score for found in recommender.similar_items("i9", k=ITEMS)}
        for influence in explain(recommender, HISTORY, "i9").history:
            assert influence.similarity == pytest.approx(nearest[influence.item], abs=1e-5)


def test_what_text_and_ids_contribute_is_the_cosine(recommenders):
    reading = explain(recommenders["text"], HISTORY, "i9").reading
    assert reading is not None
    assert reading.text + reading.ids == pytest.approx(score(recommenders["text"], HISTORY, "i9"), abs=1e-4)
    assert reading.ids == pytest.approx(0, abs=1e-3)  # the cache holds 16 bits a number


def test_learned_ids_contribute(recommenders):
    reading = explain(recommenders["best"], HISTORY, "i9").reading
    assert reading is not None
    assert abs(reading.ids) > 1e-3


def test_the_weights_of_a_layers_heads_are_those_of_a_mixture(recommenders):
    reading = explain(recommenders["best"], HISTORY, "i9").reading
    assert reading is not None
    assert np.array(reading.heads).shape == (2, 2)
    assert np.array(reading.heads).sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert len(reading.layers) == 2
    assert all(map(math.isfinite, reading.layers))


def test_without_a_layer_the_mean_of_two_is_the_other_alone(recommenders):
    recommender = recommenders["mean"]
    scorer = recommender.scorer
    row = int(recommender.items.rows(["i9"])[0])
    h = torch.from_numpy(embed((recommender.texts[row],), recommender.encoding, 2))
    with torch.no_grad():
        z = torch.cat([adapter(h_m) for adapter, h_m in zip(scorer.admission.adapters, h, strict=True)])
        intent = scorer.intents(Ragged.from_rows([recommender.items.rows(HISTORY)]))
        whole, top, second = F.cosine_similarity(torch.cat([z.mean(dim=0, keepdim=True), z]), intent).tolist()
    reading = explain(recommender, HISTORY, "i9").reading
    assert reading is not None
    assert reading.layers == pytest.approx((whole - second, whole - top), abs=1e-3)


def test_a_method_without_heads_or_layers_has_none(recommenders):
    reading = explain(recommenders["tmlp"], HISTORY, "i9").reading
    assert reading is not None
    assert reading.layers == reading.heads == ()


@pytest.mark.parametrize("name", ["ids", "item-knn"])
def test_a_method_that_reads_no_text_has_no_reading(recommender):
    assert explain(recommender, HISTORY, "i9").reading is None


def test_unknown_items_of_the_history_are_skipped(recommenders):
    found = explain(recommenders["best"], ["gone", *HISTORY], "i9")
    assert [influence.item for influence in found.history] == HISTORY
    assert found.item.score == pytest.approx(score(recommenders["best"], HISTORY, "i9"), abs=1e-5)


def test_an_unknown_item_and_an_unknown_history_are_errors_in_words(recommenders):
    with pytest.raises(SsnaError, match="'gone' is not in the catalogue"):
        explain(recommenders["best"], HISTORY, "gone")
    with pytest.raises(SsnaError, match="no item of the history"):
        explain(recommenders["best"], ["gone"], "i9")


@pytest.mark.parametrize("name", ["best", "text", "tmlp", "text-knn"])
def test_a_text_stands_where_an_added_item_of_that_text_stands(recommender):
    wider = recommender.add_items({"new": "a red lamp"})
    answer = wider.recommend([HISTORY], k=ITEMS)[0]
    found = rank_text(recommender, HISTORY, "a red lamp")
    assert found.among == ITEMS + 1 - len(HISTORY) == len(answer.items)
    assert [scored.item for scored in answer.items].index("new") + 1 == found.rank
    assert found.score == pytest.approx(next(s.score for s in answer.items if s.item == "new"), abs=1e-5)
    near = wider.similar_items("new", k=10)
    assert [scored.item for scored in found.similar] == [scored.item for scored in near]


def test_placing_a_text_leaves_the_recommender_alone(recommenders):
    before = recommenders["text"].scorer.rows
    rank_text(recommenders["text"], HISTORY, "a red lamp")
    assert recommenders["text"].scorer.rows == before


@pytest.mark.parametrize("name", ["ids", "item-knn"])
def test_a_method_that_reads_no_text_places_none(recommender):
    with pytest.raises(ArtifactError, match="cannot place a text"):
        rank_text(recommender, HISTORY, "a red lamp")


def test_an_empty_text_is_an_error_in_words(recommenders):
    with pytest.raises(SsnaError, match="empty"):
        rank_text(recommenders["text"], HISTORY, "  ")


def test_what_was_seen_before_counts_for_items_of_the_history_alone(recommenders):
    plain = recommenders["text-knn"]
    scorer = Ensemble([Member(plain.scorer, 1.0, 1.0), Member(RepeatConsumptionScorer(ITEMS + 1, 50), -5.0, 1.0)])
    lowered = replace(plain, scorer=scorer)
    assert dict(explain(lowered, HISTORY, "i3").parts)["seen before"] == -5
    assert [name for name, _ in explain(lowered, HISTORY, "i9").parts] == ["text neighbours"]
