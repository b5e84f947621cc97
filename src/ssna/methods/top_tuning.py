"""Top tuning: an adapter over the top layer alone, as SSNA's with ``a = 1`` but for what joins layers."""

from typing import Literal

from pydantic import Field

from ssna.data.dataset import Dataset
from ssna.methods.base import MethodSettings
from ssna.methods.frozen import FrozenEncoder, top_states
from ssna.nn.adapter import LayerAdapters, MLPAdapter
from ssna.text import LayerCache


class TMLPSettings(MethodSettings):
    """TMLP: a multi-layer perceptron (Yuan et al., 2023)."""

    name: Literal["tmlp"] = "tmlp"
    depth: int = Field(2, ge=1)
    """``n_l``: linear layers, each of the width of item vectors, GELU between them."""


class TMoESettings(MethodSettings):
    """TMoE: UniSRec's mixture of parametric-whitening experts (Hou et al., 2022), which is Eq. 1 to 3."""

    name: Literal["tmoe"] = "tmoe"
    num_experts: int = Field(8, ge=1)
    """Experts."""


def build_tmlp(settings: TMLPSettings, data: Dataset, cache: LayerCache | None, dim: int) -> FrozenEncoder:
    """``depth`` linear layers over the top layer's states."""
    states = top_states(cache, 1)
    return FrozenEncoder(states, MLPAdapter(states.shape[-1], dim, settings.depth, states.shape[0]))


def build_tmoe(settings: TMoESettings, data: Dataset, cache: LayerCache | None, dim: int) -> FrozenEncoder:
    """One adapter of Eq. 1 to 3 over the top layer's states: the mean over one layer is that layer's adapter."""
    states = top_states(cache, 1)
    return FrozenEncoder(states, LayerAdapters(states.shape[0], states.shape[-1], dim, settings.num_experts, "mean"))
