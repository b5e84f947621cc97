"""PCA whitening: the training-free map from frozen states to item vectors, and what whitened adapters begin as."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Whitening(nn.Module):
    """The top layers side by side, whitened, then at unit length.

    Before the last step, vectors have unit variance and no correlation over the items that it was fitted to.

    Args:
        width: ``d``, of a layer's states.
        dim: ``D``, components kept.
        layers: ``a``.
    """

    mean: Tensor
    projection: Tensor

    def __init__(self, width: int, dim: int, layers: int = 1) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"width": width, "dim": dim, "layers": layers}
        self.register_buffer("mean", torch.zeros(layers * width))
        self.register_buffer("projection", torch.zeros(layers * width, dim))

    @classmethod
    @torch.no_grad()
    def fit(cls, h: Tensor, dim: int) -> "Whitening":
        """From states ``(a, n, d)`` of items, without padding. Components beyond the rank of the states are zero."""
        states = side_by_side(h).double()
        mean = states.mean(dim=0)
        _, singular, directions = torch.linalg.svd(states - mean, full_matrices=False)
        kept = min(dim, len(singular))
        deviation = singular[:kept] / max(len(states) - 1, 1) ** 0.5
        live = deviation > 1e-6 * deviation.max().clamp_min(1e-12)
        scale = torch.where(live, 1 / deviation.clamp_min(1e-12), 0.0)
        fitted = cls(h.shape[2], dim, len(h))
        fitted.mean.copy_(mean)
        fitted.projection[:, :kept].copy_(directions[:kept].T * scale)
        return fitted

    def whiten(self, h: Tensor) -> Tensor:
        """``h (a, n, d)`` -> ``(n, D)`` of unit variance."""
        return (side_by_side(h).float() - self.mean) @ self.projection

    def forward(self, h: Tensor) -> Tensor:
        """``h (a, n, d)`` -> ``(n, D)`` of unit length."""
        return F.normalize(self.whiten(h), dim=-1)


def side_by_side(h: Tensor) -> Tensor:
    """``(a, n, d)`` -> ``(n, a d)``."""
    return h[0] if len(h) == 1 else h.transpose(0, 1).flatten(1)
