"""Folders of sentence-transformers and of peft, made offline, beside what those libraries compute."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from text_models import one_at_a_time, save_tiny_model, some_texts

from ssna.core.errors import EncoderError
from ssna.text import ReadOptions, encode
from ssna.text.encoder import TextEncoder

TEXTS = some_texts(6)
TRANSFORMER, POOLING, NORMALIZE, DENSE = (
    f"sentence_transformers.models.{kind}" for kind in ("Transformer", "Pooling", "Normalize", "Dense")
)


def sentence_folder(folder, modules, *, at="", pooling=None, own=None, prompts=None):
    """A tiny BERT as sentence-transformers lays it out."""
    save_tiny_model(folder / at)
    listed = [{"idx": n, "name": str(n), "path": path, "type": kind} for n, (kind, path) in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(listed))
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if own is not None:
        (folder / at / "sentence_bert_config.json").write_text(json.dumps(own))
    if prompts is not None:
        (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    return folder


def find(folder, **settings):
    return TextEncoder.find(str(folder), ReadOptions(**{"dtype": "fp32", "device": "cpu", **settings}))


PLAIN = [(TRANSFORMER, ""), (POOLING, "1_Pooling")]


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "mean"}, "mean"),
        ({}, "mean"),
    ],
)
def test_the_pooling_is_the_folders(tmp_path, config, pooling):
    folder = sentence_folder(tmp_path / "model", PLAIN, pooling=config)
    encoder = find(folder)
    assert encoder.pooling == pooling
    np.testing.assert_allclose(encoder.vectors(TEXTS, 3), one_at_a_time(folder, TEXTS, 40)[pooling], atol=2e-5)


def test_a_pooling_that_is_not_known_is_refused_unless_one_is_named(tmp_path):
    folder = sentence_folder(tmp_path / "model", PLAIN, pooling={"pooling_mode_max_tokens": True})
    with pytest.raises(EncoderError, match="pools its tokens by max"):
        find(folder)
    encoder = find(folder, pooling="mean")
    assert encoder.remark.endswith("mean pooling, not max")


def test_the_longest_text_is_the_folders_and_another_one_is_said(tmp_path):
    folder = sentence_folder(tmp_path / "model", PLAIN, pooling={}, own={"max_seq_length": 9})
    assert (find(folder).max_tokens, find(folder).remark) == (9, "")
    assert find(folder, max_tokens=20).remark.endswith("20 tokens, not 9")


def test_a_prompt_for_documents_stands_before_every_text_and_is_part_of_the_identity(tmp_path):
    prompts = {"prompts": {"query": "word1 ", "document": "word2 word3 "}, "default_prompt_name": None}
    folder = sentence_folder(tmp_path / "model", PLAIN, pooling={}, prompts=prompts)
    plain = save_tiny_model(tmp_path / "plain")
    np.testing.assert_allclose(
        find(folder).vectors(TEXTS, 3), find(plain).vectors([f"word2 word3 {text}" for text in TEXTS], 3), atol=2e-5
    )
    assert find(folder).encoding().fingerprint != find(plain).encoding().fingerprint


def test_without_settings_of_its_own_the_identity_is_as_before(tmp_path):
    plain = save_tiny_model(tmp_path / "plain")
    folder = sentence_folder(tmp_path / "model", PLAIN, pooling={})
    assert find(folder).encoding().fingerprint == find(plain).encoding().fingerprint
    assert "prompt" not in find(folder).encoding().tree()


def test_the_older_layout_lies_in_a_folder_of_its_own(tmp_path):
    older = [(TRANSFORMER, "0_Transformer"), (POOLING, "1_Pooling")]
    folder = sentence_folder(tmp_path / "model", older, at="0_Transformer", pooling={}, own={"max_seq_length": 12})
    encoder, plain = find(folder), find(folder / "0_Transformer")
    assert encoder.max_tokens == 12
    np.testing.assert_array_equal(
        encoder.vectors(TEXTS[:2], 3), find(plain.model.name, max_tokens=12).vectors(TEXTS[:2], 3)
    )


def add_dense(folder, out, seed=0):
    (folder / "2_Dense").mkdir(exist_ok=True)
    torch.manual_seed(seed)
    weight, bias = torch.randn(out, 16), torch.randn(out)
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "2_Dense" / "model.safetensors")
    config = {"in_features": 16, "out_features": out, "activation_function": "torch.nn.modules.activation.Tanh"}
    (folder / "2_Dense" / "config.json").write_text(json.dumps(config))
    return weight.numpy(), bias.numpy()


def test_dense_modules_change_the_top_layer_alone_and_the_identity(tmp_path):
    folder = sentence_folder(tmp_path / "model", [*PLAIN, (DENSE, "2_Dense"), (NORMALIZE, "3_Normalize")], pooling={})
    weight, bias = add_dense(folder, 16)
    encoder, layers = find(folder), one_at_a_time(folder, TEXTS, 40)["mean"]
    vectors = encoder.vectors(TEXTS, 3)
    np.testing.assert_allclose(vectors[:2], layers[:2], atol=2e-5)
    np.testing.assert_allclose(vectors[2], np.tanh(layers[2] @ weight.T + bias), atol=2e-5)
    before = encoder.encoding()
    assert encoder.remark.endswith("vectors of their own length, not 1")
    add_dense(folder, 16, seed=1)
    assert find(folder).encoding().fingerprint != before.fingerprint
    with pytest.raises(EncoderError, match="other Dense modules"):
        TextEncoder.like(before, "cpu")


def test_dense_modules_that_narrow_are_followed_by_zeros(tmp_path):
    folder = sentence_folder(tmp_path / "model", [*PLAIN, (DENSE, "2_Dense")], pooling={})
    weight, bias = add_dense(folder, 8)
    top = find(folder).vectors(TEXTS, 1)[0]
    expected = np.tanh(one_at_a_time(folder, TEXTS, 40)["mean"][2] @ weight.T + bias)
    np.testing.assert_allclose(top[:, :8], expected, atol=2e-5)
    assert not top[:, 8:].any()
    assert find(folder).remark == ""


def test_dense_modules_that_widen_are_left_out_and_that_is_said(tmp_path):
    folder = sentence_folder(tmp_path / "model", [*PLAIN, (DENSE, "2_Dense")], pooling={}, own={"do_lower_case": True})
    add_dense(folder, 20)
    encoder = find(folder)
    np.testing.assert_allclose(encoder.vectors(TEXTS, 3), one_at_a_time(folder, TEXTS, 40)["mean"], atol=2e-5)
    assert encoder.remark.endswith("no Dense modules, which make 20 numbers of 16")
    assert encoder.tokenize(["WORD1"]) == encoder.tokenize(["word1"])


def test_a_cache_does_not_go_on_with_other_dense_modules(tmp_path):
    folder = sentence_folder(tmp_path / "model", [*PLAIN, (DENSE, "2_Dense")], pooling={})
    how = ReadOptions(dtype="fp32", device="cpu")
    add_dense(folder, 16)
    encode(["", *TEXTS[:3]], str(folder), tmp_path / "cache", how, quiet=True)
    add_dense(folder, 16, seed=1)
    with pytest.raises(EncoderError, match="other Dense modules"):
        encode(["", *TEXTS], str(folder), tmp_path / "cache", how, quiet=True)


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ([("sentence_transformers.models.StaticEmbedding", "0_StaticEmbedding")], "is a StaticEmbedding"),
        ([(TRANSFORMER, ""), ("own.Thing", "1_Thing")], "Thing"),
        ([(TRANSFORMER, "../elsewhere")], "not read here"),
        ([], "no language model"),
    ],
)
def test_modules_that_are_not_known_are_refused(tmp_path, modules, words):
    with pytest.raises(EncoderError, match=words):
        find(sentence_folder(tmp_path / "model", modules))


@pytest.mark.parametrize("content", ["{", "3", '[{"idx": 0}]'])
def test_a_damaged_list_of_modules_is_a_named_error(tmp_path, content):
    folder = sentence_folder(tmp_path / "model", PLAIN)
    (folder / "modules.json").write_text(content)
    with pytest.raises(EncoderError, match=r"modules\.json"):
        find(folder)


def test_what_differs_from_the_folder_is_said_once_and_a_cache_goes_on_as_it_began(tmp_path, capsys):
    folder = sentence_folder(tmp_path / "model", PLAIN, pooling={"pooling_mode_cls_token": True})
    settings = {"dtype": "fp32", "device": "cpu"}
    encode(["", *TEXTS[:3]], str(folder), tmp_path / "cache", ReadOptions(pooling="mean", **settings))
    assert "otherwise than its folder says, mean pooling, not cls" in capsys.readouterr().err
    cache, report = encode(["", *TEXTS], str(folder), tmp_path / "cache", ReadOptions(**settings))
    assert (cache.pooling, report.reused) == ("mean", 3)


def test_tokens_added_later_are_part_of_the_identity(tmp_path):
    folder = save_tiny_model(tmp_path / "model")
    before = find(folder).model.revision
    (folder / "added_tokens.json").write_text('{"word": 60}')
    assert find(folder).model.revision != before
