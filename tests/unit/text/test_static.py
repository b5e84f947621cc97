"""Static models of model2vec: a tiny random one, in its own form on the disk."""

import json
import sys

import numpy as np
import pytest
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from ssna.core.errors import EncoderError
from ssna.data.dataset import IdMap
from ssna.text import LayerCache
from ssna.text.fill_items import Items, encode_items
from ssna.text.states import states
from ssna.text.static import find_static, is_static, static_like

IDS = ("i1", "i2", "i3", "i4")
TEXTS = ("", "word1 word2", "word3", "word3", "nothing known")
TABLE = np.random.default_rng(0).normal(size=(11, 8)).astype(np.float32)
TABLE[0] = 0  # of what is not known


def save(folder, table=TABLE):
    words = Tokenizer(
        WordLevel({word: n for n, word in enumerate(["[UNK]", *(f"word{n}" for n in range(10))])}, "[UNK]")
    )
    words.pre_tokenizer = Whitespace()
    StaticModel(table, words, config={"model_type": "model2vec", "normalize": False}).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(tmp_path_factory.mktemp("static") / "tiny")


def fill(model, out):
    return encode_items(Items(TEXTS, IDS, IdMap(IDS).find, 4), model, None, out, quiet=True)


def test_a_text_is_the_mean_of_its_words(model, out):
    cache, report = fill(model, out)
    top = cache.top(cache.reach(1))[0]
    np.testing.assert_allclose(top[1], (TABLE[2] + TABLE[3]) / 2, rtol=1e-6)
    np.testing.assert_allclose(top[2], TABLE[4], rtol=1e-6)
    assert not top[4].any()
    assert (cache.width, report.without) == (8, ())


def test_a_text_that_changes_is_read_anew(model, out):
    fill(model, out)
    changed = Items((*TEXTS[:4], "word5"), IDS, IdMap(IDS).find, 4)
    cache, report = encode_items(changed, model, None, out, quiet=True)
    assert report.encoded == 1
    np.testing.assert_allclose(cache.top(1)[0, 4], TABLE[6], rtol=1e-6)


def test_new_items_come_by_their_texts_with_the_states_that_a_cache_has(model, out):
    cache, _ = fill(model, out)
    assert cache.encoding.reads_text
    assert not cache.encoding.has_model
    new = states(TEXTS[1:], [{}] * 4, cache.encoding, 1)
    np.testing.assert_array_equal(new, cache.top(1)[:, 1:])


def test_it_stands_beside_vectors_that_are_given(model, out):
    given = {"image": (IDS, np.ones((4, 3), dtype=np.float32)), "static": model}
    cache, _ = encode_items(Items(TEXTS, IDS, IdMap(IDS).find, 4), given, None, out, quiet=True)
    assert [(source.name, source.model) for source in cache.encoding.sources] == [("image", None), ("static", model)]
    assert [source.name for source in cache.encoding.given] == ["image"]
    assert LayerCache.open(out, TEXTS, IDS).reach(1) == 2


def test_a_model_that_changed_is_refused(model, out, tmp_path):
    cache, _ = fill(model, out)
    source = cache.encoding.sources[0]
    with pytest.raises(EncoderError, match=r"has changed: [0-9a-f]{12} now, 000000000000 when the vectors were made"):
        static_like(source.model_copy(update={"revision": "0" * 64}))


def test_one_number_of_its_weights_makes_it_another_model(tmp_path):
    before = find_static(save(tmp_path / "tiny"), "vectors").revision
    assert find_static(save(tmp_path / "copy"), "vectors").revision == before
    table = TABLE.copy()
    table[3, 3] += 1
    assert find_static(save(tmp_path / "tiny", table), "vectors").revision != before


def test_weights_that_are_not_finite_are_an_error_in_words(tmp_path):
    table = TABLE.copy()
    table[2] = np.nan
    found = find_static(save(tmp_path / "tiny", table), "vectors")
    assert found.vectors(["", "word2"]).any(axis=2).tolist() == [[False], [True]]
    with pytest.raises(EncoderError, match=r"values that are not finite\nits weights are damaged"):
        found.vectors(["word1"])


def test_a_folder_of_another_kind_is_an_error_in_words(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(EncoderError, match=r"is no static model of model2vec\nname a language model with model"):
        find_static(str(tmp_path), "vectors")


def test_only_folders_of_static_models_and_hub_ids_are_taken_for_one(model, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert is_static(model)
    assert is_static("minishlab/potion-base-8M")
    assert not any(map(is_static, [tmp_path, "vectors.npy", "a/b.npy", "./a/b", {"i1": [1.0]}, None]))


def test_a_hub_that_does_not_answer_is_an_error_in_words(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EncoderError, match=r"nobody/nothing is no folder, and cannot be fetched; check the name"):
        find_static("nobody/nothing", "vectors")


def test_damaged_weights_are_an_error_in_words(model, tmp_path, out):
    import shutil

    shutil.copytree(model, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"\0" * 50)
    with pytest.raises(EncoderError, match=r"cannot be read as a static model .*\nfetch it again"):
        fill(str(tmp_path / "broken"), out)


def test_without_the_library_the_error_names_the_extra(model, monkeypatch, out):
    monkeypatch.setitem(sys.modules, "model2vec", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EncoderError, match=r"which model2vec reads\npip install 'ssna\[static\]'"):
        fill(model, out)
