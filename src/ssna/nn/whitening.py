"""PCA whitening: the training-free map from frozen states to item vectors, and the start of whitened adapters."""

from typing import NamedTuple

import torch
from torch import Tensor


class Whitening(NamedTuple):
    """``(h - mean) @ projection`` has unit variance and no correlation over the items it was fitted on."""

    mean: Tensor  # (d,)
    projection: Tensor  # (d, D)

    @classmethod
    def fit(cls, h: Tensor, dim: int) -> "Whitening":
        """From states ``h (n, d)``. Directions beyond the rank of ``h`` get zeros.

        Args:
            h: states of the catalogue, without padding.
            dim: ``D``, components kept.
        """
        h = h.double()
        mean = h.mean(dim=0)
        _, singular, directions = torch.linalg.svd(h - mean, full_matrices=False)
        kept = min(dim, len(singular))
        deviation = singular[:kept] / max(len(h) - 1, 1) ** 0.5
        live = deviation > 1e-6 * deviation.max().clamp_min(1e-12)
        scale = torch.where(live, 1 / deviation.clamp_min(1e-12), 0.0)
        projection = torch.zeros(h.shape[1], dim, dtype=h.dtype)
        projection[:, :kept] = directions[:kept].T * scale
        return cls(mean.float(), projection.float())

    def __call__(self, h: Tensor) -> Tensor:
        """``(n, d)`` -> ``(n, D)``."""
        return (h.float() - self.mean) @ self.projection
