import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from some_recommenders import ITEMS
from torch.nn import functional as F

from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.ragged import Ragged
from ssna.recommender import Recommender
from ssna.recommender.explanation import explain, rank_text
from ssna.scoring import Ensemble, Member, PopularityScorer, RepeatConsumptionScorer
from ssna.text import embed

pytestmark = pytest.mark.slow

SMALL = ["dim=8", "sequence.ffn_dim=8", "training.batch_size=64", "training.epochs=2"]
EXPERTS = ["method.num_experts=2", "method.layers=2"]
METHODS = {
    "best": (
        "ssna",
        [
            *SMALL,
            *EXPERTS,
            "method.id_embeddings=true",
            "training.learning_rate=0.02",
            'ensemble.members=["item-knn", "text-knn"]',
        ],
    ),
    "text": ("ssna", [*SMALL, *EXPERTS]),
    "mean": ("ssna", [*SMALL, *EXPERTS, "method.integrate=mean"]),
    "tmlp": ("tmlp", SMALL),
    "ids": ("ids", SMALL),
    "item-knn": ("item-knn", []),
    "text-knn": ("text-knn", ["dim=8"]),
}
HISTORY = ["i3", "i8", "i5"]


@pytest.fixture(scope="module")
def recommenders(train_each) -> dict[str, Recommender]:
    return train_each(METHODS)


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


def test_of_equal_scores_the_lower_row_ranks_first_in_explanations_too(recommenders):
    plain = recommenders["text-knn"]
    equal = replace(plain, scorer=PopularityScorer(torch.tensor([0] + [1] * ITEMS)))
    ranked = ranking(equal, HISTORY)
    assert [explain(equal, HISTORY, item).rank for item in ranked] == list(range(1, len(ranked) + 1))


def test_the_rank_is_the_one_among_what_is_not_of_the_history(recommenders):
    for name in ("best", "text", "ids"):
        ranked = ranking(recommenders[name], HISTORY)
        assert [explain(recommenders[name], HISTORY, item).rank for item in ranked] == list(range(1, len(ranked) + 1))


def test_an_item_of_the_history_has_the_rank_that_it_would_have_alone_among_the_others(recommenders):
    recommender = recommenders["ids"]
    above = sum(
        score(recommender, HISTORY, item) > score(recommender, HISTORY, "i8") for item in ranking(recommender, HISTORY)
    )
    assert explain(recommender, HISTORY, "i8").rank == above + 1


def test_contributions_of_the_members_add_up_to_the_score(recommender):
    found = explain(recommender, HISTORY, "i9")
    assert sum(score for _, score in found.members) == pytest.approx(found.item.score, abs=1e-5)


def test_an_ensemble_has_a_contribution_of_each_member_that_has_a_weight(recommenders):
    found = explain(recommenders["best"], HISTORY, "i9")
    names = {name for name, _ in found.members}
    assert len(names) == len(found.members) == len(recommenders["best"].scorer.members) > 1
    assert names <= {"model", "item neighbours", "text neighbours"}


def test_the_effect_of_an_event_is_what_the_score_loses_without_it(recommender):
    found = explain(recommender, HISTORY, "i9")
    assert [influence.item for influence in found.history] == HISTORY
    for position, influence in enumerate(found.history):
        without = HISTORY[:position] + HISTORY[position + 1 :]
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


def test_text_and_id_embedding_add_up_to_the_cosine(recommenders):
    output = explain(recommenders["text"], HISTORY, "i9").adapters
    assert output is not None
    assert output.text + output.id_embedding == pytest.approx(score(recommenders["text"], HISTORY, "i9"), abs=1e-4)
    assert output.id_embedding == pytest.approx(0, abs=1e-3)  # the cache holds 16 bits a number


def test_an_id_embedding_contributes(recommenders):
    output = explain(recommenders["best"], HISTORY, "i9").adapters
    assert output is not None
    assert abs(output.id_embedding) > 1e-3


def test_the_expert_weights_of_a_layer_are_those_of_a_mixture(recommenders):
    output = explain(recommenders["best"], HISTORY, "i9").adapters
    assert output is not None
    assert np.array(output.expert_weights).shape == (2, 2)
    assert np.array(output.expert_weights).sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert len(output.layers) == 2
    assert all(map(math.isfinite, output.layers))


def test_without_a_layer_the_mean_of_two_is_the_other_alone(recommenders):
    recommender = recommenders["mean"]
    scorer = recommender.scorer
    row = int(recommender.items.rows(["i9"])[0])
    h = torch.from_numpy(embed((recommender.texts[row],), recommender.encoding, 2))
    with torch.no_grad():
        z = torch.cat([adapter(h_m) for adapter, h_m in zip(scorer.text_projection.adapters, h, strict=True)])
        user = scorer.user_embeddings(Ragged.from_rows([recommender.items.rows(HISTORY)]))
        whole, top, second = F.cosine_similarity(torch.cat([z.mean(dim=0, keepdim=True), z]), user).tolist()
    output = explain(recommender, HISTORY, "i9").adapters
    assert output is not None
    assert output.layers == pytest.approx((whole - second, whole - top), abs=1e-3)


def test_a_method_without_experts_or_layers_has_none(recommenders):
    output = explain(recommenders["tmlp"], HISTORY, "i9").adapters
    assert output is not None
    assert output.layers == output.expert_weights == ()


@pytest.mark.parametrize("name", ["ids", "item-knn"])
def test_a_method_that_reads_no_text_has_no_adapter_output(recommender):
    assert explain(recommender, HISTORY, "i9").adapters is None


def test_unknown_items_of_the_history_are_skipped(recommenders):
    found = explain(recommenders["best"], ["unknown", *HISTORY], "i9")
    assert [influence.item for influence in found.history] == HISTORY
    assert found.item.score == pytest.approx(score(recommenders["best"], HISTORY, "i9"), abs=1e-5)


def test_an_unknown_item_and_an_unknown_history_are_errors_in_words(recommenders):
    with pytest.raises(SsnaError, match="'unknown' is not in the catalogue"):
        explain(recommenders["best"], HISTORY, "unknown")
    with pytest.raises(SsnaError, match="no item of the history"):
        explain(recommenders["best"], ["unknown"], "i9")


@pytest.mark.parametrize("name", ["best", "text", "tmlp", "text-knn"])
def test_a_text_ranks_where_an_added_item_of_that_text_ranks(recommender):
    wider = recommender.add_items({"new": "word5 word6"})
    answer = wider.recommend([HISTORY], k=ITEMS)[0]
    found = rank_text(recommender, HISTORY, "word5 word6")
    assert found.among == ITEMS + 1 - len(HISTORY) == len(answer.items)
    assert [scored.item for scored in answer.items].index("new") + 1 == found.rank
    assert found.score == pytest.approx(next(s.score for s in answer.items if s.item == "new"), abs=1e-5)
    near = wider.similar_items("new", k=10)
    assert [scored.item for scored in found.similar] == [scored.item for scored in near]


def test_ranking_a_text_leaves_the_recommender_alone(recommenders):
    before = recommenders["text"].scorer.num_rows
    rank_text(recommenders["text"], HISTORY, "word5 word6")
    assert recommenders["text"].scorer.num_rows == before


@pytest.mark.parametrize("name", ["ids", "item-knn"])
def test_a_method_that_reads_no_text_ranks_none(recommender):
    with pytest.raises(ArtifactError, match="cannot rank a text"):
        rank_text(recommender, HISTORY, "word5 word6")


def test_an_empty_text_is_an_error_in_words(recommenders):
    with pytest.raises(SsnaError, match="empty"):
        rank_text(recommenders["text"], HISTORY, "  ")


def test_repeat_consumption_counts_for_items_of_the_history_alone(recommenders):
    plain = recommenders["text-knn"]
    scorer = Ensemble([Member(plain.scorer, 1.0, 1.0), Member(RepeatConsumptionScorer(ITEMS + 1, 50), -5.0, 1.0)])
    lowered = replace(plain, scorer=scorer)
    assert dict(explain(lowered, HISTORY, "i3").members)["repeat-consumption"] == -5
    assert [name for name, _ in explain(lowered, HISTORY, "i9").members] == ["text neighbours"]
