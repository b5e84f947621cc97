import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from forked import answer_of
from text_models import one_at_a_time, save_tiny_model, some_texts

from ssna.core.errors import CacheError, EncoderError
from ssna.text import LayerCache, ReadOptions, embed, encode, fill
from ssna.text.encoder import TextEncoder
from ssna.text.models import LanguageModel
from ssna.text.writer import CacheWriter

pytestmark = pytest.mark.slow

TEXTS = ["", *some_texts(12)]


@pytest.fixture(scope="module")
def other_model(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("other") / "model", seed=1))


def encode_quietly(texts, model, out, *, quiet=True, **options):
    return encode(texts, model, out, ReadOptions(**{"dtype": "fp32", "device": "cpu", **options}), quiet=quiet)


def close_to_16_bits(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=2**-10, atol=2e-5)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_cache_holds_what_the_model_says_of_each_text(model, out):
    cache, _ = encode_quietly(TEXTS, model, out, pooling="cls", max_tokens=20)
    expected = one_at_a_time(model, TEXTS[1:], max_tokens=20)["cls"]
    close_to_16_bits(cache.top(3)[:, 1:], expected[::-1])
    assert not cache.top(3)[:, 0].any()


def test_the_report_counts_texts_and_tells_the_shape(model, out):
    _, report = encode_quietly([*TEXTS, TEXTS[1]], model, out)
    assert report.tokens_per_second > 0
    assert {**report.tree(), "tokens_per_second": 0} == {
        "encoded": 12,
        "reused": 1,
        "tokens_per_second": 0,
        "layers": 3,
        "width": 16,
        "cut": 0,
        "equal_by_cut": 0,
        "unknown": 0,
        "equal_vectors": 0,
    }


def test_a_second_run_encodes_nothing_and_does_not_even_load_the_weights(model, out, monkeypatch):
    encode_quietly(TEXTS, model, out)
    before = content(out)
    monkeypatch.setattr(LanguageModel, "weights", None)
    _, report = encode_quietly(TEXTS, model, out)
    assert (report.encoded, report.reused, report.tokens_per_second) == (0, 12, 0.0)
    assert content(out) == before


def test_a_changed_text_alone_is_encoded_again(model, out, monkeypatch):
    encode_quietly(TEXTS, model, out)
    seen = []
    real = TextEncoder.encode
    monkeypatch.setattr(TextEncoder, "encode", lambda self, texts, n: seen.extend(texts) or real(self, texts, n))
    changed = [*TEXTS[:5], "word7 word7", *TEXTS[6:]]
    cache, report = encode_quietly(changed, model, out)
    assert seen == ["word7 word7"]
    assert (report.encoded, report.reused) == (1, 11)
    close_to_16_bits(cache.top(1)[0, 5], one_at_a_time(model, ["word7 word7"], 40)["mean"][-1, 0])


def test_a_text_that_repeats_is_read_once_and_shares_its_row(model, out):
    cache, report = encode_quietly(["", "word1", "word2", "word1"], model, out)
    assert (report.encoded, report.reused) == (2, 1)
    assert cache.rows[1] == cache.rows[3]


def test_fewer_layers_are_the_top_ones_by_their_own_numbers(model, tmp_path):
    some, _ = encode_quietly(TEXTS, model, tmp_path / "some", layers=2)
    everything, _ = encode_quietly(TEXTS, model, tmp_path / "all")
    assert some.layers == (2, 3)
    np.testing.assert_array_equal(some.top(2), everything.top(2))


@pytest.mark.parametrize("options", [{"pooling": "cls"}, {"max_tokens": 9}, {"layers": 1}, {"dtype": "bf16"}])
def test_another_way_of_encoding_needs_another_folder(model, out, options):
    encode_quietly(TEXTS, model, out)
    before = content(out)
    ((option, value),) = options.items()
    with pytest.raises(CacheError, match=rf"was made with {option} .*\(asked: {value if option != 'layers' else 3}"):
        encode_quietly(TEXTS, model, out, **options)
    assert content(out) == before


def test_another_model_needs_another_folder(model, other_model, out):
    encode_quietly(TEXTS, model, out, layers=2)
    with pytest.raises(CacheError, match=rf"was made with model {model} .*\(asked: {other_model} "):
        encode_quietly(TEXTS, other_model, out)


def test_a_moved_model_is_the_same_model(model, out, tmp_path):
    encode_quietly(TEXTS, model, out)
    (tmp_path / "link").symlink_to(model)
    assert encode_quietly(TEXTS, str(tmp_path / "link"), out)[1].encoded == 0


@pytest.mark.parametrize("began", ["fp32", "bf16"])
def test_auto_goes_on_in_the_precision_that_the_cache_began_with(model, out, began):
    encode_quietly(TEXTS[:3], model, out, dtype=began)
    cache, _ = encode_quietly(TEXTS, model, out, dtype="auto")
    assert cache.encoding.dtype == began


def test_a_model_that_cannot_be_found_leaves_no_folder_behind(out):
    with pytest.raises(EncoderError):
        encode_quietly(TEXTS, "no/such/model", out)
    assert not out.exists()


def test_a_model_that_fails_midway_keeps_what_was_saved(model, out, monkeypatch):
    forward = TextEncoder._forward
    left = iter(range(4))

    def failing(self, batch, layers):
        if next(left, None) is None:
            raise EncoderError("gone")
        return forward(self, batch, layers)

    monkeypatch.setattr(fill, "SAVE_SECONDS", 0.0)
    monkeypatch.setitem(TextEncoder.encode.__globals__["TOKENS_PER_BATCH"], "cpu", 1)
    with monkeypatch.context() as patch:
        patch.setattr(TextEncoder, "_forward", failing)
        with pytest.raises(EncoderError, match="gone"):
            encode_quietly(TEXTS, model, out)
    cache, report = encode_quietly(TEXTS, model, out)
    assert (report.encoded, report.reused) == (8, 4)
    close_to_16_bits(cache.top(1)[0, 1:], one_at_a_time(model, TEXTS[1:], 40)["mean"][-1])


def test_values_too_large_for_16_bits_are_kept_in_32(tmp_path):
    folder = save_tiny_model(tmp_path / "model", "gpt2")
    found = TextEncoder.find(str(folder), ReadOptions(dtype="fp32")).network
    found.h[1].mlp.c_proj.bias.data[3] = 1e5
    found.save_pretrained(folder)
    cache, _ = encode_quietly(TEXTS, str(folder), tmp_path / "cache")
    assert sorted(p.suffixes[0] for p in cache.folder.glob("layer*")) == [".f16", ".f16", ".f32"]
    close_to_16_bits(cache.top(3)[:, 1:], one_at_a_time(folder, TEXTS[1:], 40)["mean"][::-1])


def test_embed_gives_what_the_cache_holds(model, out):
    cache, _ = encode_quietly(TEXTS, model, out, pooling="last", layers=2)
    close_to_16_bits(embed(TEXTS, cache.encoding), cache.top(2))
    close_to_16_bits(embed(TEXTS[1:], cache.encoding, layers=1), cache.top(1)[:, 1:])
    assert embed([], cache.encoding).shape == (2, 0, 16)


@pytest.mark.parametrize("layers", [0, 3])
def test_embed_refuses_layers_that_the_encoding_does_not_keep(model, out, layers):
    cache, _ = encode_quietly(TEXTS, model, out, layers=2)
    with pytest.raises(CacheError, match="keeps 2 layers"):
        embed(TEXTS, cache.encoding, layers=layers)


def test_embed_refuses_a_model_that_has_changed(tmp_path):
    folder = save_tiny_model(tmp_path / "model")
    cache, _ = encode_quietly(TEXTS, str(folder), tmp_path / "cache")
    save_tiny_model(folder, seed=1)
    with pytest.raises(EncoderError, match="has changed"):
        embed(["word1"], cache.encoding)


def test_embed_takes_threads_in_turn(model, out, monkeypatch):
    cache, _ = encode_quietly(TEXTS, model, out)
    inside, most, real = [], [], TextEncoder.vectors

    def slow(self, texts, layers):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        inside.pop()
        return real(self, texts, layers)

    monkeypatch.setattr(TextEncoder, "vectors", slow)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: embed(TEXTS, cache.encoding), range(4)))
    assert most == [1, 1, 1, 1]
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_without_a_folder_the_users_cache_directory_keeps_one_for_each_way_of_encoding(
    model, other_model, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    first, _ = encode_quietly(TEXTS, model, None)
    again, report = encode_quietly(TEXTS[:3], model, None)
    assert first.folder == again.folder
    assert first.folder.parent == tmp_path / "home" / "ssna"
    assert first.folder.name.endswith("-mean-40-fp32")
    assert report.encoded == 0
    for options in ({"layers": 1}, {"pooling": "cls"}, {"max_tokens": 9}, {"dtype": "bf16"}):
        assert encode_quietly(TEXTS, model, None, **options)[1].encoded == 12
    assert encode_quietly(TEXTS, other_model, None)[1].encoded == 12


def test_the_size_is_told_beforehand_and_nothing_goes_to_standard_output(model, out, capfd, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    encode(TEXTS, model, out, ReadOptions(dtype="fp32"))
    output, errors = capfd.readouterr()
    assert output == ""
    assert f"12 texts to encode, 3 layers x 16 numbers: 0.0 MB in {out}" in errors
    assert "tokens/s" in errors


def test_quiet_is_silent(model, out, capfd):
    encode_quietly(TEXTS, model, out)
    assert capfd.readouterr() == ("", "")


def test_rows_are_saved_every_few_seconds_and_before_they_fill_the_memory(model, out, monkeypatch):
    monkeypatch.setitem(TextEncoder.encode.__globals__["TOKENS_PER_BATCH"], "cpu", 1)
    sizes = []
    append = CacheWriter.append
    monkeypatch.setattr(CacheWriter, "append", lambda self, k, v, n: sizes.append(len(k)) or append(self, k, v, n))
    monkeypatch.setattr(fill, "SAVE_BYTES", 4 * 3 * 16 * 4)  # four texts
    encode_quietly(TEXTS, model, out)
    assert sizes == [5, 5, 2]
    assert LayerCache.open(out, TEXTS).top(3).any(axis=2)[:, 1:].all()


def test_half_precision_of_the_model_leaves_pooling_in_32_bits(model, out):
    cache, _ = encode_quietly(TEXTS, model, out, dtype="bf16")
    vectors = cache.top(1)[0, 1:]
    assert (torch.from_numpy(vectors).bfloat16().float().numpy() != vectors).any()


@pytest.mark.fork
def test_a_fork_reads_texts_though_another_thread_of_its_parent_was_reading(model, out):
    cache, _ = encode_quietly(TEXTS, model, out)
    expected = embed(TEXTS[:3], cache.encoding)
    with fill._ONE_AT_A_TIME:
        found = answer_of(lambda: embed(TEXTS[:3], cache.encoding).tolist())
    np.testing.assert_array_equal(np.array(found, dtype=np.float32), expected)


@pytest.mark.fork
@pytest.mark.parametrize("lost", [True, False])
def test_a_fork_keeps_the_model_of_its_parent_unless_that_is_on_a_gpu(model, out, monkeypatch, lost):
    cache, _ = encode_quietly(TEXTS, model, out)
    embed(TEXTS[:3], cache.encoding)
    monkeypatch.setattr(fill, "lost_the_gpu", lambda: lost)
    assert answer_of(lambda: fill._encoder_like.cache_info().currsize) == (0 if lost else 1)
    assert fill._encoder_like.cache_info().currsize == 1
