"""Encoders over frozen states: what SSNA, TMLP and TMoE share. No language model runs while they train."""

import torch
from torch import Tensor, nn

from ssna.methods.base import ItemEncoder
from ssna.nn.embedding import ItemEmbedding
from ssna.nn.padding import pad_rows
from ssna.text import LayerCache


class FrozenEncoder(ItemEncoder):
    """States of the cache, through an adapter, to item vectors.

    Args:
        states: ``(a, I + 1, d)``, top layer first, row 0 zero.
        adapter: one of ``ADAPTERS``, ``(a, n, d)`` -> ``(n, dim)``.
        ids: width of a free vector for every item, zero at the start, that is added; None for none.
    """

    states: Tensor
    repeatable = True

    def __init__(self, states: Tensor, adapter: nn.Module, ids: int | None = None) -> None:
        super().__init__()
        self.register_buffer("states", states, persistent=False)
        self.text = adapter
        self.ids = None if ids is None else ItemEmbedding(states.shape[1], ids)
        if self.ids is not None:
            nn.init.zeros_(self.ids.weight)

    def forward(self, items: Tensor) -> Tensor:
        """See :class:`ItemEncoder`."""
        v: Tensor = self.text(self.states[:, pad_rows(items)])[: len(items)]
        return v if self.ids is None else v + self.ids(items)

    def item_rows(self) -> tuple[str, ...]:
        """See :class:`ItemEncoder`."""
        return () if self.ids is None else ("ids.weight",)

    def admission(self) -> nn.Module:
        """See :class:`ItemEncoder`."""
        return self.text


def top_states(cache: LayerCache | None, layers: int) -> Tensor:
    """``(a, I + 1, d)`` of the cache, which the run has checked to be there."""
    assert cache is not None, "the run checks that a method that needs text gets a cache"
    return torch.from_numpy(cache.top(layers))
