import pytest
from some_recommenders import ITEMS, KNOWN, ids

from ssna.core.errors import ArtifactError, SsnaError
from ssna.recommender import Recommender
from ssna.text.fill import _encoder_like
from ssna.text.models import LanguageModel

# new items


@pytest.fixture
def wider(recommender) -> Recommender:
    return recommender.add_items({"new-1": recommender.texts[5], "new-2": "word1 word2 word3"})


def test_added_items_are_recommended_with_their_texts(wider):
    found = {s.item: s.text for s in wider.recommend([["i1", "i2"]], k=100)[0].items}
    assert (set(found), found["new-2"]) == (set(KNOWN) - {"i1", "i2"} | {"new-1", "new-2"}, "word1 word2 word3")


def test_added_items_are_known_in_histories(wider):
    answer = wider.recommend([["new-1"]], k=3)[0]
    assert (answer.unknown, answer.fallback) == ((), None)


def test_an_added_item_is_similar_to_an_item_of_the_same_text(recommenders):
    text_knn = recommenders["text-knn"]
    found = text_knn.add_items({"new": text_knn.texts[5]}).similar_items("new", k=1)[0]
    assert (found.item, found.score) == ("i5", pytest.approx(1.0, abs=1e-3))


def test_old_items_keep_their_scores_when_items_are_added(recommender, wider):
    before = recommender.recommend([["i1", "i2"]], k=100)[0].items
    after = wider.recommend([["i1", "i2"]], k=100, deny=["new-1", "new-2"])[0].items
    assert [s.item for s in after] == [s.item for s in before]
    assert [s.score for s in after] == pytest.approx([s.score for s in before], abs=1e-5)


def test_adding_items_leaves_the_recommender_itself_alone(recommender, wider):
    assert len(recommender.items) == ITEMS
    assert recommender.recommend([["new-1"]])[0].unknown == ("new-1",)


@pytest.mark.parametrize("name", ["ssna", "text-knn"])
def test_items_added_at_once_score_as_items_added_one_by_one(any_recommender):
    texts = {f"new-{number}": " ".join(f"word{number + n}" for n in range(number + 2)) for number in range(5)}
    together, singly = any_recommender.add_items(texts), any_recommender
    for item, text in texts.items():
        singly = singly.add_items({item: text})
    for history in (["i1", "i2"], ["new-3", "i4"], ["i9"]):
        one, other = (
            {s.item: s.score for s in found.recommend([history], k=100)[0].items} for found in (together, singly)
        )
        assert set(texts) - set(history) <= set(one)
        assert one == pytest.approx(other, abs=1e-5)


def test_added_items_have_no_training_events(wider):
    assert [s.item for s in wider.recommend([[]], k=100)[0].items][-2:] in (["new-1", "new-2"], ["new-2", "new-1"])


def test_a_recommender_with_added_items_can_be_saved(wider, tmp_path):
    wider.save(tmp_path / "model")
    histories = [["i1", "new-1"], []]
    assert Recommender.load(tmp_path / "model").recommend(histories) == wider.recommend(histories)


def test_a_loaded_recommender_admits_items_as_the_saved_one_does(recommender, wider, tmp_path):
    recommender.save(tmp_path / "model")
    texts = {"new-1": recommender.texts[5], "new-2": "word1 word2 word3"}
    assert Recommender.load(tmp_path / "model").add_items(texts).recommend([["i1"]]) == wider.recommend([["i1"]])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"i3": "word1"}, "'i3' is in the catalogue already"),
        ({"new": "  "}, "'new' has no text"),
        ({"": "word1"}, "item id '' must not be empty"),
    ],
)
def test_an_item_that_cannot_be_added_is_named(recommender, texts, message):
    with pytest.raises(SsnaError, match=message):
        recommender.add_items(texts)


@pytest.mark.parametrize("name", ["ids", "item-knn", "popularity"])
def test_a_method_that_reads_no_text_admits_no_items(any_recommender):
    with pytest.raises(ArtifactError, match="cannot admit items by their texts"):
        any_recommender.add_items({"new": "word1"})


def test_adding_no_items_changes_nothing(recommender):
    assert recommender.add_items({}).recommend([["i1"]]) == recommender.recommend([["i1"]])


def test_the_language_model_is_loaded_for_the_first_new_item_only(recommender, monkeypatch):
    loaded, weights = [], LanguageModel.weights
    monkeypatch.setattr(LanguageModel, "weights", lambda *given: loaded.append(1) or weights(*given))
    _encoder_like.cache_clear()
    wider = recommender.add_items({"new-1": "word1 word2"})
    wider.add_items({"new-2": "word2 word4"}).remove_items(["new-1"]).add_items({"new-1": "word3 word1"})
    assert len(loaded) == 1


@pytest.mark.parametrize("texts", [["a text"], {"e2": None}, {"e2": 5}])
def test_texts_of_another_kind_are_an_error_in_words(fixed, texts):
    with pytest.raises(SsnaError, match=r"add_items takes texts|texts are text"):
        fixed.add_items(texts)


# items that leave


@pytest.fixture
def narrower(any_recommender) -> Recommender:
    return any_recommender.remove_items(["i2", "i7", "i20"])


REMOVED = {"i2", "i7", "i20"}


def test_removed_items_are_never_recommended(narrower):
    for history in ([], ["i1", "i3"], ["i2"], ["i5"] * 3):
        assert set(ids(narrower.recommend([history], k=100, exclude_seen=False)[0])) == set(KNOWN) - REMOVED


def test_removed_items_are_never_similar(narrower):
    assert {scored.item for scored in narrower.similar_items("i4", k=100)} == set(KNOWN) - REMOVED - {"i4"}


def test_removed_items_are_unknown_in_histories(narrower):
    answer = narrower.recommend([["i7", "i3", "i2"]])[0]
    assert (answer.unknown, answer.items) == (("i7", "i2"), narrower.recommend([["i3"]])[0].items)
    assert narrower.recommend([["i7", "i2"]])[0].fallback == "popularity"


def test_items_that_stay_keep_their_scores_texts_and_popularity(any_recommender, narrower):
    for history in ([], ["i1", "i3"], ["i19"]):
        before = any_recommender.recommend([history], k=100, deny=list(REMOVED))[0].items
        after = {s.item: s for s in narrower.recommend([history], k=100)[0].items}
        assert {s.item: s.text for s in before} == {s.item: s.text for s in after.values()}
        assert [after[s.item].score for s in before] == pytest.approx([s.score for s in before], abs=1e-5)


def test_removing_items_leaves_the_recommender_itself_alone(any_recommender, narrower):
    assert len(any_recommender.items) == ITEMS
    assert any_recommender.recommend([["i7"]])[0].unknown == ()


def test_a_recommender_with_items_removed_can_be_saved(narrower, tmp_path):
    narrower.save(tmp_path / "model")
    loaded = Recommender.load(tmp_path / "model")
    histories = [["i1", "i7", "i3"], [], ["i2"]]
    assert loaded.recommend(histories, k=100) == narrower.recommend(histories, k=100)


def test_a_removed_id_can_come_back_with_another_text(recommenders):
    text_knn = recommenders["text-knn"]
    back = text_knn.remove_items(["i7", "i9"]).add_items({"i7": text_knn.texts[5], "new": text_knn.texts[6]})
    assert (back.similar_items("i7", k=1)[0].item, back.similar_items("new", k=1)[0].item) == ("i5", "i6")
    assert back.recommend([["i7"]])[0].unknown == ()
    assert back.recommend([["i9"]])[0].unknown == ("i9",)
    assert {s.item: s.text for s in back.recommend([["i1"]], k=100)[0].items}["i7"] == text_knn.texts[5]


def test_an_added_item_can_be_removed_again(recommender, wider):
    back = wider.remove_items(["new-1", "new-2"])
    assert back.recommend([["i1"]], k=100) == recommender.recommend([["i1"]], k=100)


def test_removing_no_items_changes_nothing(recommender):
    assert recommender.remove_items([]).recommend([["i1"]], k=100) == recommender.recommend([["i1"]], k=100)


@pytest.mark.parametrize(
    ("items", "message"),
    [(["i1", "nothing"], "'nothing' is not in the catalogue"), (KNOWN, "no item would be left"), ("i1", "a list of")],
    ids=["unknown", "all", "string"],
)
def test_items_that_cannot_be_removed_are_an_error_in_words(recommender, items, message):
    with pytest.raises(SsnaError, match=message):
        recommender.remove_items(items)
