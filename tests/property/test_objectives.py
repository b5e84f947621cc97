"""``prefix`` and ``autoregressive`` are two ways to compute one objective."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ssna.core.ragged import Ragged
from ssna.methods.ids import Ids
from ssna.methods.ssna import SSNASettings, over_states
from ssna.nn.losses import LOSSES
from ssna.nn.sasrec import SASRec
from ssna.training.batches import OBJECTIVES, collate
from ssna.training.trainer import Model

pytestmark = pytest.mark.slow

ITEMS, MAX_HISTORY = 9, 6

short_histories = st.lists(  # of at most MAX_HISTORY inputs, with one target at the least
    st.lists(st.integers(1, ITEMS), min_size=1, max_size=MAX_HISTORY + 1), min_size=1, max_size=5
).filter(lambda rows: any(len(row) > 1 for row in rows))


def a_model(kind: str) -> Model:
    """In evaluation mode: no dropout, no routing noise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        states = torch.cat([torch.zeros(2, 1, 5), torch.randn(2, ITEMS, 5)], dim=1)
        encoder = (
            Ids(ITEMS, 8)
            if kind == "ids"
            else over_states(states, 8, SSNASettings(layers=2, num_experts=2, id_embeddings=True))
        )
        model = Model(encoder, SASRec(8, MAX_HISTORY, num_layers=2, num_heads=2, ffn_dim=8, dropout=0.5))
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
    return model.eval()


MODELS = {kind: a_model(kind) for kind in ("ids", "ssna")}


def loss_and_gradients(model: Model, rows: list[list[int]], objective: str, loss: str) -> dict[str, torch.Tensor]:
    histories = Ragged.from_rows(rows)
    segments = OBJECTIVES[objective](histories, MAX_HISTORY)
    batch = collate(histories, segments, np.arange(len(segments.user)), ITEMS, 3, np.random.default_rng(0))
    model.zero_grad()
    value = LOSSES[loss](model(batch), 0.5)
    value.backward()
    zero = torch.zeros(())
    return {"loss": value.detach()} | {
        name: zero if parameter.grad is None else parameter.grad.clone() for name, parameter in model.named_parameters()
    }


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("loss", LOSSES)
@given(rows=short_histories)
def test_both_objectives_give_the_same_loss_and_the_same_gradients(kind, loss, rows):
    prefix = loss_and_gradients(MODELS[kind], rows, "prefix", loss)
    autoregressive = loss_and_gradients(MODELS[kind], rows, "autoregressive", loss)
    torch.testing.assert_close(autoregressive, prefix, rtol=1e-3, atol=1e-5)


@given(rows=short_histories)
def test_every_parameter_has_a_gradient_to_compare(rows):
    """The test above would hold for a model that learns nothing."""
    gradients = loss_and_gradients(MODELS["ssna"], [*rows, [1, 2, 3], [4, 5, 1]], "autoregressive", "sampled")
    dead = {name for name, gradient in gradients.items() if not gradient.abs().max() > 0}
    assert all("route_deviation" in name for name in dead)  # unused without noise
