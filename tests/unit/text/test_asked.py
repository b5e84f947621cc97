"""What an encoder does with what its model shows of itself, or says in its configuration."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from text_models import one_at_a_time, save_tiny_model, some_texts

from ssna.text import ReadOptions
from ssna.text import encoder as encoder_module
from ssna.text.encoder import TextEncoder

TEXTS = some_texts(4)


@pytest.fixture
def folder(tmp_path):
    return save_tiny_model(tmp_path / "model")


def find(folder, **settings):
    return TextEncoder.find(str(folder), ReadOptions(dtype="fp32", device="cpu", **settings))


def changed(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(("most", "batching"), [(8, "padded"), (9, "text")])
def test_a_model_that_chooses_tokens_reads_a_text_alone_where_it_may_not_see_all_of_it(folder, most, batching):
    changed(folder / "config.json", index_topk=8)
    assert find(folder, max_tokens=most).batching == batching


def test_a_classification_token_at_the_end_is_found_there(folder):
    template = json.loads((folder / "tokenizer.json").read_text())["post_processor"]
    first, text, last = template["single"]
    template["single"] = [text, last, first]
    changed(folder / "tokenizer.json", post_processor=template)
    encoder = find(folder, pooling="cls", max_tokens=20)
    assert encoder.cls_at == -1
    np.testing.assert_allclose(encoder.vectors(TEXTS, 3), one_at_a_time(folder, TEXTS, 20)["last"], atol=2e-5)


def test_a_model_that_has_no_memory_for_32_bits_reads_texts_of_one_length_together(folder, monkeypatch):
    @contextmanager
    def no_memory(network):
        raise torch.OutOfMemoryError
        yield

    monkeypatch.setattr(encoder_module, "in_fp32", no_memory)
    assert find(folder).batching == "length"
