"""Layer caches of vectors from elsewhere: keyed by items, alone or beside a language model's layers."""

import json
from dataclasses import replace

import numpy as np
import pytest
from text_models import some_texts

from ssna.core.errors import CacheError, SettingsError
from ssna.data.dataset import IdMap
from ssna.text import LayerCache, ReadOptions, encode
from ssna.text.fill_items import Items, encode_items
from ssna.text.sources import open_sources
from ssna.text.writer import CacheWriter

IDS = tuple(f"i{row}" for row in range(1, 7))
TEXTS = ("", *some_texts(4), "the same", "the same")
VALUES = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
WIDE = 100 * np.random.default_rng(1).normal(size=(6, 20)).astype(np.float32)


def items(texts=TEXTS, ids=IDS):
    return Items(texts, ids, IdMap(ids).find, len(ids))


def fill(vectors, out, model=None, of=None, **options):
    how = ReadOptions(device="cpu", **options)
    return encode_items(items() if of is None else of, vectors, model, out, how, quiet=True)


def test_a_cache_holds_the_vectors_as_they_were_given(out):
    cache, report = fill((IDS[::-1], VALUES[::-1]), out)
    assert np.array_equal(cache.top(1)[0], np.concatenate([np.zeros((1, 5)), VALUES]))
    assert (report.encoded, report.reused, report.without) == (6, 0, ())
    again = LayerCache.open(out, TEXTS, IDS)
    assert np.array_equal(again.top(1), cache.top(1))


def test_items_of_one_text_keep_their_own_vectors(out):
    top = fill((IDS, VALUES), out)[0].top(1)[0]
    assert TEXTS[5] == TEXTS[6]
    assert not np.array_equal(top[5], top[6])


def test_a_text_that_changes_does_not_matter_to_vectors_alone(out):
    fill((IDS, VALUES), out)
    cache = LayerCache.open(out, ("", *["another"] * 6), IDS)
    assert np.array_equal(cache.top(1)[0, 1:], VALUES)


def test_numbers_of_16_bits_take_half_the_place(out):
    fill((IDS, VALUES.astype(np.float16)), out)
    assert (out / "layer-s1-01.f16.bin").stat().st_size == 6 * 5 * 2


def test_several_layers_of_a_source_are_taken_from_the_top(out):
    layered = np.stack([VALUES, 2 * VALUES, 3 * VALUES], axis=1)
    cache, _ = fill((IDS, layered), out)
    assert cache.reach(2) == 2
    assert cache.reach(9) == 3
    assert np.array_equal(cache.top(2)[:, 1:], np.stack([3 * VALUES, 2 * VALUES]))


def test_an_item_without_a_vector_is_counted_and_gets_zeros(out):
    cache, report = fill((IDS[:4], VALUES[:4]), out)
    assert report.without == (("vectors", 2, "i5"),)
    assert report.tree()["without_vector"] == [{"source": "vectors", "items": 2, "example": "i5"}]
    assert not cache.top(1)[0, 5:].any()


def test_ids_are_tidied_as_those_of_logs_are(out):
    ids = ("17", "18", "19", "20", "21", "22")
    cache, report = fill((np.array([17.0, 18, 19, 20, 21, 22]), VALUES), out, of=items(ids=ids))
    assert not report.without
    assert np.array_equal(cache.top(1)[0, 1:], VALUES)


def test_ids_that_do_not_meet_are_refused_with_an_example_of_each(out):
    with pytest.raises(CacheError, match=r"none of 6 ids is an item of the data, such as 'x1'; .* such as 'i1'"):
        fill((["x1", "x2", "x3", "x4", "x5", "x6"], VALUES), out)
    assert not out.exists()


def test_an_item_with_two_vectors_is_refused(out):
    with pytest.raises(CacheError, match=r"item 'i1' has several vectors; give one an item"):
        fill((("i1", " i1", *IDS[2:]), VALUES), out)


def test_only_what_a_cache_lacks_is_added_and_another_vector_is_refused(out):
    fill((IDS[:4], VALUES[:4]), out, of=items(TEXTS[:5], IDS[:4]))
    cache, report = fill((IDS, VALUES), out)
    assert (report.encoded, report.reused) == (2, 4)
    assert np.array_equal(cache.top(1)[0, 1:], VALUES)
    changed = VALUES.copy()
    changed[2, 0] += 1
    with pytest.raises(CacheError, match=r"has another vector of item 'i3'; vectors there stay\nname another output"):
        fill((IDS, changed), out)


@pytest.mark.parametrize("vectors", [(IDS, WIDE), (IDS, VALUES.astype("f2"))])
def test_vectors_of_another_kind_are_refused(out, vectors):
    fill((IDS, VALUES), out)
    with pytest.raises(CacheError, match=r"was made with .*vectors of 1 x 5 f32 \(asked: vectors of 1 x "):
        fill(vectors, out)


def test_a_cache_of_items_is_not_opened_by_texts_nor_for_other_items(out):
    fill((IDS, VALUES), out)
    with pytest.raises(CacheError, match="those of items; name the items"):
        LayerCache.open(out, TEXTS)
    with pytest.raises(CacheError, match=r"1 of 6 items are not in it; run `ssna\.encode\(data, vectors=\.\.\., out="):
        LayerCache.open(out, TEXTS, (*IDS[:5], "other"))


def test_several_sources_stand_side_by_side_and_zeros_fill_narrow_ones(out):
    cache, _ = fill({"title": (IDS, VALUES), "image": (IDS, WIDE)}, out)
    assert [source.name for source in cache.encoding.sources] == ["title", "image"]
    assert (cache.width, cache.reach(1), cache.reach(3)) == (20, 2, 2)
    image, title = cache.top(2)[:, 1:]
    assert np.array_equal(title[:, :5], VALUES)
    assert not title[:, 5:].any()
    scale = cache.encoding.sources[1].scale
    np.testing.assert_array_equal(image, WIDE * np.float32(scale))
    lengths = [np.linalg.norm(each, axis=1).mean() for each in (image, title)]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-5)


def test_sources_keep_their_scale_when_items_are_added(out):
    first, _ = fill({"a": (IDS, VALUES), "b": (IDS[:4], WIDE[:4])}, out, of=items(TEXTS[:5], IDS[:4]))
    second, _ = fill({"a": (IDS, VALUES), "b": (IDS, WIDE)}, out)
    assert second.encoding == first.encoding


def test_files_are_called_by_their_names_or_as_it_is_said(tmp_path):
    for name in ("title", "image"):
        np.save(tmp_path / f"{name}.npy", VALUES)
        (tmp_path / f"{name}.ids.txt").write_text("\n".join(IDS))
    title, image = str(tmp_path / "title.npy"), str(tmp_path / "image.npy")
    assert [source.name for source in open_sources([title])] == ["vectors"]
    assert [source.name for source in open_sources([title, f"picture={image}"])] == ["title", "picture"]
    with pytest.raises(SettingsError, match=r"two sources of vectors are called title; name them: vectors = 'NAME="):
        open_sources([title, title])


@pytest.mark.slow
def test_vectors_stand_above_the_layers_of_a_language_model(model, out, tmp_path):
    cache, _ = fill((IDS, VALUES), out, model, dtype="fp32")
    alone, _ = encode(TEXTS, model, tmp_path / "text", ReadOptions(dtype="fp32", device="cpu"), quiet=True)
    assert (cache.reach(2), cache.width, cache.encoding.depth) == (3, 16, 3)
    scale = np.float32(cache.encoding.sources[0].scale)
    np.testing.assert_array_equal(cache.top(4)[0, 1:, :5], VALUES * scale)
    np.testing.assert_array_equal(cache.top(4)[1:], alone.top(3))


@pytest.mark.slow
def test_wide_vectors_leave_zeros_behind_the_layers_of_a_narrow_model(model, out):
    cache, _ = fill((IDS, WIDE), out, model, layers=1)
    assert (cache.width, cache.encoding.text_width) == (20, 16)
    assert not cache.top(2)[1, :, 16:].any()
    assert (out / "layer-03.f16.bin").stat().st_size == 6 * 16 * 2


@pytest.mark.slow
def test_a_text_is_read_anew_when_it_changes(model, out):
    fill((IDS, VALUES), out, model)
    changed = (*TEXTS[:6], "word1 word2")
    cache, report = fill((IDS, VALUES), out, model, of=items(changed))
    assert (report.encoded, report.reused) == (1, 5)
    top = cache.top(1 + 1)[1]
    assert not np.array_equal(top[5], top[6])


@pytest.mark.slow
def test_items_without_texts_have_zeros_for_the_model_and_their_own_vectors(model, out):
    cache, _ = fill((IDS, VALUES), out, model, of=items(("", "", *TEXTS[2:])))
    assert not cache.top(4)[1:, 1].any()
    assert cache.top(4)[0, 1].any()


def test_a_kill_between_two_saves_loses_no_row_that_was_there(out, monkeypatch):
    class Killed(BaseException):
        pass

    append, calls = CacheWriter.append, []

    def dying(self, keys, vectors, notes):
        calls.append(len(keys))
        if len(calls) > 1:
            raise Killed
        append(self, keys, vectors, notes)

    monkeypatch.setattr("ssna.text.fill_items.AT_ONCE", 2)
    monkeypatch.setattr("ssna.text.fill_items.SAVE_BYTES", 0)
    monkeypatch.setattr(CacheWriter, "append", dying)
    with pytest.raises(Killed):
        fill((IDS, VALUES), out)
    monkeypatch.setattr(CacheWriter, "append", append)
    cache, report = fill((IDS, VALUES), out)
    assert (report.encoded, report.reused) == (4, 2)
    assert np.array_equal(cache.top(1)[0, 1:], VALUES)


def test_without_a_folder_the_same_vectors_find_their_cache_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first, _ = fill((IDS, VALUES), None)
    again, report = fill((IDS, VALUES), None)
    other, _ = fill((IDS, VALUES + 1), None)
    assert first.folder == again.folder != other.folder
    assert report.reused == 6


def test_the_manifest_of_texts_alone_is_as_it_was(model, out):
    cache, _ = encode(TEXTS, model, out, ReadOptions(dtype="fp32", device="cpu"), quiet=True)
    assert {"sources", "model_width"}.isdisjoint(json.loads((out / "manifest.json").read_text()))
    assert cache.encoding.fingerprint == replace_sources(cache.encoding).fingerprint


def replace_sources(encoding):
    return encoding.model_copy(update={"sources": None})


def test_the_fingerprint_tells_sources_apart(out, tmp_path):
    one = fill((IDS, VALUES), out)[0].encoding
    other = fill((IDS, WIDE), tmp_path / "other")[0].encoding
    assert one.fingerprint != other.fingerprint


def test_what_is_read_of_new_items_lies_behind_the_catalogue(out):
    cache, report = fill((IDS, VALUES), out, of=replace(items(), needed=4))
    assert not report.without
    assert len(cache.rows) == 7


@pytest.mark.slow
def test_a_cache_with_vectors_goes_on_as_it_began(model, out):
    began, _ = fill((IDS[:4], VALUES[:4]), out, model, of=items(TEXTS[:5], IDS[:4]), pooling="last", max_tokens=9)
    cache, report = fill((IDS, VALUES), out, model)
    assert (report.encoded, report.reused) == (2, 4)
    assert (cache.pooling, cache.max_tokens, cache.encoding) == ("last", 9, began.encoding)
