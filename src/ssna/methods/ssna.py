"""SSNA: adapters over the top layers of a frozen language model, integrated in sequence (Eq. 1 to 4)."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ssna.data.dataset import Dataset
from ssna.methods.base import ItemEncoder, MethodSettings
from ssna.nn.adapter import LayerAdapters
from ssna.nn.start import whiten
from ssna.text import LayerCache


class SSNASettings(MethodSettings):
    """The method of the paper, and two additions of ours that its recipe leaves off."""

    name: Literal["ssna"] = "ssna"
    layers: int = Field(3, ge=1)
    """``a``: top layers of the language model that are adapted."""
    heads: int = Field(8, ge=1)
    """``n_p``: projection heads of each adapter."""
    integrate: Literal["gru", "mean", "weighted"] = "gru"
    """How the adapters' outputs are joined: Eq. 4, or a variant of Table 8."""
    start: Literal["random", "whitened"] = "random"
    """``whitened``: the untrained method gives the joint PCA whitening of the layers, so it begins as text-kNN."""
    ids: bool = False
    """Add a free vector for every item, zero at the start (an item admitted later has none)."""


class SSNA(ItemEncoder):
    """Frozen states to item vectors.

    Args:
        states: ``(a, I + 1, d)``, top layer first, row 0 zero.
        dim: ``D``, width of item vectors.
    """

    states: Tensor

    def __init__(self, states: Tensor, dim: int, settings: SSNASettings) -> None:
        super().__init__()
        layers, rows, width = states.shape
        self.register_buffer("states", states, persistent=False)
        self.text = LayerAdapters(layers, width, dim, settings.heads, settings.integrate)
        if settings.start == "whitened":
            whiten(self.text, states[:, 1:])
        self.ids = nn.Embedding(rows, dim) if settings.ids else None
        if self.ids is not None:
            nn.init.zeros_(self.ids.weight)

    def forward(self, items: Tensor) -> Tensor:
        """See :class:`ItemEncoder`."""
        v: Tensor = self.text(self.states[:, items])
        return v if self.ids is None else v + self.ids(items)

    def admission(self) -> LayerAdapters:
        """See :class:`ItemEncoder`."""
        return self.text


def build_ssna(settings: SSNASettings, data: Dataset, cache: LayerCache | None, dim: int) -> SSNA:
    """For ``METHODS``."""
    assert cache is not None, "the run checks that a method that needs text gets a cache"
    return SSNA(torch.from_numpy(cache.top(settings.layers)), dim, settings)
