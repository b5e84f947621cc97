"""The user model and the adapters as plain modules over padded tensors, which ONNX can hold.

Training uses packed rows and products of its own (:mod:`ssna.nn`); these say the same in the operations of a graph.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssna.core.errors import ArtifactError
from ssna.nn.adapter import LayerAdapters, MoEWhiteningAdapter
from ssna.nn.integrate import GruIntegration
from ssna.nn.sasrec import Block, RecencyLinear, RecencyMean, SASRec


def user_model(sequence: nn.Module) -> nn.Module:
    """``vectors (B, L, D)``, ``lengths (B,)`` -> unit user embeddings ``(B, D)``.

    What stands behind a history's end is not read, whatever it is: NaN and infinity, too.
    """
    if isinstance(sequence, SASRec):
        return PaddedSASRec(sequence)
    if isinstance(sequence, RecencyMean):
        return PaddedRecencyMean(sequence)
    raise ArtifactError(f"a {type(sequence).__name__} cannot be exported; SASRec, text-kNN and text-linear can")


def item_model(text_projection: nn.Module) -> nn.Module:
    """``states (a, n, d)``, top layer first -> ``vectors (n, D)``."""
    return PlainAdapters(text_projection) if isinstance(text_projection, LayerAdapters) else text_projection


class PaddedSASRec(nn.Module):
    """Eq. 5 to 7 of one :class:`SASRec`."""

    def __init__(self, sasrec: SASRec) -> None:
        super().__init__()
        self.sasrec = sasrec

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """``vectors (B, L, D)``, ``lengths (B,)`` -> unit user embeddings ``(B, D)``."""
        positions, vectors = torch.arange(vectors.shape[1], device=vectors.device), _within(vectors, lengths)
        x = self.sasrec.norm(vectors + self.sasrec.position(positions))
        later = positions[None, :] > positions[:, None]  # padding comes last, so that no item sees it
        for block in self.sasrec.blocks:
            x = _through(block, x, later)  # type: ignore[arg-type]
        last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[2])
        return _unit(x.gather(1, last)[:, 0], lengths)


def _through(block: Block, x: Tensor, later: Tensor) -> Tensor:
    """As :meth:`Block.forward`, of ``x (B, L, D)`` and ``later (L, L)``."""
    q, k, v = block.qkv(x).unflatten(2, (3, block.num_heads, -1)).permute(2, 0, 3, 1, 4)  # each (B, H, L, D/H)
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    mixed = F.softmax(scores.masked_fill(later, -torch.inf), dim=-1) @ v
    x = block.attention_norm(x + block.out(mixed.transpose(1, 2).flatten(2)))
    fed: Tensor = block.feed_norm(x + block.narrow(F.gelu(block.widen(x))))
    return fed


class PaddedRecencyMean(nn.Module):
    """The weighted sum of one :class:`RecencyMean`, times the matrix of a :class:`RecencyLinear`."""

    weight: Tensor | None

    def __init__(self, mean: RecencyMean) -> None:
        super().__init__()
        self.register_buffer("weight", mean.weight if isinstance(mean, RecencyLinear) else None)
        self.window, self.decay = int(mean.config["window"]), float(mean.config["decay"])

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """``vectors (B, L, D)``, ``lengths (B,)`` -> unit user embeddings ``(B, D)``."""
        back = lengths[:, None] - 1 - torch.arange(vectors.shape[1], device=vectors.device)  # (B, L)
        read = (back >= 0) & (back < self.window)
        weights = torch.where(read, self.decay ** back.clamp(min=0).float(), 0.0)
        embeddings = (weights[:, :, None] * _within(vectors, lengths)).sum(dim=1)
        return _unit(embeddings if self.weight is None else embeddings @ self.weight, lengths)


class PlainAdapters(nn.Module):
    """Eq. 1 to 4 of one :class:`LayerAdapters`, with the mean of the routing, as when evaluating."""

    def __init__(self, adapters: LayerAdapters) -> None:
        super().__init__()
        self.adapters = adapters

    def forward(self, states: Tensor) -> Tensor:
        """``states (a, n, d)``, top layer first -> ``vectors (n, D)``."""
        z = [_mixed(adapter, states[layer]) for layer, adapter in enumerate(self.adapters.adapters)]  # type: ignore[arg-type]
        integrate = self.adapters.integrate
        v: Tensor = _gru(integrate.cell, z) if isinstance(integrate, GruIntegration) else integrate(z)
        return v


def _mixed(adapter: MoEWhiteningAdapter, h: Tensor) -> Tensor:
    """``h (n, d)`` -> ``z (n, D)``: ``sum_k softmax(hB)_k (h W_k - b_k W_k)``."""
    weights = F.softmax(h @ adapter.route_mean, dim=-1)  # (n, K)
    shifts = torch.einsum("kd,dkD->kD", adapter.shift, adapter.projection)
    experts = (h @ adapter.projection.flatten(1)).unflatten(1, shifts.shape) - shifts  # (n, K, D)
    z: Tensor = (weights[:, :, None] * experts).sum(dim=1)
    return z


def _gru(cell: nn.GRUCell, z: list[Tensor]) -> Tensor:
    """Eq. 4: ``a`` tensors ``(n, D)``, top layer first -> ``(n, D)``."""
    state: Tensor = torch.zeros_like(z[0])
    for x in z:
        (xr, xu, xn), (hr, hu, hn) = (
            part.unflatten(1, (3, -1)).unbind(1)
            for part in (F.linear(x, cell.weight_ih, cell.bias_ih), F.linear(state, cell.weight_hh, cell.bias_hh))
        )
        update = torch.sigmoid(xu + hu)
        new = torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
        state = (1 - update) * new + update * state
    return state


def _within(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Zero behind each history's end: a weight of zero would let NaN through."""
    positions = torch.arange(vectors.shape[1], device=vectors.device)
    return torch.where((positions < lengths[:, None])[:, :, None], vectors, 0.0)


def _unit(embeddings: Tensor, lengths: Tensor) -> Tensor:
    """At unit length; zero for an empty history."""
    return F.normalize(embeddings, dim=-1) * (lengths > 0)[:, None]
