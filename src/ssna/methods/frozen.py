"""Encoders over frozen states: what SSNA, TMLP and TMoE share. No language model runs while they train."""

import numpy as np
import torch
from torch import Tensor, nn

from ssna.device import free_memory
from ssna.methods.base import ItemEncoder
from ssna.nn.embedding import ItemEmbedding
from ssna.nn.padding import pad_rows
from ssna.text import LayerCache

SPARE = 2  # states may take one part in so many of the memory that is free
SOME = 100_000  # items tell how the states of a catalogue lie


class MappedStates:
    """States that stay in the cache's files, for catalogues too large for memory: each step reads its own from there.

    Attributes:
        shape: ``(a, I + 1, d)``.
    """

    def __init__(self, cache: LayerCache, layers: int) -> None:
        self.cache, self.shape = cache, (layers, len(cache.rows), cache.width)

    def take(self, items: Tensor) -> Tensor:
        """``items (n,)`` -> ``(a, n, d)``, where ``items`` are."""
        return torch.from_numpy(self.cache.top(self.shape[0], items.cpu().numpy())).to(items.device)


class FrozenEncoder(ItemEncoder):
    """States of the cache, through an adapter, to item vectors.

    Args:
        states: ``(a, I + 1, d)``, top layer first, row 0 zero.
        adapter: one of ``ADAPTERS``, ``(a, n, d)`` -> ``(n, dim)``.
        ids: width of a free vector for every item, zero at the start, that is added; None for none.
    """

    states: Tensor

    def __init__(self, states: Tensor | MappedStates, adapter: nn.Module, ids: int | None = None) -> None:
        super().__init__()
        self.repeatable = isinstance(states, Tensor)
        self.mapped = None if isinstance(states, Tensor) else states
        self.register_buffer("states", states if isinstance(states, Tensor) else None, persistent=False)
        self.text = adapter
        self.ids = None if ids is None else ItemEmbedding(states.shape[1], ids)
        if self.ids is not None:
            nn.init.zeros_(self.ids.weight)

    def forward(self, items: Tensor) -> Tensor:
        """See :class:`ItemEncoder`."""
        rows = pad_rows(items)
        h = self.states[:, rows] if self.mapped is None else self.mapped.take(rows)
        v: Tensor = self.text(h)[: len(items)]
        return v if self.ids is None else v + self.ids(items)

    def item_rows(self) -> tuple[str, ...]:
        """See :class:`ItemEncoder`."""
        return () if self.ids is None else ("ids.weight",)

    def admission(self) -> nn.Module:
        """See :class:`ItemEncoder`."""
        return self.text


def top_states(cache: LayerCache | None, layers: int) -> Tensor | MappedStates:
    """``(a, I + 1, d)`` of the cache, which the run has checked to be there: in memory, where there is room."""
    assert cache is not None, "the run checks that a method that needs text gets a cache"
    size = layers * len(cache.rows) * cache.width * np.dtype(np.float32).itemsize
    return MappedStates(cache, layers) if size > free_memory() / SPARE else torch.from_numpy(cache.top(layers))


def known_states(states: Tensor | MappedStates) -> Tensor:
    """``(a, n, d)`` of items: of all of them, or from files of about ``SOME``, evenly spread over the catalogue."""
    if isinstance(states, Tensor):
        return states[:, 1:]
    return states.take(torch.arange(1, states.shape[1], -(-(states.shape[1] - 1) // SOME)))
