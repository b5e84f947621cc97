"""SASRec (Kang and McAuley, 2018) in the form of UniSRec (Hou et al., 2022): post-norm, GELU; Eq. 5 and 6."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssna.nn.attention import Tiles, attention_of_ends, packed_causal_attention, tile
from ssna.nn.dropout import ByteDropout
from ssna.nn.padding import pad_rows


class SASRec(nn.Module):
    """Packed item vectors -> packed intents: row ``i`` has read its sequence up to and including item ``i``.

    Args:
        dim: width of item vectors and of the model.
        max_length: positions that have an embedding.
        num_layers, num_heads, ffn_dim: Transformer blocks, attention heads, width between a block's two linear layers.
        dropout: on the input, on attention weights and on each sub-layer's output.
    """

    def __init__(
        self, dim: int, max_length: int, num_layers: int, num_heads: int, ffn_dim: int, dropout: float
    ) -> None:
        super().__init__()
        self.config = {
            "dim": dim,
            "max_length": max_length,
            "num_layers": num_layers,
            "num_heads": num_heads,
            "ffn_dim": ffn_dim,
            "dropout": dropout,
        }
        self.position = nn.Embedding(max_length, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = ByteDropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, num_heads, ffn_dim, dropout) for _ in range(num_layers))
        self.apply(_initialise)

    def forward(self, x: Tensor, positions: Tensor, offsets: Tensor, tiles: Tiles | None = None) -> Tensor:
        """``x (N, D)``, ``positions (N,)`` from 0, ``offsets (B + 1,)``, and their ``tiles`` if made -> ``(N, D)``."""
        tiles = tile(offsets) if tiles is None else tiles
        read = pad_rows(self.dropout(self.norm(x + self.position.weight.index_select(0, positions))))
        for block in self.blocks:
            read = block(read, tiles)
        return read[: len(x)]

    def last(
        self, x: Tensor, positions: Tensor, offsets: Tensor, first: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """The last row of every sequence alone, ``(B, D)``: the last block then has little to do. For evaluation.

        Args:
            first: the first of several blocks takes its queries, keys and values from there,
                see :class:`ssna.nn.qkv_lookup.Projection`.
        """
        tiles = tile(offsets)
        read, _, scale = torch.native_layer_norm(
            x + self.position(positions), [x.shape[1]], self.norm.weight, self.norm.bias, self.norm.eps
        )
        read = pad_rows(read)
        *before, last = cast("list[Block]", list(self.blocks))
        for number, block in enumerate(before):
            read = block(read, tiles) if number or first is None else block.attend(read, first(scale), tiles)
        return last.last(read, offsets)


class Block(nn.Module):
    """Self-attention, then two linear layers; each with dropout, a residual and a LayerNorm after it."""

    def __init__(self, dim: int, num_heads: int, ffn_dim: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim, eps=1e-12)
        self.widen = nn.Linear(dim, ffn_dim)
        self.narrow = nn.Linear(ffn_dim, dim)
        self.feed_norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = ByteDropout(dropout)

    def forward(self, x: Tensor, tiles: Tiles) -> Tensor:
        """``x (N, D)`` -> ``(N, D)``."""
        return self.attend(x, self.qkv(x), tiles)

    def attend(self, x: Tensor, qkv: Tensor, tiles: Tiles) -> Tensor:
        """``x (N, D)`` with its queries, keys and values, ``(N, 3D)``; both perhaps with further rows -> ``(N, D)``."""
        qkv = qkv[: len(tiles.place)].view(len(tiles.place), 3, self.num_heads, -1)
        mixed = packed_causal_attention(qkv, tiles, self.dropout.p if self.training else 0.0)
        return self._mixed_in(x, pad_rows(mixed.flatten(1)))

    def last(self, x: Tensor, offsets: Tensor) -> Tensor:
        """``x (N, D)``, perhaps with rows behind the last sequence -> ``(B, D)``, the last row of every sequence.

        A key is never made: ``q · (W x + b)`` is ``(Wᵀ q) · x`` and the same number for all rows of a sequence. Nor is
        a value: the mean of ``W x + b`` is ``W`` times the mean of ``x``, and ``b``.
        """
        width, ends = x.shape[1], x[offsets[1:] - 1]
        bias, (query, key, value) = self.qkv.bias, self.qkv.weight.view(3, self.num_heads, -1, width).unbind(0)
        q = (
            F.linear(ends, query.flatten(0, 1), bias[:width]).view(len(ends), self.num_heads, -1)
            * query.shape[1] ** -0.5
        )
        asked = (q.transpose(0, 1) @ key).transpose(0, 1)  # (B, H, D)
        seen = attention_of_ends(asked, x[: int(offsets[-1])], offsets)
        mixed = (seen.transpose(0, 1) @ value.mT).transpose(0, 1).flatten(1)
        return self._mixed_in(ends, mixed + bias[2 * width :])

    def _mixed_in(self, x: Tensor, mixed: Tensor) -> Tensor:
        """What follows on attention, row by row."""
        x = self.attention_norm(x + self.dropout(self.out(mixed)))
        fed: Tensor = self.feed_norm(x + self.dropout(self.narrow(F.gelu(self.widen(x)))))
        return fed


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


class RecencyMean(nn.Module):
    """An intent without training: the last ``window`` items, each step back in time weighted by ``decay`` once more."""

    def __init__(self, window: int, decay: float) -> None:
        super().__init__()
        self.config = {"window": window, "decay": decay}

    def forward(self, x: Tensor, positions: Tensor, offsets: Tensor) -> Tensor:
        """As :meth:`SASRec.forward`; every row is the weighted sum over the rows up to it."""
        return self._mean(x, torch.arange(len(x), device=x.device), positions)

    def last(self, x: Tensor, positions: Tensor, offsets: Tensor) -> Tensor:
        """As :meth:`SASRec.last`."""
        ends = offsets[1:] - 1
        return self._mean(x, ends, positions[ends])

    def _mean(self, x: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """The intents ``(n, D)`` at ``rows (n,)`` of ``x``, whose positions are ``positions (n,)``."""
        intent = x[rows]
        for back in range(1, int(self.config["window"])):
            reach = (positions >= back).nonzero().squeeze(1)
            intent = intent.index_add(0, reach, x[rows[reach] - back], alpha=self.config["decay"] ** back)
        return intent


class RecencyLinear(RecencyMean):
    """The same sum, times a matrix ``weight (D, D)``: what lies in a history to what follows it."""

    weight: Tensor

    def __init__(self, window: int, decay: float, dim: int) -> None:
        super().__init__(window, decay)
        self.config["dim"] = dim
        self.register_buffer("weight", torch.zeros(dim, dim))

    def _mean(self, x: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        return super()._mean(x, rows, positions) @ self.weight
