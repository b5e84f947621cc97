"""How texts go through a language model that learns."""

import numpy as np
import pytest
import torch
from torch import nn
from tuned_models import (
    DIM,
    ITEMS,
    TUNED,
    build,
    shaken,
)

from ssna.core.errors import SettingsError
from ssna.methods.tuned import TunedEncoder
from ssna.nn.sasrec import SASRec
from ssna.text import encoder as text_encoder
from ssna.training.batches import autoregressive, collate
from ssna.training.trainer import Model


@pytest.mark.parametrize("budget", [4096, 25])
@pytest.mark.parametrize("method", TUNED)
def test_each_distinct_item_of_a_batch_goes_through_the_network_once(method, budget, world, monkeypatch):
    here = world()
    histories = here.data.train
    batch = collate(histories, autoregressive(histories, 8), np.arange(12), ITEMS, 3, np.random.default_rng(0))
    assert len(batch.sequences.items) + len(batch.targets) > len(batch.candidates.items)
    encoder, rows = build(method, here), []
    encoder.network.register_forward_pre_hook(
        lambda _, args, inputs: rows.extend(inputs["input_ids"].tolist()), with_kwargs=True
    )
    monkeypatch.setitem(text_encoder.TOKENS_PER_BATCH, "cpu", budget)
    Model(encoder, SASRec(DIM, 8, 1, 1, 8, 0.0)).train()(batch)
    stripped = [tuple(token for token in row if token != encoder.reading.padding) for row in rows]
    texts = [
        tuple(encoder.ids[encoder.offsets[i] : encoder.offsets[i + 1]].tolist())
        for i in batch.candidates.items.tolist()
    ]
    assert sorted(stripped) == sorted(texts)


def test_vectors_do_not_depend_on_how_many_texts_are_read_together(world, monkeypatch):
    encoder, items = build("lora", world()).eval(), torch.tensor([9, 2, 17, 20, 1, 5])
    together = encoder(items)
    monkeypatch.setitem(text_encoder.TOKENS_PER_BATCH, "cpu", 1)
    torch.testing.assert_close(encoder(items), together, rtol=1e-4, atol=1e-5)


def attention_of(encoder: TunedEncoder) -> nn.Module:
    """The top layer's, which all three methods tune."""
    return [part for part in encoder.network.modules() if type(part).__name__.endswith("Attention")][-1]


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
@pytest.mark.parametrize(
    ("method", "chosen"), [("lora", {"dropout": 0.0}), ("adalora", {"dropout": 0.0}), ("full", {})]
)
def test_checkpointing_changes_no_vector_and_no_gradient(method, chosen, architecture, world):
    vectors, grads, reads = [], [], []
    for checkpointing in (False, True):
        encoder = shaken(build(method, world(architecture), checkpointing=checkpointing, **chosen)).train()
        calls: list[int] = []
        attention_of(encoder).register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        vectors.append(encoder(torch.arange(1, ITEMS + 1)))
        vectors[-1].square().sum().backward()
        grads.append({name: p.grad for name, p in encoder.named_parameters() if p.requires_grad})
        reads.append(len(calls))
    assert reads == [1, 2]  # computed again going back
    torch.testing.assert_close(vectors[0], vectors[1], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", TUNED)
def test_checkpointing_of_a_model_that_cannot_is_an_error(method, world):
    with pytest.raises(SettingsError, match=r"^method\.checkpointing: .* leave it off$"):
        build(method, world("mpnet"), checkpointing=True)
