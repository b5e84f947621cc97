from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna.nn import qkv_lookup
from ssna.nn.qkv_lookup import QKVLookup
from ssna.nn.sasrec import RecencyLinear, RecencyMean, SASRec

pytestmark = pytest.mark.slow

DIM, LONGEST = 8, 12


def models():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sasrec = SASRec(DIM, LONGEST, num_layers=2, num_heads=2, ffn_dim=16, dropout=0.5).eval()
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


@given(
    histories=st.lists(st.lists(st.integers(1, 149), min_size=1, max_size=LONGEST), min_size=2, max_size=8),
    num_layers=st.integers(2, 3),
    seed=st.integers(0, 99),
)
@torch.no_grad()
def test_a_qkv_lookup_gives_the_projections_of_every_event(histories, num_layers, seed):
    generator = torch.Generator().manual_seed(seed)
    sasrec = SASRec(DIM, LONGEST, num_layers=num_layers, num_heads=2, ffn_dim=16, dropout=0.0).eval()
    for parameter in sasrec.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    vectors = torch.randn(150, DIM, generator=generator)
    by_lookup = QKVLookup(sasrec, vectors)
    for part in (histories[:1], histories[1:], histories):  # some items are met for the first time, others are not
        items = torch.tensor([item for history in part for item in history])
        positions = torch.cat([torch.arange(len(history)) for history in part])
        offsets = torch.tensor([0, *map(len, part)]).cumsum(0)
        plain = sasrec(vectors[items], positions, offsets)[offsets[1:] - 1]
        looked_up = sasrec.last(vectors[items], positions, offsets, partial(by_lookup, items, positions))
        torch.testing.assert_close(looked_up, plain, atol=2e-4, rtol=2e-4)


def test_a_qkv_lookup_is_worthwhile_only_before_a_last_layer_and_within_bounds(monkeypatch):
    vectors = torch.zeros(10, DIM)
    assert QKVLookup.is_worthwhile(MODELS["sasrec"], vectors)
    assert not QKVLookup.is_worthwhile(
        SASRec(DIM, LONGEST, num_layers=1, num_heads=2, ffn_dim=16, dropout=0.0), vectors
    )
    monkeypatch.setattr(qkv_lookup, "MAX_BYTES", 10 * 3 * DIM * 4 - 1)
    assert not QKVLookup.is_worthwhile(MODELS["sasrec"], vectors)
