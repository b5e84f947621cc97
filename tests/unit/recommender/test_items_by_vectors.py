"""New items that come with a vector: alone, or beside a text that a language model reads."""

import warnings

import numpy as np
import pytest
from given_vectors import ITEMS, WIDTH, some_vectors, with_equal_texts

from ssna.core.errors import ArtifactError, SsnaError
from ssna.recommender import Recommender
from ssna.recommender.explanation import explain, rank_text
from ssna.runs import encode, train

pytestmark = pytest.mark.slow

VECTORS, IMAGES = some_vectors(), some_vectors(width=20, seed=1)
NEW = VECTORS["i7"] + np.float32(0.01)
SSNA = ["dim=8", "sequence.ffn_dim=8", "training.batch_size=64", "training.epochs=1", "method.num_experts=2"]


def trained(data, folder, method="text-knn", settings=("dim=6",), **how):
    cache = encode(data, out=folder / "cache", quiet=True, device="cpu", **how)
    train(data, cache, method=method, settings=list(settings), out=folder / "run", quiet=True)
    return Recommender.load(folder / "run")


@pytest.fixture(scope="module")
def data(random_data, distinct_texts):
    return random_data(seed=8, users=60, items=ITEMS, texts=distinct_texts(ITEMS))


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    return trained(with_equal_texts(data), tmp_path_factory.mktemp("alone"), vectors=VECTORS)


@pytest.fixture(scope="module")
def beside(data, language_model, tmp_path_factory):
    """Text and images side by side."""
    return trained(
        data, tmp_path_factory.mktemp("beside"), "ssna", [*SSNA, 'ensemble.members=["cease"]'],
        vectors={"image": IMAGES}, model=language_model, dtype="fp32",
    )  # fmt: skip


@pytest.fixture(scope="module")
def two(data, tmp_path_factory):
    return trained(data, tmp_path_factory.mktemp("two"), vectors={"title": VECTORS, "image": IMAGES})


def test_an_item_is_admitted_by_its_vector_alone(alone):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wider = alone.add_items(vectors={"new": NEW})
    assert wider.similar_items("new", k=1)[0].item == "i7"
    assert wider.texts[-1] == ""


def test_its_text_is_kept_to_be_shown_and_read_by_nobody(alone):
    plain, shown = alone.add_items(vectors={"new": NEW}), alone.add_items({"new": "a red lamp"}, vectors={"new": NEW})
    assert shown.texts[-1] == "a red lamp"
    assert (shown.scorer.vectors == plain.scorer.vectors).all()


def test_an_admitted_item_has_the_vector_that_it_would_have_had_in_the_catalogue(alone):
    rows = alone.add_items(vectors={"new": VECTORS["i4"]}).scorer.vectors
    np.testing.assert_allclose(rows[-1], rows[4], atol=1e-6)


def test_a_saved_recommender_admits_items_by_vectors(alone, tmp_path):
    alone.add_items(vectors={"new": NEW}).save(tmp_path / "saved")
    again = Recommender.load(tmp_path / "saved").add_items(vectors={"newer": NEW})
    assert {found.item for found in again.similar_items("newer", k=2)} == {"new", "i7"}


@pytest.mark.parametrize(
    ("texts", "vectors", "message"),
    [
        ({"a": "a lamp"}, None, r"1 of 1 new items have no vector, such as 'a'; this model ranks by vectors of 6"),
        ({"a": "x", "b": "y"}, {"a": NEW}, r"1 of 2 new items have no vector, such as 'b'"),
        (None, {"a": NEW[:5]}, r"the vector of item 'a' has the shape \(5,\); give 6 numbers"),
        (None, {"a": np.zeros(WIDTH)}, r"the vector of item 'a' is all zero; leave it out"),
        (None, {"a": [1, 2, 3, 4, 5, float("nan")]}, r"item 'a' has a value that is not finite"),
        (None, {"a": [1e300] * WIDTH}, r"item 'a' has a value that is not finite"),
        (None, {"a": ["1"] * WIDTH}, r"the vector of item 'a' is no array of numbers"),
        (None, {"a": [[1], [2, 3]]}, r"the vector of item 'a' is no array of numbers"),
        (None, {"i1": NEW}, r"item 'i1' is in the catalogue already"),
        (None, {" a": NEW}, r"item id ' a' must have no blanks around it"),
        (None, {"a": {"image": NEW}}, r"has a vector for 'image'; there are vectors"),
        (None, [NEW], r"vectors are arrays by ids"),
        (None, None, r"add_items takes texts by their ids"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_remedy(alone, texts, vectors, message):
    with pytest.raises(SsnaError, match=message):
        alone.add_items(texts, vectors=vectors)


def test_several_sources_are_named(two):
    with pytest.raises(
        SsnaError, match=r"item 'a' needs a vector for each of title, image: vectors=\{'sku-new': \{'ti"
    ):
        two.add_items(vectors={"a": NEW})
    wider = two.add_items(vectors={"a": {"title": VECTORS["i4"], "image": IMAGES["i4"]}})
    assert wider.similar_items("a", k=1)[0].item == "i4"


def test_beside_a_text_either_will_do_and_both_are_what_the_catalogue_has(data, beside):
    text = data.texts[4]
    both = beside.add_items({"new": text}, vectors={"new": {"image": IMAGES["i4"]}})
    vectors = both.scorer.members[0].scorer.vectors
    ids = beside.scorer.members[0].scorer
    h = ids.vectors[4]
    np.testing.assert_allclose(vectors[-1], h, atol=2e-3)  # 16 bits in the cache
    with pytest.warns(
        UserWarning, match=r"1 of 1 new items have no vector in image, such as 'new'; what else is known"
    ):
        by_text = beside.add_items({"new": text})
    by_image = beside.add_items(vectors={"new": {"image": IMAGES["i4"]}})
    found = [each.scorer.members[0].scorer.vectors[-1] for each in (both, by_text, by_image)]
    assert all(vector.any() for vector in found)
    assert not np.allclose(found[0], found[1])
    assert not np.allclose(found[0], found[2])


def test_a_text_that_says_nothing_beside_a_vector_is_not_read(beside):
    image = {"new": {"image": IMAGES["i4"]}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        of_the, without = beside.add_items({"new": "..."}, vectors=image), beside.add_items(vectors=image)
    assert np.array_equal(of_the.scorer.members[0].scorer.vectors, without.scorer.members[0].scorer.vectors)


def test_a_model_of_texts_takes_no_vector(data, language_model, tmp_path):
    texts_alone = trained(data, tmp_path, model=language_model)
    with pytest.raises(SsnaError, match=r"item 'a' comes with a vector, but this model was trained with none"):
        texts_alone.add_items({"a": "word1 word2"}, vectors={"a": NEW})


def test_explanations_leave_adapters_out_and_ranks_of_texts_say_why(alone, beside):
    for recommender in (alone, beside):
        explanation = explain(recommender, ["i1", "i2"], "i5")
        assert explanation.adapters is None
        assert sum(value for _, value in explanation.members) == pytest.approx(explanation.item.score, abs=1e-5)
    with pytest.raises(ArtifactError, match=r"cannot rank a text: it was trained with vectors"):
        rank_text(alone, ["i1"], "a red lamp")
    assert rank_text(beside, ["i1"], "word1 word2 word3").among == ITEMS


def test_a_language_model_that_moved_is_none_of_vectors(alone, language_model):
    with pytest.raises(ArtifactError, match=r"needs no language model; leave model out"):
        alone.with_model(language_model)
