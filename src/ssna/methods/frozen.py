"""Encoders over frozen states: what SSNA, TMLP and TMoE share. No language model runs while they train."""

import numpy as np
import torch
from torch import Tensor, nn

from ssna.compute.device import free_memory
from ssna.methods.base import ItemEncoder
from ssna.nn.embedding import ItemEmbedding
from ssna.nn.padding import pad_rows
from ssna.text import LayerCache

SPARE = 2  # states may take one part in so many of the memory that is free
SOME = 2**27  # numbers tell how the states of a catalogue lie: half a gigabyte of them


class MappedStates:
    """States that are in the cache's files, and read from there as they are asked for.

    Attributes:
        shape: ``(a, I + 1, d)``, top layer first, row 0 zero.
    """

    def __init__(self, cache: LayerCache, layers: int) -> None:
        self.cache, self.shape = cache, (layers, len(cache.rows), cache.width)

    def take(self, items: Tensor) -> Tensor:
        """``items (n,)`` -> ``(a, n, d)``, where ``items`` are."""
        return torch.from_numpy(self.cache.top(self.shape[0], items.cpu().numpy())).to(items.device)

    def loaded(self) -> Tensor:
        """All of them."""
        return torch.from_numpy(self.cache.top(self.shape[0]))


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
        self.mapped = None if isinstance(states, Tensor) else states
        self.register_buffer("states", states if isinstance(states, Tensor) else None, persistent=False)
        self.text = adapter
        self.ids = None if ids is None else ItemEmbedding(states.shape[1], ids)
        if self.ids is not None:
            nn.init.zeros_(self.ids.weight)

    def setup(self, device: torch.device) -> None:
        """States that fit are loaded; others stay in files, and each step reads its own."""
        if self.mapped is None:
            return
        size = int(np.prod(self.mapped.shape)) * np.dtype(np.float32).itemsize
        if size <= free_memory(device) / SPARE:
            self.states, self.mapped = self.mapped.loaded(), None

    @property
    def cuda_graph_safe(self) -> bool:  # type: ignore[override]  # known once states are placed
        return self.mapped is None

    def forward(self, items: Tensor) -> Tensor:
        rows = pad_rows(items)
        h = self.states[:, rows] if self.mapped is None else self.mapped.take(rows)
        v: Tensor = self.text(h)[: len(items)]
        return v if self.ids is None else v + self.ids(items)

    def item_rows(self) -> tuple[str, ...]:
        return () if self.ids is None else ("ids.weight",)

    def text_projection(self) -> nn.Module:
        return self.text


def top_states(cache: LayerCache | None, layers: int) -> MappedStates:
    """``(a, I + 1, d)`` of the cache, which the run has checked to be there: the language model's top ``layers``, and
    above them what stands beside it."""
    assert cache is not None, "the run checks that a method that needs text gets a cache"
    return MappedStates(cache, cache.reach(layers))


def known_states(states: Tensor | MappedStates) -> Tensor:
    """``(a, n, d)``: of all items, or, where that were more than ``SOME`` numbers, of some evenly spread over them."""
    layers, rows, width = states.shape
    chosen = torch.arange(1, rows, -(-(rows - 1) * layers * width // SOME))
    return states[:, chosen] if isinstance(states, Tensor) else states.take(chosen)
