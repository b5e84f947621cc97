"""The hot path of Eq. 1 and 2: projections of all experts as one matrix product, forward and backward."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def product_dtype(x: Tensor) -> torch.dtype:
    """What matrix products with ``x`` are computed in: autocast's type where it is on, else that of ``x``."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class Mixture(torch.autograd.Function):
    """``z = sum_k w_k (h - b_k) W_k`` with a gradient written out.

    ``(h - b_k) W_k = h W_k - b_k W_k``: states and shifts are stacked and go through one product with the weights of
    all experts, and so does the gradient of these weights. Autograd would form that gradient twice, once for each term,
    and add two tensors of the size of all weights at every step.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, shift: Tensor, projection: Tensor, weights: Tensor, dtype: torch.dtype) -> Tensor:
        """``h (n, d)``, ``b (K, d)``, ``W (d, K, D)``, ``w (n, K)``, computed in ``dtype`` -> ``z (n, D)``."""
        n, experts = weights.shape
        rows = torch.cat([h.to(dtype), shift.to(dtype)])  # (n + K, d)
        flat, weights = projection.flatten(1).to(dtype), weights.to(dtype)  # (d, K D)
        projected = (rows @ flat).view(len(rows), experts, -1)  # (n + K, K, D)
        shifts = projected[n:].diagonal().T  # (K, D): b_k W_k
        ctx.save_for_backward(rows, flat, projected, weights)
        return torch.bmm(weights[:, None], projected[:n])[:, 0] - weights @ shifts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Of ``z (n, D)``."""
        rows, flat, projected, weights = ctx.saved_tensors
        n, experts = weights.shape
        gradient = gradient.to(rows.dtype)
        d_weights = torch.bmm(projected[:n], gradient[..., None])[..., 0] - gradient @ projected[n:].diagonal()
        d_projected = torch.empty_like(projected)
        torch.mul(weights[..., None], gradient[:, None], out=d_projected[:n])
        d_projected[n:].zero_().diagonal().copy_(-(gradient.T @ weights))
        d_flat = rows.T @ d_projected.flatten(1)
        d_shift = d_projected[n:].flatten(1) @ flat.T
        d_h = d_projected[:n].flatten(1) @ flat.T if ctx.needs_input_grad[0] else None
        return d_h, d_shift, d_flat.view(len(flat), experts, -1), d_weights, None
