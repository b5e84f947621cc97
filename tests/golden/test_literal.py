"""Ours against the paper read to the letter: packed, each distinct item once, against padded, item by item."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ssna.core.ragged import Ragged
from ssna.methods.ssna import SSNASettings, over_states
from ssna.nn.losses import in_batch
from ssna.nn.sasrec import SASRec
from ssna.training.batches import collate, prefix
from ssna.training.trainer import Model

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from literal import Literal, padded

ITEMS, MAX_HISTORY = 15, 6


@pytest.mark.parametrize("layers", [1, 3])
def test_the_loss_and_its_gradient_are_those_of_the_literal_reading(layers):
    torch.manual_seed(layers)
    rng = np.random.default_rng(0)
    histories = Ragged.from_rows([rng.integers(1, ITEMS + 1, size).tolist() for size in (2, 9, 4, 1, 7)])
    states = torch.randn(layers, ITEMS + 1, 10)
    states[:, 0] = 0
    model = Model(
        over_states(states, 8, SSNASettings(num_experts=4, layers=layers)), SASRec(8, MAX_HISTORY, 2, 2, 12, 0.5)
    ).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    segments = prefix(histories, MAX_HISTORY)
    chosen = rng.permutation(len(segments.user))

    ours = in_batch(model(collate(histories, segments, chosen, ITEMS, 0, rng)), 0.07)
    gradients = torch.autograd.grad(ours, list(model.parameters()), allow_unused=True)
    theirs = Literal(states, model.encoder.text, model.sequence).loss(*padded(histories, MAX_HISTORY, chosen), 0.07)
    wanted = torch.autograd.grad(theirs, list(model.parameters()), allow_unused=True)

    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for (name, parameter), left, right in zip(model.named_parameters(), gradients, wanted, strict=True):
        left, right = (torch.zeros_like(parameter) if g is None else g for g in (left, right))
        torch.testing.assert_close(left, right, rtol=2e-3, atol=2e-4, msg=lambda text, name=name: f"{name}: {text}")
