"""A language model that was moved is found again by what its files are."""

import shutil
from pathlib import Path

import pytest
from text_models import save_tiny_model

from ssna.core.errors import ArtifactError, EncoderError
from ssna.recommender import Recommender
from ssna.recommender.explanation import rank_text
from ssna.runs import train
from ssna.text import ReadOptions, encode

pytestmark = pytest.mark.slow

NEW = {"new": "word1 word2 word3"}


@pytest.fixture(scope="module")
def places(random_data, distinct_texts, language_model, tmp_path_factory) -> dict[str, Path]:
    """A saved recommender, whose language model is gone from ``old`` and lies in ``here``; and ``other`` models."""
    folder = tmp_path_factory.mktemp("moved")
    shutil.copytree(language_model, folder / "old")
    data = random_data(seed=8, items=20, texts=distinct_texts(20))
    cache, _ = encode(
        data.texts, str(folder / "old"), folder / "cache", ReadOptions(dtype="fp32", device="cpu"), quiet=True
    )
    train(data, cache, method="text-knn", settings=["dim=8"], quiet=True).recommender.save(folder / "saved")
    train(data, None, method="item-knn", quiet=True).recommender.save(folder / "no text")
    (folder / "old").rename(folder / "here")
    save_tiny_model(folder / "other", seed=1)
    return {name: folder / name for name in ("saved", "no text", "old", "here", "other")}


def test_without_its_model_a_recommender_answers_and_says_how_to_name_the_new_place(places):
    recommender = Recommender.load(places["saved"])
    assert recommender.recommend([["i1"]])[0].items
    with pytest.raises(EncoderError, match=r"no longer in .*/old\nsay where it lies now: model = 'FOLDER'") as error:
        recommender.add_items(NEW)
    assert "--model FOLDER" in error.value.for_command_line


@pytest.mark.parametrize("named", ["at load", "at add_items"])
def test_the_new_place_may_be_named_and_is_saved(places, named, tmp_path):
    at_load, at_add = (places["here"], None) if named == "at load" else (None, str(places["here"]))
    wider = Recommender.load(places["saved"], model=at_load).add_items(NEW, model=at_add)
    assert "new" in wider.items
    wider.save(tmp_path / "saved")
    again = Recommender.load(tmp_path / "saved")
    assert again.encoding.model == str(places["here"])
    assert rank_text(again, ["i1"], "word4 word5").among == 21


def test_another_model_is_refused_by_its_files(places):
    with pytest.raises(EncoderError, match=r"other is not .*/old, by which items were read: its files have"):
        Recommender.load(places["saved"], model=str(places["other"]))
    with pytest.raises(EncoderError, match=r"other is not .*/old"):
        Recommender.load(places["saved"]).add_items(NEW, model=str(places["other"]))


def test_a_place_without_a_model_is_refused(places, tmp_path):
    with pytest.raises(EncoderError, match="holds no config"):
        Recommender.load(places["saved"], model=str(tmp_path))


def test_a_model_that_reads_no_text_needs_none(places):
    with pytest.raises(ArtifactError, match="reads no text"):
        Recommender.load(places["no text"], model=str(places["here"]))
