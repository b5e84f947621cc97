import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssna import scoring
from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.ragged import Ragged
from ssna.data.dataset import IdMap
from ssna.recommender import Recommender, artifact
from ssna.recommender import recommender as module
from ssna.runs import train
from ssna.scoring import PopularityScorer
from ssna.text import encode
from ssna.text.fill import _encoder_like
from ssna.text.models import LanguageModel

ITEMS = 20
SMALL = ["dim=8", "sequence.inner=8", "training.batch_size=64", "training.epochs=1"]
METHODS = {
    "ssna": [*SMALL, "method.heads=2", "method.start=whitened", 'join.methods=["item-knn", "text-knn"]'],
    "ids": SMALL,
    "item-knn": [],
    "text-knn": ["dim=8"],
    "popularity": [],
}


@pytest.fixture(scope="module")
def recommenders(random_data, distinct_texts, language_model, tmp_path_factory) -> dict[str, Recommender]:
    data = random_data(seed=8, items=ITEMS, texts=distinct_texts(ITEMS))
    folder = tmp_path_factory.mktemp("cache")
    cache, _ = encode(data.texts, language_model, folder, dtype="fp32", device="cpu", quiet=True)
    return {
        name: train(data, cache, method=name, settings=assignments, quiet=True).recommender
        for name, assignments in METHODS.items()
    }


@pytest.fixture(params=METHODS)
def name(request) -> str:
    return request.param


@pytest.fixture
def any_recommender(name, recommenders) -> Recommender:
    return recommenders[name]


@pytest.fixture(scope="module")
def recommender(recommenders) -> Recommender:
    """A model joined with both neighbour scorers, as the recipe best makes it."""
    return recommenders["ssna"]


@pytest.fixture
def fixed() -> Recommender:
    """Five items; ``a`` scores highest whatever the history, and ``e`` is the most popular."""
    return Recommender(
        PopularityScorer(torch.tensor([0, 5, 4, 3, 2, 1])),
        IdMap(("a", "b", "c", "d", "e")),
        ("", "text a", "text b", "text c", "text d", "text e"),
        np.array([0, 1, 2, 3, 4, 5]),
    )


def ids(recommendation) -> list[str]:
    return [scored.item for scored in recommendation.items]


# one answer


def test_the_best_items_come_first_with_their_scores_and_texts(fixed):
    answer = fixed.recommend([["e"]], k=2)[0]
    assert [(s.item, s.score, s.text) for s in answer.items] == [("a", 5.0, "text a"), ("b", 4.0, "text b")]


def test_items_of_the_history_are_left_out(fixed):
    assert ids(fixed.recommend([["a", "c"]])[0]) == ["b", "d", "e"]


def test_items_of_the_history_stay_if_asked_for(fixed):
    assert ids(fixed.recommend([["a", "c"]], exclude_seen=False)[0]) == ["a", "b", "c", "d", "e"]


def test_only_allowed_items_are_ranked(fixed):
    assert ids(fixed.recommend([["e"]], allow=["d", "b", "nothing"])[0]) == ["b", "d"]


def test_denied_items_are_left_out(fixed):
    assert ids(fixed.recommend([["e"]], deny=["a", "c", "nothing"])[0]) == ["b", "d"]


def test_an_item_both_allowed_and_denied_is_left_out(fixed):
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

known = [f"i{row}" for row in range(1, ITEMS + 1)]
any_history = st.lists(st.sampled_from([*known, "unknown", "", "i0", "i21", "ü"]), max_size=15)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=25)
@given(histories=st.lists(any_history, max_size=4), k=st.integers(1, 30))
def test_any_histories_get_well_formed_answers(name, recommenders, histories, k):
    answers = recommenders[name].recommend(histories, k=k)
    assert len(answers) == len(histories)
    for history, answer in zip(histories, answers, strict=True):
        found, seen = ids(answer), {item for item in history if item in known}
        assert len(found) == len(set(found)) == min(k, ITEMS - len(seen))
        assert set(found) <= set(known) - seen
        assert [s.score for s in answer.items] == sorted((s.score for s in answer.items), reverse=True)
        assert all(np.isfinite(s.score) for s in answer.items)
        assert answer.unknown == tuple(item for item in history if item not in known)
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
    counts = dict(zip(known, any_recommender.counts[1:].tolist(), strict=True))
    found = any_recommender.recommend([[]], k=ITEMS)[0]
    assert [(counts[s.item], s.score) for s in found.items] == [(c, c) for c in sorted(counts.values(), reverse=True)]


# similar items


def test_similar_items_leave_out_the_item_itself(any_recommender):
    found = [s.item for s in any_recommender.similar_items("i4", k=ITEMS)]
    assert set(found) == set(known) - {"i4"}


def test_similar_items_are_as_many_as_asked_for(any_recommender):
    assert len(any_recommender.similar_items("i4", k=3)) == 3


def test_similar_items_are_those_of_the_highest_cosine(recommenders):
    vectors = recommenders["text-knn"].scorer.vectors[1:].numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit[3]
    cosines[3] = -2
    found = recommenders["text-knn"].similar_items("i4", k=3)
    assert [s.item for s in found] == [known[row] for row in np.argsort(-cosines)[:3]]
    assert [s.score for s in found] == pytest.approx(np.sort(cosines)[::-1][:3].tolist(), abs=1e-5)


def test_similar_items_of_an_unknown_item_are_an_error_in_words(any_recommender):
    with pytest.raises(SsnaError, match="'nothing' is not in the catalogue"):
        any_recommender.similar_items("nothing")


@pytest.mark.parametrize("k", [0, -3])
def test_fewer_than_one_similar_item_cannot_be_asked_for(recommender, k):
    with pytest.raises(SsnaError, match="ask for at least one item"):
        recommender.similar_items("i4", k=k)


# new items


@pytest.fixture
def wider(recommender) -> Recommender:
    return recommender.add_items({"new-1": recommender.texts[5], "new-2": "word1 word2 word3"})


def test_added_items_are_recommended_with_their_texts(wider):
    found = {s.item: s.text for s in wider.recommend([["i1", "i2"]], k=100)[0].items}
    assert (set(found), found["new-2"]) == (set(known) - {"i1", "i2"} | {"new-1", "new-2"}, "word1 word2 word3")


def test_added_items_are_known_in_histories(wider):
    answer = wider.recommend([["new-1"]], k=3)[0]
    assert (answer.unknown, answer.fallback) == ((), None)


def test_an_added_item_stands_where_an_item_of_the_same_text_stands(recommenders):
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
        ({"": "word1"}, "an id is empty"),
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
    wider = recommender.add_items({"new-1": "word1"})
    wider.add_items({"new-2": "word2"}).remove_items(["new-1"]).add_items({"new-1": "word3"})
    assert len(loaded) == 1


# items that leave


@pytest.fixture
def narrower(any_recommender) -> Recommender:
    return any_recommender.remove_items(["i2", "i7", "i20"])


GONE = {"i2", "i7", "i20"}


def test_removed_items_are_never_recommended(narrower):
    for history in ([], ["i1", "i3"], ["i2"], ["i5"] * 3):
        assert set(ids(narrower.recommend([history], k=100, exclude_seen=False)[0])) == set(known) - GONE


def test_removed_items_are_never_similar(narrower):
    assert {scored.item for scored in narrower.similar_items("i4", k=100)} == set(known) - GONE - {"i4"}


def test_removed_items_are_unknown_in_histories(narrower):
    answer = narrower.recommend([["i7", "i3", "i2"]])[0]
    assert (answer.unknown, answer.items) == (("i7", "i2"), narrower.recommend([["i3"]])[0].items)
    assert narrower.recommend([["i7", "i2"]])[0].fallback == "popularity"


def test_items_that_stay_keep_their_scores_texts_and_popularity(any_recommender, narrower):
    for history in ([], ["i1", "i3"], ["i19"]):
        before = any_recommender.recommend([history], k=100, deny=list(GONE))[0].items
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
    ("gone", "message"),
    [(["i1", "nothing"], "'nothing' is not in the catalogue"), (known, "no item would be left"), ("i1", "a list of")],
    ids=["unknown", "all", "string"],
)
def test_items_that_cannot_be_removed_are_an_error_in_words(recommender, gone, message):
    with pytest.raises(SsnaError, match=message):
        recommender.remove_items(gone)


# on the disk


@pytest.fixture
def saved(recommender, tmp_path):
    recommender.save(tmp_path / "model")
    return tmp_path / "model"


def error_of_loading(folder) -> str | None:
    try:
        Recommender.load(folder)
    except ArtifactError as error:
        return str(error)
    return None


def one_line_error(folder) -> str:
    message = error_of_loading(folder)
    assert message is not None, "it loads"
    assert "\n" not in message
    return message


def test_a_saved_recommender_gives_equal_answers(any_recommender, tmp_path):
    any_recommender.save(tmp_path / "model")
    loaded = Recommender.load(tmp_path / "model")
    histories = [["i1", "i2", "i3"], ["i9"], [], ["x"]]
    assert loaded.recommend(histories, k=ITEMS) == any_recommender.recommend(histories, k=ITEMS)
    assert loaded.similar_items("i4") == any_recommender.similar_items("i4")


def test_a_run_folder_loads_as_the_model_in_it(fixed, tmp_path):
    fixed.save(tmp_path / "run" / "model")
    assert Recommender.load(tmp_path / "run").recommend([["a"]]) == fixed.recommend([["a"]])


def test_saving_replaces_an_older_model(fixed, saved):
    fixed.save(saved)
    assert Recommender.load(saved).items.external == fixed.items.external


def test_nothing_in_a_saved_model_is_pickled(saved):
    assert {path.suffix for path in saved.iterdir()} == {".json", ".safetensors", ".parquet"}


FILES = [artifact.MANIFEST, artifact.TENSORS, artifact.ITEMS]


@pytest.fixture(scope="module")
def whole(recommender, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "model"
    recommender.save(folder)
    return folder


@settings(max_examples=60)
@given(file=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), filler=st.sampled_from([b"", b"\0" * 64]))
def test_a_file_cut_off_anywhere_or_filled_with_zeros_behind_is_an_artifact_error(whole, file, place, filler):
    content = (whole / file).read_bytes()
    cut = min(int(place * len(content)), len(content.rstrip()) - 1)  # a line end less is still the same JSON
    try:
        (whole / file).write_bytes(content[:cut] + filler)
        assert str(whole) in one_line_error(whole)
    finally:
        (whole / file).write_bytes(content)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_an_artifact_error(saved, file):
    (saved / file).unlink()
    assert str(saved) in one_line_error(saved)


def flips(content: bytes, count: int, seed: int):
    """``content`` with one bit turned, at ``count`` places."""
    rng = np.random.default_rng(seed)
    for place in rng.choice(len(content), size=min(count, len(content)), replace=False):
        yield content[:place] + bytes([content[place] ^ 1 << int(rng.integers(8))]) + content[place + 1 :]


@pytest.mark.parametrize("file", [artifact.TENSORS, artifact.ITEMS])
def test_a_bit_turned_in_the_tensors_or_the_items_is_an_artifact_error(saved, file):
    for damaged in flips((saved / file).read_bytes(), 20, seed=0):
        (saved / file).write_bytes(damaged)
        one_line_error(saved)


def test_a_bit_turned_in_the_manifest_never_raises_anything_but_an_artifact_error(saved):
    for damaged in flips((saved / artifact.MANIFEST).read_bytes(), 300, seed=1):
        (saved / artifact.MANIFEST).write_bytes(damaged)
        assert "\n" not in (error_of_loading(saved) or "")


def test_a_number_changed_in_the_manifest_is_an_artifact_error(saved):
    manifest = json.loads((saved / artifact.MANIFEST).read_text())
    manifest["scorer"]["config"]["parts"][0]["weight"] *= 0.5
    (saved / artifact.MANIFEST).write_text(json.dumps(manifest))
    one_line_error(saved)


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"format": 99},
        {"format": 1},
        {"format": 1, "sha256": {}},
        {"format": 1, "sha256": [], "scorer": {}},
        {"format": 1, "sha256": {"../../secret": "0"}, "scorer": {}},
        {"format": 1, "sha256": {}, "scorer": {"kind": "magic", "config": {}}, "encoding": None},
        {"format": 1, "sha256": {}, "scorer": {"kind": [], "config": {}}, "encoding": None},
        {"format": 1, "sha256": {}, "scorer": None, "encoding": None},
    ],
    ids=str,
)
def test_a_foreign_manifest_is_an_artifact_error(saved, manifest):
    (saved / artifact.MANIFEST).write_text(json.dumps(manifest))
    one_line_error(saved)


@pytest.mark.parametrize("change", [{"encoding": {"model": "x"}}, {"encoding": 5}, {"scorer": {"kind": "vector"}}])
def test_a_manifest_with_a_wrong_part_is_an_artifact_error(saved, change):
    manifest = json.loads((saved / artifact.MANIFEST).read_text()) | change
    (saved / artifact.MANIFEST).write_text(json.dumps(manifest))
    one_line_error(saved)


def sign(folder):
    """Make checksums right again: what is wrong then must be found by looking at it."""
    manifest = json.loads((folder / artifact.MANIFEST).read_text())
    del manifest["sha256"]
    files = {name: artifact._digest(folder / name) for name in FILES[1:]}
    manifest["sha256"] = {artifact.MANIFEST: artifact._checksum(manifest), **files}
    (folder / artifact.MANIFEST).write_text(json.dumps(manifest))


ROW = {"id": "i1", "text": "t", "count": 1}
ROWS = [{"id": f"i{row}", "text": "t", "count": 1} for row in range(ITEMS)]


@pytest.mark.parametrize(
    "rows",
    [ROWS[:-1], [*ROWS[1:], ROW], [*ROWS[1:], ROW | {"text": None}], [{"id": "i1"}] * ITEMS, [{"other": 1}]],
    ids=["one less", "an id twice", "no text", "columns missing", "other columns"],
)
def test_items_that_do_not_fit_the_scorer_are_an_artifact_error(saved, rows):
    pq.write_table(pa.Table.from_pylist(rows), saved / artifact.ITEMS)
    sign(saved)
    one_line_error(saved)


def test_a_manifest_nested_without_end_is_an_artifact_error(saved):
    (saved / artifact.MANIFEST).write_text("[" * 100_000)
    one_line_error(saved)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_was_saved_on_a_gpu_loads_on_the_cpu(fixed, tmp_path):
    fixed.scorer.counts = fixed.scorer.counts.cuda()
    fixed.save(tmp_path / "model")
    assert Recommender.load(tmp_path / "model").scorer.counts.device.type == "cpu"


def test_tensors_and_items_of_two_models_do_not_mix(saved, fixed, tmp_path):
    fixed.save(tmp_path / "other")
    (tmp_path / "other" / artifact.ITEMS).replace(saved / artifact.ITEMS)
    assert "not the file that was saved" in one_line_error(saved)


@pytest.mark.parametrize("make", ["nothing", "empty", "file", "stranger"])
def test_a_folder_that_is_no_model_is_an_artifact_error(tmp_path, make):
    folder = tmp_path / "model"
    if make in ("empty", "stranger"):
        folder.mkdir()
    if make == "file":
        folder.write_text("no folder")
    if make == "stranger":
        (folder / "model.json").write_text('{"format": "another program"}')
    one_line_error(folder)


def test_only_the_latest_items_of_a_history_were_seen_before():
    scores = scoring.RepeatConsumptionScorer(9, 3).score(Ragged.from_rows([[1, 2, 3, 4, 5], [7, 7], []]))
    assert [np.flatnonzero(row.numpy() > 0).tolist() for row in scores] == [[3, 4, 5], [7], []]


def test_the_names_of_the_scorers_tensors_are_stable(recommenders):
    """Saved models of earlier versions depend on them."""
    _, tensors = recommenders["text-knn"].scorer.state()
    assert set(tensors) == {"vectors", "admission.mean", "admission.projection"}
    assert set(recommenders["item-knn"].scorer.state()[1]) == {"values", "columns", "offsets"}
    assert set(recommenders["popularity"].scorer.state()[1]) == {"counts"}
    assert set(scoring.SCORERS) == {"popularity", "neighbour", "linear", "repeat", "vector", "blend"}
    assert scoring.RepeatConsumptionScorer(5, 3).state() == ({"rows": 5, "max_history": 3}, {})


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


@pytest.mark.parametrize("texts", [["a text"], {"e2": None}, {"e2": 5}])
def test_texts_of_another_kind_are_an_error_in_words(fixed, texts):
    with pytest.raises(SsnaError, match=r"add_items takes texts|texts are text"):
        fixed.add_items(texts)


def test_it_is_shown_in_one_line(recommender):
    assert repr(recommender) == f"<Recommender of {ITEMS} items by a blend scorer>"


def test_all_its_files_may_be_read_by_whoever_may_read_one(recommender, tmp_path):
    recommender.save(tmp_path / "saved")
    assert len({path.stat().st_mode for path in (tmp_path / "saved").iterdir()}) == 1
