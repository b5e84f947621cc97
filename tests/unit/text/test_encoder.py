from functools import cache

import numpy as np
import pytest
import torch
from text_models import DECODERS, POSITIONS, SIZES, WORDS, one_at_a_time, save_tiny_model, some_texts

from ssna.core.errors import EncoderError
from ssna.text import ReadOptions
from ssna.text import encoder as encoder_module
from ssna.text.encoder import TextEncoder, choose_dtype, pool

TEXTS = some_texts(12)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Folders of tiny models, made once each."""
    return cache(lambda architecture: save_tiny_model(tmp_path_factory.mktemp(architecture), architecture))


@pytest.fixture(scope="module")
def reference(tiny):
    """Every pooling's vectors of TEXTS, cut to 20 tokens, made once an architecture."""
    return cache(lambda architecture: one_at_a_time(tiny(architecture), TEXTS, max_tokens=20))


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Tiny models lose more to threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def find(folder, **settings):
    return TextEncoder.find(str(folder), ReadOptions(**{"dtype": "fp32", "device": "cpu", **settings}))


SENSIBLE = [(name, pooling) for name in sorted(SIZES) for pooling in ("cls", "mean", "last")]


@pytest.mark.parametrize(("architecture", "pooling"), [(n, p) for n, p in SENSIBLE if p != "cls" or n not in DECODERS])
def test_vectors_equal_those_of_one_text_at_a_time_without_padding(tiny, reference, architecture, pooling):
    vectors = find(tiny(architecture), pooling=pooling, max_tokens=20).vectors(TEXTS, layers=3)
    np.testing.assert_allclose(vectors, reference(architecture)[pooling], atol=2e-5)


def test_a_vector_does_not_depend_on_the_rest_of_its_batch(tiny):
    encoder = find(tiny("bert"))
    alone = np.concatenate([encoder.vectors([text], layers=3) for text in TEXTS], axis=1)
    np.testing.assert_allclose(encoder.vectors(TEXTS[::-1], layers=3)[:, ::-1], alone, atol=2e-5)


def test_fewer_layers_are_the_top_ones(tiny):
    encoder = find(tiny("bert"))
    np.testing.assert_array_equal(encoder.vectors(TEXTS, layers=2), encoder.vectors(TEXTS, layers=3)[1:])


@pytest.mark.parametrize(("pooling", "expected"), [("cls", 1.0), ("last", 3.0), ("mean", 2.0)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_pooling_reads_real_tokens_only_on_whichever_side_the_padding_stands(side, pooling, expected):
    real, padding = [[1.0], [2.0], [3.0]], [[float("nan")], [float("inf")]]
    states = torch.tensor([padding + real if side == "left" else real + padding], dtype=torch.bfloat16)
    mask = torch.tensor([[False] * 2 + [True] * 3 if side == "left" else [True] * 3 + [False] * 2])
    assert pool(states, mask, pooling).tolist() == [[expected]]


def test_pooling_adds_up_in_32_bits():
    states = torch.ones(1, 1000, 1, dtype=torch.bfloat16)
    states[0, 0] = 1000.0
    assert pool(states, torch.ones(1, 1000, dtype=torch.bool), "mean").item() == pytest.approx(1.999)


@pytest.mark.parametrize(("architecture", "limit"), [("bert", POSITIONS), ("roberta", POSITIONS - 2)])
def test_texts_are_cut_at_the_last_position_the_model_has(tiny, architecture, limit):
    encoder = find(tiny(architecture))
    assert encoder.max_tokens == limit
    assert np.isfinite(encoder.vectors([" ".join(WORDS)], layers=3)).all()


def test_texts_are_cut_at_512_tokens_where_the_model_has_no_limit(tiny):
    assert find(tiny("t5")).max_tokens == 512


@pytest.mark.parametrize("max_tokens", [2, POSITIONS + 1])
def test_a_token_limit_that_the_model_cannot_keep_is_refused(tiny, max_tokens):
    with pytest.raises(EncoderError, match=rf"reads 3 to {POSITIONS} tokens.*max_tokens = {max_tokens}"):
        find(tiny("bert"), max_tokens=max_tokens)


@pytest.mark.parametrize("layers", [0, 4])
def test_more_layers_than_the_model_has_are_refused(tiny, layers):
    with pytest.raises(EncoderError, match="has 3 layers"):
        find(tiny("bert")).encoding(layers)


def test_a_text_without_any_token_still_gets_a_vector(tiny):
    vectors = find(tiny("gpt2")).vectors(["  ", "word1"], layers=3)
    assert np.isfinite(vectors).all()
    assert vectors[:, 0].any()


def test_an_empty_text_gets_a_zero_vector(tiny):
    vectors = find(tiny("bert")).vectors(["", "word1", ""], layers=3)
    assert not vectors[:, [0, 2]].any()
    assert vectors[:, 1].any()


def test_half_a_surrogate_pair_is_read_as_a_question_mark(tiny):
    vectors = find(tiny("bert")).vectors(["word1 \ud800", "word1 ?"], layers=3)
    np.testing.assert_array_equal(vectors[:, 0], vectors[:, 1])


def test_batches_stay_within_the_token_budget_and_are_halved_when_memory_runs_out(tiny, monkeypatch):
    encoder = find(tiny("bert"))
    expected = encoder.vectors(TEXTS, layers=3)
    sizes = []
    forward = TextEncoder._forward

    def short_of_memory(self, batch, layers):
        sizes.append(len(batch) * max(map(len, batch)))
        if len(batch) > 2:
            raise torch.OutOfMemoryError
        return forward(self, batch, layers)

    monkeypatch.setattr(TextEncoder, "_forward", short_of_memory)
    monkeypatch.setitem(encoder_module.TOKENS_PER_BATCH, "cpu", 100)
    np.testing.assert_allclose(encoder.vectors(TEXTS, layers=3), expected, atol=2e-5)
    assert 50 < max(sizes) <= 100


def test_no_memory_for_a_single_text_is_a_named_error(tiny, monkeypatch):
    def no_memory(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(TextEncoder, "_forward", no_memory)
    with pytest.raises(EncoderError, match="no memory for one text of 3 tokens"):
        find(tiny("bert")).vectors(["word1"], layers=3)


def test_texts_are_tokenized_in_windows(tiny, monkeypatch):
    expected = find(tiny("bert")).vectors(TEXTS, layers=3)
    monkeypatch.setattr(encoder_module, "WINDOW", 7)
    np.testing.assert_allclose(find(tiny("bert")).vectors(TEXTS, layers=3), expected, atol=2e-5)


def test_values_that_are_not_finite_are_a_named_error(tiny):
    encoder = find(tiny("bert"))
    next(iter(encoder.network.parameters())).data.fill_(float("nan"))
    with pytest.raises(EncoderError, match="not finite, even in fp32"):
        encoder.vectors(["word1"], layers=3)


def test_values_that_are_not_finite_in_one_text_alone_are_a_named_error(tiny):
    encoder = find(tiny("bert"))
    _ = encoder.probe
    encoder.network.embeddings.word_embeddings.weight.data[encoder.tokenize(["word1"])[0][1]] = float("nan")
    with pytest.raises(EncoderError, match="not finite in fp32"):
        encoder.vectors(["word1"], layers=3)


def test_a_tokenizer_of_another_model_is_a_named_error(tiny):
    encoder = find(tiny("bert"))
    encoder.model.tokenizer.add_tokens([f"new{n}" for n in range(20)])
    with pytest.raises(EncoderError, match="tokenizer belongs to another model"):
        encoder.vectors(["new19"], layers=3)


def test_bf16_stays_close_to_fp32(tiny):
    narrow, wide = (find(tiny("bert"), dtype=dtype).vectors(TEXTS, layers=3)[-1] for dtype in ("bf16", "fp32"))
    norms = np.linalg.norm(narrow, axis=1) * np.linalg.norm(wide, axis=1)
    assert ((narrow * wide).sum(axis=1) / norms).min() > 0.999
    assert (narrow != wide).any()


@pytest.mark.parametrize(("amx", "expected"), [(True, "bf16"), (False, "fp32")])
def test_the_processor_decides_between_16_and_32_bits(monkeypatch, amx, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx, "avx512_bf16": True})
    assert choose_dtype("auto", torch.device("cpu")) == expected
    assert choose_dtype("fp16", torch.device("cpu")) == "fp16"
