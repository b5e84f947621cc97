"""What the model cannot see of texts is counted, said with an example, and said again by a cache that is opened."""

import json
import warnings

import numpy as np
import pytest

from ssna.core.errors import for_shell
from ssna.data.dataset import IdMap
from ssna.text import LayerCache, ReadOptions, encode
from ssna.text.fill_items import Items, encode_items
from ssna.text.notes import CUT, UNKNOWN, unseen

pytestmark = pytest.mark.slow

LONG = "word1 word2 word3 word4 word5"
TEXTS = ["", LONG, f"{LONG} word6", f"{LONG} word7", "กขค งจฉ", "สวัสดี", "word8 word9", "word8"]


def fill(texts, model, out):
    how = ReadOptions(dtype="fp32", device="cpu", max_tokens=7)
    return encode(texts, model, out, how, quiet=True)


def test_cut_and_unknown_texts_are_counted_and_what_became_equal(model, out):
    _, report = fill(TEXTS, model, out)  # [CLS] and [SEP] leave five tokens
    assert report.unseen.tree() == {"cut": 2, "equal_by_cut": 2, "unknown": 2, "equal_vectors": 3}


def test_a_text_of_just_as_many_tokens_as_are_read_was_not_cut(model, out):
    assert fill(["", LONG], model, out)[1].unseen.cut == 0
    assert fill(["", f"{LONG} word6"], model, out)[1].unseen.cut == 1


def test_the_lines_have_figures_examples_and_remedies(model, out):
    cut, unknown, equal = fill(TEXTS, model, out)[0].warnings
    assert cut == (
        f"2 of 7 texts have more than 7 tokens and were cut, such as '{LONG} word6'; 2 of these are equal to another "
        "text since; read more with max_tokens, or with a model that reads longer texts"
    )
    assert unknown == (
        f"2 of 7 texts have no token that {model} knows, such as 'กขค งจฉ'; take a multilingual model, such as "
        "model = 'intfloat/multilingual-e5-small'"
    )
    assert equal.startswith(f"3 of 7 texts have a vector that another has, too, such as '{LONG}' and '{LONG} word6'; ")


def test_the_shell_has_its_own_words(model, out):
    lines = [for_shell(line) for line in fill(TEXTS, model, out)[0].warnings_to_word()]
    assert "read more with --max-tokens, or" in lines[0]
    assert "such as --model intfloat/multilingual-e5-small" in lines[1]


def test_a_cache_says_it_again_for_the_texts_that_it_is_opened_for(model, out):
    cache, _ = fill(TEXTS, model, out)
    assert LayerCache.open(out, TEXTS).warnings == cache.warnings
    assert LayerCache.open(out, ["", LONG, "word8"]).warnings == ()
    again, report = fill(TEXTS, model, out)
    assert (report.encoded, again.warnings) == (0, cache.warnings)


def test_a_text_that_several_items_share_is_one(model, out):
    assert fill(["", "word1 word2", "word1 word2"], model, out)[0].warnings == ()


def test_several_folders_are_counted_together(model, tmp_path):
    first, _ = fill(TEXTS[:3], model, tmp_path / "a")
    second, _ = fill(TEXTS[3:], model, tmp_path / "b")
    together = LayerCache.open((first.folder, second.folder), ["", *TEXTS[1:]])
    whole, _ = fill(TEXTS, model, tmp_path / "c")
    assert together.unseen == whole.unseen


def test_a_cache_of_before_says_what_its_vectors_tell_and_grows_on(model, out):
    fill(TEXTS[:5], model, out)
    manifest = json.loads((out / "manifest.json").read_text())
    del manifest["notes"]
    (out / "manifest.json").write_text(json.dumps(manifest))
    (out / "notes.bin").unlink()
    cache, report = fill(TEXTS, model, out)
    assert report.unseen.tree() == {"cut": None, "equal_by_cut": None, "unknown": None, "equal_vectors": 3}
    assert [line[:6] for line in cache.warnings] == ["3 of 7"]
    assert not (out / "notes.bin").exists()


def test_damaged_notes_leave_the_vectors_as_they_are(model, out):
    cache, _ = fill(TEXTS, model, out)
    (out / "notes.bin").write_bytes(b"")
    damaged = LayerCache.open(out, TEXTS)
    assert np.array_equal(damaged.top(3), cache.top(3))
    assert damaged.unseen.noted == 0


def test_beside_vectors_texts_are_noted_and_items_are_told_apart_by_either(model, out):
    ids = tuple(f"i{row}" for row in range(1, 8))
    image = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    items = Items(tuple(TEXTS), ids, IdMap(ids).find, 7)
    cache, report = encode_items(
        items, (ids, image), model, out, ReadOptions(dtype="fp32", device="cpu", max_tokens=7), quiet=True
    )
    assert report.unseen.tree() == {"cut": 2, "equal_by_cut": 2, "unknown": 2, "equal_vectors": 0}
    assert len(cache.warnings) == 2


def test_equal_vectors_of_items_are_named_by_the_items(out):
    ids = ("i1", "i2", "i3")
    vectors = np.float32([[1, 2], [1, 2], [3, 4]])
    items = Items(("", "a", "b", "c"), ids, IdMap(ids).find, 3)
    (line,) = encode_items(items, (ids, vectors), None, out, quiet=True)[0].warnings
    assert line.startswith("2 of 3 items have a vector that another has, too, such as 'i1' and 'i2'; ")


def test_missing_vectors_are_not_equal_ones():
    found = unseen(np.arange(1, 4), None, iter([b"", b"", b"a"]))
    assert (found.equal_vectors, found.noted) == (0, 0)


def test_flags_of_rows_that_nothing_was_noted_of_count_for_nothing():
    notes = np.zeros((2, 9), dtype=np.uint8)
    notes[0, 0] = CUT
    notes[1] = (CUT + UNKNOWN, *range(1, 9))
    found = unseen(np.array([1, 2]), notes, iter([b"a", b"b"]))
    assert (found.noted, found.cut, found.unknown) == (1, 1, 1)
    assert found.examples == {"cut": [2], "unknown": [2]}


def test_nothing_is_said_of_texts_that_are_read_whole(model, out):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fill(["", "word1", "word2 word3"], model, out)[0].warnings == ()
