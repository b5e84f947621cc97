"""What is written for speed, against what it stands for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from soak import examples
from ssna.nn import attention
from ssna.nn.integrate import GruIntegration
from ssna.nn.mixture import Mixture
from ssna.nn.padding import MULTIPLE, pad_rows

pytestmark = pytest.mark.slow


def inputs(n=7, width=5, experts=3, dim=4):
    shapes = (n, width), (experts, width), (width, experts, dim), (n, experts)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def mixture(h, shift, projection, weights):
    return Mixture.apply(h, shift, projection, weights, h.dtype)


def test_the_mixture_is_equation_2():
    h, shift, projection, weights = inputs()
    experts = [(h - shift[k]) @ projection[:, k] * weights[:, k, None] for k in range(len(shift))]
    torch.testing.assert_close(mixture(h, shift, projection, weights), sum(experts))


def test_the_gradient_of_the_mixture_is_that_of_finite_differences():
    assert torch.autograd.gradcheck(mixture, inputs())


def test_the_mixture_leaves_out_the_gradient_of_frozen_states():
    h, *learned = inputs()
    h = h.detach()
    mixture(h, *learned).sum().backward()
    assert h.grad is None
    assert all(parameter.grad is not None for parameter in learned)


def test_the_mixture_computes_in_bf16_and_gives_gradients_in_fp32():
    h, *learned = [x.detach().float().requires_grad_() for x in inputs(n=40, width=32, dim=16)]
    exact = mixture(h, *learned)
    exact.square().sum().backward()
    expected = [parameter.grad.clone() for parameter in learned]
    for parameter in learned:
        parameter.grad = None
    rough = Mixture.apply(h, *learned, torch.bfloat16)
    assert rough.dtype == torch.bfloat16
    rough.float().square().sum().backward()
    for parameter, gradient in zip(learned, expected, strict=True):
        assert parameter.grad.dtype == torch.float32
        assert F.cosine_similarity(parameter.grad.flatten(), gradient.flatten(), dim=0) > 0.999


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_the_gru_over_layers_is_torchs_cell_from_a_zero_state(layers):
    integrate = GruIntegration(layers, 6).double()
    z = [torch.randn(5, 6, dtype=torch.float64, requires_grad=True) for _ in range(layers)]
    state = torch.zeros(5, 6, dtype=torch.float64)
    for z_m in z:
        state = integrate.cell(z_m, state)
    ours = integrate(z)
    torch.testing.assert_close(ours, state)
    wanted = [*z, *integrate.parameters()]
    for left, right in zip(
        torch.autograd.grad(ours.square().sum(), wanted, allow_unused=True),
        torch.autograd.grad(state.square().sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(torch.zeros_like(right) if left is None else left, right)


lengths_of_sequences = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@given(lengths_of_sequences, st.sampled_from([1, 8, 64, 128]))
@settings(deadline=None)
def test_tiles_hold_every_row_once_and_split_no_sequence(lengths, size):
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    tiles = attention.tile(offsets, size)
    count, _, rows, _ = tiles.hidden.shape
    assert rows == max(max(lengths), min(size, sum(lengths)))
    assert len(set(tiles.place.tolist())) == sum(lengths)
    assert tiles.place.max() < count * rows
    for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        place = tiles.place[start:stop]
        assert (place.diff() == 1).all()
        assert place[0] // rows == place[-1] // rows
    assert count <= 2 * -(-sum(lengths) // rows)  # two tiles in a row are more than one tile full


@given(lengths_of_sequences, st.sampled_from([8, 128]), st.integers(0, 99))
@settings(deadline=None, max_examples=examples(40))
def test_packed_attention_is_causal_attention_over_each_sequence_alone(lengths, size, seed):
    torch.manual_seed(seed)
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    qkv = torch.randn(sum(lengths), 3, 2, 4, dtype=torch.float64, requires_grad=True)
    packed = attention.packed_causal_attention(qkv, attention.tile(offsets, size))
    alone = torch.cat(
        [
            F.scaled_dot_product_attention(*part.permute(1, 2, 0, 3), is_causal=True).transpose(0, 1)
            for part in qkv.split(lengths)
        ]
    )
    torch.testing.assert_close(packed, alone)
    direction = torch.randn_like(packed)
    (ours,) = torch.autograd.grad((packed * direction).sum(), qkv, retain_graph=True)
    (theirs,) = torch.autograd.grad((alone * direction).sum(), qkv)
    torch.testing.assert_close(ours, theirs)


@given(st.integers(1, 200))
def test_padding_adds_zero_rows_up_to_a_multiple(n):
    x = pad_rows(torch.ones(n, 2, dtype=torch.int64))
    assert len(x) % MULTIPLE == 0
    assert len(x) - n < MULTIPLE
    assert x[:n].all()
    assert not x[n:].any()
