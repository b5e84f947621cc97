"""Folders of peft that hold an adapter alone, read with their base, beside what that library computes."""

import json

import numpy as np
import pytest
import torch
from text_models import save_tiny_model, some_texts

from ssna.core.errors import EncoderError
from ssna.text import ReadOptions, encode, moved
from ssna.text.encoder import TextEncoder

TEXTS = some_texts(3)
HOW = {"dtype": "fp32", "device": "cpu"}


def find(folder, **settings):
    return TextEncoder.find(str(folder), ReadOptions(**HOW, **settings))


def adapter_folder(folder, base, **settings):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    torch.manual_seed(3)
    adapted = get_peft_model(AutoModel.from_pretrained(base), LoraConfig(r=2, target_modules=["query"], **settings))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data.normal_()
    adapted.save_pretrained(folder)
    return adapted.eval()


def test_an_adapter_alone_is_read_with_the_base_that_it_names(tmp_path):
    base = save_tiny_model(tmp_path / "base")
    adapted = adapter_folder(tmp_path / "adapter", base)
    encoder = find(tmp_path / "adapter")
    ids = torch.tensor(encoder.tokenize(TEXTS[:1]))
    with torch.no_grad():
        expected = adapted(ids).last_hidden_state.mean(dim=1).numpy()
    np.testing.assert_allclose(encoder.vectors(TEXTS[:1], 1)[0], expected, atol=2e-5)
    assert np.abs(expected - find(base).vectors(TEXTS[:1], 1)[0]).max() > 1e-2


def test_an_adapters_settings_and_its_base_are_part_of_its_identity(tmp_path):
    base = save_tiny_model(tmp_path / "base")
    adapter_folder(tmp_path / "adapter", base)
    first = find(tmp_path / "adapter").model.revision
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 16}))
    second = find(tmp_path / "adapter").model.revision
    save_tiny_model(base, seed=1)
    assert len({first, second, find(tmp_path / "adapter").model.revision}) == 3


@pytest.fixture
def moved_base(tmp_path):
    """An adapter, and where its base lies now; the adapter does not know."""
    adapter_folder(tmp_path / "adapter", save_tiny_model(tmp_path / "base"))
    (tmp_path / "base").rename(tmp_path / "elsewhere")
    return tmp_path / "adapter", tmp_path / "elsewhere"


def test_the_base_may_be_given_and_the_identity_is_the_same_wherever_it_lies(tmp_path):
    adapter_folder(tmp_path / "adapter", save_tiny_model(tmp_path / "base"))
    before = find(tmp_path / "adapter").encoding()
    (tmp_path / "base").rename(tmp_path / "elsewhere")
    given = find(tmp_path / "adapter", adapter_base=str(tmp_path / "elsewhere")).encoding()
    assert (given.fingerprint, given.adapter_base) == (before.fingerprint, str(tmp_path / "elsewhere"))
    assert before.adapter_base is None
    config = tmp_path / "adapter" / "adapter_config.json"
    tree = json.loads(config.read_text()) | {"base_model_name_or_path": str(tmp_path / "elsewhere")}
    config.write_text(json.dumps(tree))
    assert find(tmp_path / "adapter").encoding().fingerprint == before.fingerprint


def test_a_cache_and_new_texts_find_the_base_that_was_given(moved_base, tmp_path):
    adapter, base = moved_base
    how = ReadOptions(**HOW, adapter_base=str(base))
    cache, _ = encode(["", *TEXTS[:2]], str(adapter), tmp_path / "cache", how, quiet=True)
    assert encode(["", *TEXTS], str(adapter), tmp_path / "cache", quiet=True)[1].reused == 2
    like = TextEncoder.like(cache.encoding, "cpu")
    np.testing.assert_allclose(like.vectors(TEXTS, 3), find(adapter, adapter_base=str(base)).vectors(TEXTS, 3))
    assert moved(cache.encoding, str(adapter)).adapter_base == str(base)


def test_a_base_that_was_given_and_is_gone_gives_way_to_the_one_that_the_folder_names(tmp_path):
    base = save_tiny_model(tmp_path / "base")
    adapter_folder(tmp_path / "adapter", base)
    encoding = find(tmp_path / "adapter").encoding().model_copy(update={"adapter_base": str(tmp_path / "gone")})
    assert TextEncoder.like(encoding, "cpu").model.source == str(base)


def test_a_base_that_cannot_be_read_is_a_named_error_with_both_remedies(moved_base):
    with pytest.raises(EncoderError) as caught:
        find(moved_base[0])
    first, second = str(caught.value).splitlines()
    assert "is an adapter, and its base model" in first
    assert second.endswith("adapter_config.json, or encode with adapter_base = 'FOLDER'")


def test_a_base_where_there_is_no_adapter_is_a_named_error(tmp_path):
    base = str(save_tiny_model(tmp_path / "base"))
    with pytest.raises(EncoderError, match=r"holds an adapter of peft alone; leave .*adapter_base = .* out"):
        find(base, adapter_base=base)


def test_an_adapter_whose_base_is_gone_or_another_is_a_named_error(tmp_path):
    base = save_tiny_model(tmp_path / "base")
    adapter_folder(tmp_path / "adapter", base)
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(EncoderError, match="base model"):
        find(tmp_path / "adapter")
    save_tiny_model(base, "distilbert")
    with pytest.raises(EncoderError, match=r"adapter|weights cannot be loaded") as caught:
        _ = find(tmp_path / "adapter").network
    assert len(str(caught.value).splitlines()) <= 2
