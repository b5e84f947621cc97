"""SSNA: adapters over the top layers of a frozen language model, integrated in sequence (Eq. 1 to 4)."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from ssna.data.dataset import Dataset
from ssna.methods.base import MethodSettings
from ssna.methods.frozen import FrozenEncoder, MappedStates, known_states, top_states
from ssna.nn.adapter import LayerAdapters
from ssna.nn.whitened_init import init_whitened
from ssna.text import LayerCache


class SSNASettings(MethodSettings):
    """The method of the paper, and two additions of ours that its recipe leaves off."""

    name: Literal["ssna"] = "ssna"
    layers: int = Field(3, ge=1)
    """``a``: top layers of the language model that are adapted."""
    num_experts: int = Field(8, ge=1)
    """``n_p``: parametric-whitening experts of each adapter."""
    integrate: Literal["gru", "mean", "weighted"] = "gru"
    """How the outputs of the adapters are integrated: Eq. 4, or a variant of Table 8."""
    init: Literal["random", "whitened"] = "random"
    """``whitened``: the untrained method gives the joint PCA whitening of the layers, so it begins as text-kNN."""
    id_embeddings: bool = False
    """Add a free vector for every item, zero at the start (an item admitted later has none)."""


def build_ssna(settings: SSNASettings, data: Dataset, cache: LayerCache | None, dim: int) -> FrozenEncoder:
    """Adapters over the states of the cache's top layers."""
    return over_states(top_states(cache, settings.layers), dim, settings)


def over_states(states: Tensor | MappedStates, dim: int, settings: SSNASettings) -> FrozenEncoder:
    """SSNA over ``states (a, I + 1, d)``, top layer first, row 0 zero."""
    layers, _, width = states.shape
    adapters = LayerAdapters(layers, width, dim, settings.num_experts, settings.integrate)
    if settings.init == "whitened":
        init_whitened(adapters, known_states(states))
    return FrozenEncoder(states, adapters, dim if settings.id_embeddings else None)
