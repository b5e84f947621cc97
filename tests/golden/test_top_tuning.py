"""TMLP and TMoE against their definitions."""

import naive
import pytest
import torch
from torch import nn
from tuned_models import (
    ITEMS,
    build,
)


@pytest.fixture
def top(world) -> list[list[float]]:
    return world().cache.top(1)[0, 1:].tolist()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_tmlp_is_linear_layers_with_gelu_between_them_over_the_top_layer(depth, world, top):
    encoder = build("tmlp", world(), depth=depth).eval()
    weights = [(layer.weight.tolist(), layer.bias.tolist()) for layer in encoder.text.layers]
    assert len(weights) == depth
    expected = []
    for h in top:
        x = naive.linear(*weights[0], h)
        for weight, bias in weights[1:]:
            x = naive.linear(weight, bias, [naive.gelu(value) for value in x])
        expected.append(x)
    torch.testing.assert_close(encoder.item_embeddings(ITEMS)[1:], torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_tmoe_is_equations_1_to_3_over_the_top_layer(world, top):
    encoder = build("tmoe", world(), num_experts=3).eval()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(parameter.numel()))
    adapter = encoder.text.adapters[0]
    parts = adapter.shift.tolist(), adapter.projection.permute(1, 0, 2).tolist(), adapter.route_mean.tolist()
    expected = torch.tensor([naive.adapter(h, *parts) for h in top])
    torch.testing.assert_close(encoder.item_embeddings(ITEMS)[1:], expected, rtol=1e-4, atol=1e-4)


def test_tmoe_is_ssnas_adapter_of_one_layer(world):
    tmoe, ssna = build("tmoe", world()), build("ssna", world(), layers=1, integrate="mean", num_experts=8)
    adapter = tmoe.text.adapters[0]
    assert {name: tuple(p.shape) for name, p in tmoe.named_parameters()} == {
        name: tuple(p.shape) for name, p in ssna.named_parameters()
    }
    ssna.load_state_dict(tmoe.state_dict())
    items, h = torch.arange(1, ITEMS + 1), torch.from_numpy(world().cache.top(1))[0, 1:]
    with torch.random.fork_rng(devices=[]):
        answers = []
        for read in (tmoe.train(), ssna.train(), lambda _: adapter(h)):
            torch.manual_seed(4)
            answers.append(read(items))
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])
