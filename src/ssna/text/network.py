"""One forward pass of a language model: every layer's states, and a model that is the same afterwards."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class UnusableStatesError(Exception):
    """A model whose layers do not each have one vector a token; what it does instead."""


def layer_states(network: nn.Module, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
    """Each layer's (b, T, d), lowest first, without the embeddings; the top one is the ``last_hidden_state``.

    Args:
        ids, mask: (b, T) token ids, and 1 for real tokens, on the network's device.

    Raises:
        UnusableStatesError: the network shows no layers, or layers of unlike shapes.
    """
    inputs = {"input_ids": ids, "attention_mask": mask}
    takes = inspect.signature(network.forward).parameters
    if "attention_mask" not in takes and not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        del inputs["attention_mask"]
    output = network(**inputs, output_hidden_states=True)
    states = tuple(getattr(output, "hidden_states", None) or ())[1:]
    if not states or not all(isinstance(state, Tensor) for state in states):
        raise UnusableStatesError("shows no single state of a token in each layer")
    top = getattr(output, "last_hidden_state", None)
    if top is not None and top.shape == states[-1].shape:  # hidden_states of some lack the norm behind the top layer
        states = (*states[:-1], top)
    shapes = sorted({tuple(map(int, state.shape)) for state in states})
    if len(shapes) != 1 or shapes[0][:-1] != tuple(map(int, ids.shape)):
        raise UnusableStatesError(f"makes of {ids.shape[1]} tokens states of the shapes {', '.join(map(str, shapes))}")
    return states


def text_part(network: nn.Module) -> nn.Module:
    """The part that reads texts where another one reads what they are compared with, as in CLIP; else ``network``."""
    part = getattr(network, "text_model", None)
    return part if isinstance(part, nn.Module) and hasattr(network, "get_text_features") else network


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Whatever a forward pass replaces in ``network`` is put back: BigBird drops its sparse attention at a short text,
    positions that adapt to a long text stay so. The next text finds the model as it was loaded.

    What a pass adds stays: transformers notes there that it watches the layers.
    """
    before = [(part, _content(part)) for part in network.modules()]
    try:
        yield
    finally:
        for part, content in before:
            for name, value in content.items():
                if isinstance(value, dict):
                    kept = part.__dict__[name]
                    if kept.keys() != value.keys() or any(kept[key] is not value[key] for key in value):
                        kept.clear()
                        kept.update(value)
                elif part.__dict__.get(name) is not value:
                    part.__dict__[name] = value


def _content(part: nn.Module) -> dict[str, Any]:
    return {
        name: dict(value) if name in ("_modules", "_buffers", "_parameters") else value
        for name, value in part.__dict__.items()
        if name in ("_modules", "_buffers", "_parameters") or not isinstance(value, dict)
    }


@contextmanager
def in_fp32(network: nn.Module) -> Iterator[None]:
    """The same numbers in 32 bits, and back again: nothing is lost on either way."""
    tensors = [*network.parameters(), *network.buffers()]
    narrow = [(tensor, tensor.dtype) for tensor in tensors if tensor.dtype in (torch.bfloat16, torch.float16)]
    try:
        for tensor, _ in narrow:
            tensor.data = tensor.data.float()
        yield
    finally:
        for tensor, dtype in narrow:
            tensor.data = tensor.data.to(dtype)
