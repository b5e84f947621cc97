import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna.nn.sasrec import RecencyLinear, RecencyMean, SASRec

DIM, LONGEST = 8, 12


def models():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sasrec = SASRec(DIM, LONGEST, blocks=2, heads=2, inner=16, dropout=0.5).eval()
        for parameter in sasrec.parameters():  # larger than untrained ones, so that mistakes show
            torch.nn.init.normal_(parameter, std=0.5)
        linear = RecencyLinear(window=3, decay=0.5, dim=DIM)
        torch.nn.init.normal_(linear.weight)
    return {"sasrec": sasrec, "recency": RecencyMean(window=3, decay=0.5), "linear": linear}


MODELS = models()


@pytest.mark.parametrize("name", MODELS)
@given(lengths=st.lists(st.integers(1, LONGEST), min_size=1, max_size=8), seed=st.integers(0, 99))
@torch.no_grad()
def test_the_last_rows_alone_are_those_of_all_rows(name, lengths, seed):
    counts = torch.tensor(lengths)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    x = torch.randn(int(offsets[-1]), DIM, generator=torch.Generator().manual_seed(seed))
    positions = torch.cat([torch.arange(length) for length in lengths])
    every = MODELS[name](x, positions, offsets)[offsets[1:] - 1]
    torch.testing.assert_close(MODELS[name].last(x, positions, offsets), every, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_weights_of_large_scores_do_not_overflow():
    sasrec = models()["sasrec"]
    sasrec.blocks[-1].qkv.weight *= 1e3
    offsets = torch.tensor([0, 5, 12])
    x = torch.randn(12, DIM, generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([*range(5), *range(7)])
    every = sasrec(x, positions, offsets)[offsets[1:] - 1]
    torch.testing.assert_close(sasrec.last(x, positions, offsets), every, atol=1e-4, rtol=1e-4)
