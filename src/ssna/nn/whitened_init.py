"""Initial weights that already give what the frozen states know."""

import torch
from torch import Tensor, nn

from ssna.nn.adapter import LayerAdapters, MoEWhiteningAdapter
from ssna.nn.integrate import GruIntegration
from ssna.nn.whitening import Whitening

SMALL = 0.05  # keeps the GRU's tanh in its linear range, where it passes geometry on unchanged


@torch.no_grad()
def init_whitened(module: LayerAdapters, h: Tensor) -> None:
    """Set adapters and integration so that, untrained, ``v*`` is the joint PCA whitening of all layers, in small.

    Every expert of layer ``m`` gets that layer's block of the joint projection, so the routing cannot disturb it; the
    experts part once they learn. The integration's own weights for the layers are divided out beforehand.

    Args:
        h: ``(a, n, d)`` states of the catalogue, without padding.
    """
    layers, _, width = h.shape
    white = Whitening.fit(h, module.config["dim"])
    integrate: nn.Module = module.integrate
    if isinstance(integrate, GruIntegration):
        _pass_on(integrate.cell)
        weights = [0.5 ** (layers - m) for m in range(layers)]
    else:
        weights = [1 / layers] * layers
    blocks, means = white.projection.split(width), white.mean.split(width)
    for adapter, block, mean, weight in zip(module.adapters, blocks, means, weights, strict=True):
        assert isinstance(adapter, MoEWhiteningAdapter)
        adapter.projection.copy_((SMALL / weight * block)[:, None, :].expand_as(adapter.projection))
        adapter.shift.copy_(mean.expand_as(adapter.shift))


def _pass_on(cell: nn.GRUCell) -> None:
    """Update gate one half, reset gate one half, candidate = tanh(input): the state is a decaying sum of inputs."""
    dim = cell.hidden_size
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    cell.weight_ih[2 * dim :].copy_(torch.eye(dim))
