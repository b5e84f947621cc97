import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from some_recommenders import ITEMS, KNOWN, METHODS, ids

from ssna.core.errors import SsnaError
from ssna.recommender import recommender as module

# one history


def test_the_best_items_come_first_with_their_scores_and_texts(fixed):
    answer = fixed.recommend([["e"]], k=2)[0]
    assert [(s.item, s.score, s.text) for s in answer.items] == [("a", 5.0, "text a"), ("b", 4.0, "text b")]


def test_items_of_the_history_are_excluded(fixed):
    assert ids(fixed.recommend([["a", "c"]])[0]) == ["b", "d", "e"]


def test_items_of_the_history_stay_if_asked_for(fixed):
    assert ids(fixed.recommend([["a", "c"]], exclude_seen=False)[0]) == ["a", "b", "c", "d", "e"]


def test_only_allowed_items_are_ranked(fixed):
    assert ids(fixed.recommend([["e"]], allow=["d", "b", "nothing"])[0]) == ["b", "d"]


def test_denied_items_are_excluded(fixed):
    assert ids(fixed.recommend([["e"]], deny=["a", "c", "nothing"])[0]) == ["b", "d"]


def test_an_item_both_allowed_and_denied_is_excluded(fixed):
    assert ids(fixed.recommend([["e"]], allow=["a", "b"], deny=["a"])[0]) == ["b"]


@pytest.mark.parametrize("allow", [[], ["nothing"]])
def test_nothing_is_recommended_where_no_known_item_is_allowed(fixed, allow):
    assert fixed.recommend([["e"]], allow=allow)[0].items == ()


def test_a_number_of_items_beyond_the_catalogue_gives_all_that_are_left(fixed):
    assert ids(fixed.recommend([["a"]], k=1000)[0]) == ["b", "c", "d", "e"]


@pytest.mark.parametrize("lists", [{"allow": "a"}, {"deny": "a"}])
def test_a_string_in_the_place_of_a_list_of_ids_is_an_error_in_words(fixed, lists):
    with pytest.raises(SsnaError, match="lists of item ids"):
        fixed.recommend([["a"]], **lists)


@pytest.mark.parametrize("k", [0, -3])
def test_fewer_than_one_item_cannot_be_asked_for(fixed, k):
    with pytest.raises(SsnaError, match="ask for at least one item"):
        fixed.recommend([["a"]], k=k)


@pytest.mark.parametrize("histories", ["a", ["a", "b"], [["a"], "b"]])
def test_a_string_in_the_place_of_a_history_is_an_error_in_words(fixed, histories):
    with pytest.raises(SsnaError, match="a history is a list of item ids"):
        fixed.recommend(histories)


def test_no_histories_get_no_answers(fixed):
    assert fixed.recommend([]) == []


def test_unknown_ids_are_reported_in_their_order_and_skipped(fixed):
    answer = fixed.recommend([["x", "a", "y"]])[0]
    assert (answer.unknown, answer.fallback, ids(answer)) == (("x", "y"), None, ["b", "c", "d", "e"])


@pytest.mark.parametrize("history", [[], ["x", "y"]])
def test_a_history_that_says_nothing_gets_popularity_and_the_answer_says_so(fixed, history):
    answer = fixed.recommend([history])[0]
    assert (answer.fallback, ids(answer)) == ("popularity", ["e", "d", "c", "b", "a"])


def test_a_history_that_says_nothing_does_not_change_its_neighbours_answers(fixed):
    together = fixed.recommend([["a"], [], ["b"], ["x"]])
    assert [ids(answer)[0] for answer in together] == ["b", "e", "a", "e"]


def test_more_histories_than_a_chunk_holds_are_answered_in_their_order(fixed, monkeypatch):
    histories = [["a"], [], ["b"], ["x", "c"], ["d"]]
    whole = fixed.recommend(histories)
    monkeypatch.setattr(module, "CHUNK", 2)
    assert fixed.recommend(histories) == whole


# any history, any method

any_history = st.lists(st.sampled_from([*KNOWN, "unknown", "-", "i0", "i21", "ü"]), max_size=15)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=25)
@given(histories=st.lists(any_history, max_size=4), k=st.integers(1, 30))
def test_any_histories_get_well_formed_answers(name, recommenders, histories, k):
    answers = recommenders[name].recommend(histories, k=k)
    assert len(answers) == len(histories)
    for history, answer in zip(histories, answers, strict=True):
        found, seen = ids(answer), {item for item in history if item in KNOWN}
        assert len(found) == len(set(found)) == min(k, ITEMS - len(seen))
        assert set(found) <= set(KNOWN) - seen
        assert [s.score for s in answer.items] == sorted((s.score for s in answer.items), reverse=True)
        assert all(np.isfinite(s.score) for s in answer.items)
        assert answer.unknown == tuple(item for item in history if item not in KNOWN)
        assert answer.fallback == (None if seen else "popularity")


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=15)
@given(histories=st.lists(any_history, min_size=2, max_size=5))
def test_one_by_one_and_in_a_batch_the_answers_are_the_same_near_ties_aside(name, recommenders, histories):
    together = recommenders[name].recommend(histories, k=ITEMS)
    for history, answer in zip(histories, together, strict=True):
        alone = recommenders[name].recommend([history], k=ITEMS)[0]
        assert (alone.unknown, alone.fallback, len(alone.items)) == (answer.unknown, answer.fallback, len(answer.items))
        scores = {scored.item: scored.score for scored in alone.items}
        for one, other in zip(alone.items, answer.items, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-5)
            assert scores[other.item] == pytest.approx(other.score, abs=1e-5)


def test_unknown_ids_do_not_change_the_answer(any_recommender):
    plain = any_recommender.recommend([["i3", "i5"]])[0]
    assert any_recommender.recommend([["x", "i3", "y", "i5", "z"]])[0].items == plain.items


def test_a_popularity_answer_is_in_the_order_of_training_events(any_recommender):
    counts = dict(zip(KNOWN, any_recommender.counts[1:].tolist(), strict=True))
    found = any_recommender.recommend([[]], k=ITEMS)[0]
    assert [(counts[s.item], s.score) for s in found.items] == [(c, c) for c in sorted(counts.values(), reverse=True)]


# similar items


def test_similar_items_exclude_the_item_itself(any_recommender):
    found = [s.item for s in any_recommender.similar_items("i4", k=ITEMS)]
    assert set(found) == set(KNOWN) - {"i4"}


def test_similar_items_are_as_many_as_asked_for(any_recommender):
    assert len(any_recommender.similar_items("i4", k=3)) == 3


def test_similar_items_are_those_of_the_highest_cosine(recommenders):
    vectors = recommenders["text-knn"].scorer.vectors[1:].numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit[3]
    cosines[3] = -2
    found = recommenders["text-knn"].similar_items("i4", k=3)
    assert [s.item for s in found] == [KNOWN[row] for row in np.argsort(-cosines)[:3]]
    assert [s.score for s in found] == pytest.approx(np.sort(cosines)[::-1][:3].tolist(), abs=1e-5)


def test_similar_items_of_an_unknown_item_are_an_error_in_words(any_recommender):
    with pytest.raises(SsnaError, match="'nothing' is not in the catalogue"):
        any_recommender.similar_items("nothing")


@pytest.mark.parametrize("k", [0, -3])
def test_fewer_than_one_similar_item_cannot_be_asked_for(recommender, k):
    with pytest.raises(SsnaError, match="ask for at least one item"):
        recommender.similar_items("i4", k=k)


@pytest.mark.parametrize(
    "ask",
    [
        lambda it: it.recommend([[1, "a"]]),
        lambda it: it.recommend([["a"]], allow=[1]),
        lambda it: it.recommend([["a"]], deny=[np.int64(1)]),
        lambda it: it.add_items({1: "text"}),
    ],
)
def test_ids_that_are_numbers_are_refused_and_not_taken_for_unknown_ones(fixed, ask):
    with pytest.raises(SsnaError, match="ids are text: '1' instead of"):
        ask(fixed)


def test_it_is_shown_in_one_line(recommender):
    assert repr(recommender) == f"<Recommender of {ITEMS} items, scorer: ensemble>"
