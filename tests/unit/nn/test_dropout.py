"""Cheap dropout drops the share asked for, keeps expectations, and is off when evaluating."""

import pytest
import torch

from ssna.nn.dropout import ByteDropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_dropped_and_the_mean_kept_are_as_asked(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 333)
    y = ByteDropout(p).train()(x)
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.005)
    assert y.mean().item() == pytest.approx(1, abs=0.01)


def test_values_are_dropped_independently_of_their_neighbours() -> None:
    torch.manual_seed(0)
    kept = ByteDropout(0.5).train()(torch.ones(400_000)) > 0
    for apart in (1, 2, 7, 8, 64):
        assert (kept[apart:] == kept[:-apart]).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_gradients_pass_where_values_do_and_at_the_same_scale() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = ByteDropout(0.25).train()(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


@pytest.mark.parametrize("module", [ByteDropout(0.5).eval(), ByteDropout(0.0).train()])
def test_nothing_is_dropped_when_evaluating_or_when_the_share_is_zero(module: ByteDropout) -> None:
    x = torch.randn(10, 7)
    assert torch.equal(module(x), x)


def test_the_precision_of_the_input_is_kept() -> None:
    assert ByteDropout(0.5).train()(torch.ones(8, dtype=torch.bfloat16)).dtype == torch.bfloat16
