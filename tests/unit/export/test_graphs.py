"""What is written as a graph says the same as the packed modules that are trained."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ragged
from ssna.export.graphs import item_model, user_model
from ssna.nn.adapter import LayerAdapters, MLPAdapter
from ssna.nn.sasrec import RecencyLinear, RecencyMean, SASRec
from ssna.nn.whitening import Whitening

DIM, LONGEST = 8, 12


def scattered(module: nn.Module) -> nn.Module:
    """Every weight random, those too that start at zero or one."""
    torch.manual_seed(0)
    for tensor in (*module.parameters(), *module.buffers()):
        nn.init.normal_(tensor, std=0.7)
    return module.eval().requires_grad_(False)


SEQUENCES = {
    "sasrec": lambda: scattered(SASRec(DIM, LONGEST, num_layers=2, num_heads=2, ffn_dim=16, dropout=0.5)),
    "one block": lambda: scattered(SASRec(DIM, LONGEST, num_layers=1, num_heads=4, ffn_dim=4, dropout=0.0)),
    "recency": lambda: RecencyMean(window=5, decay=0.5),
    "linear": lambda: scattered(RecencyLinear(window=5, decay=0.5, dim=DIM)),
    "window of one": lambda: RecencyMean(window=1, decay=0.5),
}


@pytest.mark.parametrize("behind", [1e3, torch.inf, torch.nan])
@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("lengths", [[1], [LONGEST], [3, 1, 12, 7], [2] * 40], ids=str)
def test_padded_histories_have_the_embeddings_of_packed_ones_whatever_stands_behind_their_ends(name, lengths, behind):
    sequence = SEQUENCES[name]()
    packed = Ragged.from_rows([list(range(length)) for length in lengths])
    x = torch.randn(len(packed.values), DIM)
    offsets = torch.from_numpy(packed.offsets)
    expected = F.normalize(sequence(x, torch.from_numpy(packed.position_of_value), offsets)[offsets[1:] - 1], dim=-1)
    padded = torch.full((len(lengths), max(lengths), DIM), behind)
    padded[torch.from_numpy(packed.row_of_value), torch.from_numpy(packed.position_of_value)] = x
    torch.testing.assert_close(user_model(sequence)(padded, torch.tensor(lengths)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "adapters",
    [*(LayerAdapters(3, 10, DIM, 4, name) for name in ("gru", "mean", "weighted")), LayerAdapters(1, 10, DIM, 1, "gru"),
     MLPAdapter(10, DIM, 2), Whitening(10, DIM), Whitening(10, DIM, 3)],
    ids=["gru", "mean", "weighted", "one layer", "mlp", "whitening", "whitening of three"],
)  # fmt: skip
@pytest.mark.parametrize("items", [1, 17])
def test_plain_adapters_give_the_vectors_of_those_trained(adapters, items):
    adapters = scattered(adapters)
    h = torch.from_numpy(
        np.random.default_rng(items).normal(size=(adapters.config.get("layers", 1), items, 10))
    ).float()
    torch.testing.assert_close(item_model(adapters)(h), adapters(h), rtol=1e-4, atol=1e-5)


def test_another_sequence_model_is_refused():
    with pytest.raises(ArtifactError, match="Identity cannot be exported"):
        user_model(nn.Identity())
