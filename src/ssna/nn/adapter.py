"""Adapters over the layers of a frozen language model: Eq. 1 to 4 of the paper."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssna.nn.integrate import INTEGRATIONS
from ssna.nn.mixture import Mixture, product_dtype
from ssna.nn.whitening import Whitening, side_by_side


class MoEWhiteningAdapter(nn.Module):
    """One layer's adapter: ``K`` parametric-whitening experts, mixed by Gaussian routing.

    Args:
        width: ``d``, the width of the language model.
        dim: ``D``, the width of item vectors.
        num_experts: ``K``, the paper's ``n_p``.
    """

    def __init__(self, width: int, dim: int, num_experts: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(num_experts, width))  # b_k
        self.projection = nn.Parameter(torch.empty(width, num_experts, dim))  # W_k is [:, k]
        self.route_mean = nn.Parameter(torch.empty(width, num_experts))  # B
        self.route_deviation = nn.Parameter(torch.empty(width, num_experts))  # U
        for weight in (self.projection, self.route_mean, self.route_deviation):
            nn.init.normal_(weight, std=0.02)

    def forward(self, h: Tensor) -> Tensor:
        """``h (n, d)`` -> ``z (n, D)``; Eq. 1 and 2."""
        weights = F.softmax(self.route(h).float(), dim=-1)  # (n, K)
        z: Tensor = Mixture.apply(h, self.shift, self.projection, weights, product_dtype(h))  # type: ignore[no-untyped-call]
        return z

    def route(self, h: Tensor) -> Tensor:
        """Routing logits ``alpha (n, K)``; Eq. 3. A draw while training, the mean when evaluating."""
        if not self.training:
            return h @ self.route_mean
        mean, spread = (h @ torch.cat([self.route_mean, self.route_deviation], dim=1)).float().chunk(2, dim=1)
        return mean + torch.randn_like(mean) * F.softplus(spread)


class LayerAdapters(nn.Module):
    """The paper's AM: an adapter for each of the top ``a`` layers, and their integration.

    Args:
        layers: ``a``.
        width, dim, num_experts: as in :class:`MoEWhiteningAdapter`.
        integrate: a name in ``INTEGRATIONS``.
    """

    def __init__(self, layers: int, width: int, dim: int, num_experts: int, integrate: str) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "layers": layers,
            "width": width,
            "dim": dim,
            "num_experts": num_experts,
            "integrate": integrate,
        }
        self.adapters = nn.ModuleList(MoEWhiteningAdapter(width, dim, num_experts) for _ in range(layers))
        self.integrate = INTEGRATIONS[integrate](layers, dim)

    def forward(self, h: Tensor) -> Tensor:
        """``h (a, n, d)``, top layer first -> ``v* (n, D)``."""
        z = [adapter(h_m) for adapter, h_m in zip(self.adapters, h, strict=True)]
        v: Tensor = self.integrate(z)
        return v


class MLPAdapter(nn.Module):
    """TMLP: ``depth`` linear layers over the top layer's states, GELU between them; of several layers side by side."""

    def __init__(self, width: int, dim: int, depth: int, layers: int = 1) -> None:
        super().__init__()
        self.config = {"width": width, "dim": dim, "depth": depth} | ({"layers": layers} if layers > 1 else {})
        widths = [layers * width, *[dim] * depth]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(widths))

    def forward(self, h: Tensor) -> Tensor:
        """``h (a, n, d)`` -> ``(n, D)``."""
        x: Tensor = self.layers[0](side_by_side(h))
        for layer in self.layers[1:]:
            x = layer(F.gelu(x))
        return x


ADAPTERS: dict[str, type[nn.Module]] = {
    "ssna": LayerAdapters,
    "mlp": MLPAdapter,
    "whitening": Whitening,
}
