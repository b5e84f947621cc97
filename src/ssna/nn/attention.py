"""Causal self-attention over packed sequences."""

import torch
from torch import Tensor
from torch.nn import functional as F


def packed_causal_attention(q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, dropout: float = 0.0) -> Tensor:
    """Every row attends to itself and to the earlier rows of its own sequence.

    Sequences stand at the start of their rows of a ``(B, T)`` grid, so a causal mask alone keeps padding out of
    every row that is read back; only this product sees padding, the projections around it do not.

    Args:
        q, k, v: ``(N, H, D/H)``, packed rows.
        offsets: ``(B + 1,)`` int64, sequence ``b`` is rows ``offsets[b]:offsets[b + 1]``.
        dropout: share of attention weights dropped.

    Returns:
        ``(N, H, D/H)``.
    """
    lengths = offsets.diff()
    sequence = torch.repeat_interleave(lengths)  # (N,)
    position = torch.arange(len(q), device=q.device) - offsets[sequence]
    grid = (len(lengths), int(lengths.max()), *q.shape[1:])

    def spread(packed: Tensor) -> Tensor:
        return packed.new_zeros(grid).index_put((sequence, position), packed).transpose(1, 2)  # (B, H, T, D/H)

    mixed = F.scaled_dot_product_attention(spread(q), spread(k), spread(v), dropout_p=dropout, is_causal=True)
    return mixed.transpose(1, 2)[sequence, position]
