"""Causal self-attention over packed sequences."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from ssna.nn.dropout import drop

TILE = 64
"""Rows of a tile, unless a sequence is longer: large enough for matrix products, small beside the width of a model."""


class Tiles(NamedTuple):
    """Packed rows in ``T`` tiles of ``M``: sequences are whole, side by side, so that few rows of a tile are padding.

    Attributes:
        place: ``(N,)`` where each packed row is among the ``T * M`` rows of all tiles.
        hidden: ``(T, 1, M, M)`` True where a row does not see another, as later or of another sequence.
    """

    place: Tensor
    hidden: Tensor


def tile(offsets: Tensor, rows: int = TILE) -> Tiles:
    """Sequences at ``offsets (B + 1,)`` int64, in their order, into tiles of ``rows`` or so."""
    return tile_by(offsets, max(int(offsets.diff().max()), min(rows, int(offsets[-1]))))


def tile_by(offsets: Tensor, size: int) -> Tiles:
    """As :func:`tile`, into tiles of ``size``; no sequence is longer."""
    lengths = offsets.diff()
    starts, filled = [], 0  # of each sequence, among the rows of all tiles
    for length in lengths.tolist():
        if filled % size + length > size:
            filled += -filled % size
        starts.append(filled)
        filled += length
    moved = torch.tensor(starts, device=offsets.device) - offsets[:-1]
    sequence = torch.repeat_interleave(lengths)  # (N,)
    place = torch.arange(len(sequence), device=offsets.device) + moved[sequence]
    owner = place.new_full((-(-filled // size) * size,), -1).index_copy(0, place, sequence).view(-1, 1, size)
    later = torch.ones(size, size, dtype=torch.bool, device=offsets.device).triu(1)
    return Tiles(place, later | (owner[..., None] != owner[..., None, :]))


def packed_causal_attention(qkv: Tensor, tiles: Tiles, dropout: float = 0.0) -> Tensor:
    """Every row attends to itself and to the earlier rows of its own sequence.

    Args:
        qkv: ``(N, 3, H, D/H)``, queries, keys and values of packed rows.
        tiles: where they stand, from :func:`tile`.
        dropout: share of attention weights dropped.

    Returns:
        ``(N, H, D/H)``.
    """
    count, _, size, _ = tiles.hidden.shape
    spread = qkv.new_zeros(count * size, *qkv.shape[1:]).index_copy_(0, tiles.place, qkv)
    q, k, v = spread.view(count, size, *qkv.shape[1:]).permute(2, 0, 3, 1, 4)  # each (T, H, M, D/H)
    mixed = _attend(q, k, v, tiles.hidden, dropout)
    return mixed.transpose(1, 2).flatten(0, 1).index_select(0, tiles.place)


def _attend(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor, dropout: float) -> Tensor:
    """All ``(T, H, M, D/H)``; on a GPU by the library's kernel that takes a mask (cuDNN's is slow to start),
    or, where a head's width is not one it takes, by its plain products."""
    if q.is_cuda:
        with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
            return F.scaled_dot_product_attention(q, k, v, ~hidden, dropout)
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    exact = torch.promote_types(scores.dtype, torch.float32)
    weights = F.softmax(scores.masked_fill(hidden, -torch.inf), dim=-1, dtype=exact)
    return drop(weights.to(v.dtype), dropout) @ v


def attention_of_ends(q: Tensor, x: Tensor, offsets: Tensor) -> Tensor:
    """A query for every sequence attends to all of its rows, which are keys and values as they are.

    Args:
        q: ``(B, H, D)``.
        x: ``(N, D)``, packed rows.
        offsets: ``(B + 1,)``, where sequences begin; none is empty.

    Returns:
        ``(B, H, D)``, weighted means of rows.
    """
    sequence = torch.repeat_interleave(offsets.diff())  # (N,)
    scores = torch.einsum("nhd,nd->nh", q[sequence], x)
    exact = scores.to(torch.promote_types(scores.dtype, torch.float32))
    owner = sequence[:, None].expand_as(exact)
    highest = exact.new_full(q.shape[:2], -torch.inf).scatter_reduce(0, owner, exact, "amax")
    weights = (exact - highest[sequence]).exp()  # (N, H)
    total = weights.new_zeros(q.shape[:2]).index_add(0, sequence, weights)
    mixed = weights.new_zeros(q.shape).index_add(0, sequence, weights[..., None] * x[:, None])
    attended: Tensor = (mixed / total[..., None]).to(x.dtype)
    return attended
