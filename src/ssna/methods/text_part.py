"""The part of a language model that reads text: the maps and layers in it that methods tune.

A model that also sees or hears has other towers, whose maps have the same names and learn nothing from a text.
"""

from typing import cast

import torch
from torch import Tensor, nn

from ssna.core.errors import SettingsError

# Names of the linear maps to query and value (or of one map that holds them), by family of models.
ATTENTION = (
    ("query", "value"),  # BERT, RoBERTa, ELECTRA
    ("q_lin", "v_lin"),  # DistilBERT
    ("q_proj", "v_proj"),  # Llama, Mistral, Qwen, OPT, BART
    ("q", "v"),  # MPNet, T5
    ("query_proj", "value_proj"),  # DeBERTa
    ("Wqkv",),  # ModernBERT, MPT
    ("qkv_proj",),  # Phi-3, CodeGen
    ("query_key_value",),  # GPT-NeoX, BLOOM, Falcon
    ("c_attn",),  # GPT-2
)


def attention_maps(network: nn.Module, name: str, ids: Tensor | None = None) -> list[str]:
    """The maps to query and value that a text passes in ``network``: their names, or, where another tower has maps of
    these names too, their paths.

    Args:
        ids: ``(1, T)`` tokens of a text; None takes four of the lowest token.

    Raises:
        SettingsError: a text passes none of a known name.
    """
    from transformers.pytorch_utils import Conv1D

    linear = {path: part for path, part in network.named_modules() if isinstance(part, nn.Linear | Conv1D)}
    passed = set(passed_by_text(network, ids))
    used = [path for path, part in linear.items() if part in passed]
    for names in ATTENTION:
        if {_last(path) for path in used}.issuperset(names):
            paths = [path for path in used if _last(path) in names]
            alone = len(paths) == sum(_last(path) in names for path in linear)
            return list(names) if alone else paths
    known = ", ".join("/".join(names) for names in ATTENTION)
    raise SettingsError(f"{name} has no query and value maps of a known name ({known}); train ssna or full instead")


def top_layers(
    network: nn.Module, count: int, depth: int, name: str, ids: Tensor | None = None
) -> tuple[list[nn.Module], list[nn.Module]]:
    """The top ``count`` of ``depth`` layers, and the norms that a text passes behind them (decoders have one).

    Raises:
        SettingsError: there are fewer layers, or no list of them is found (XLM keeps their parts in several).
    """
    if count > depth:
        raise SettingsError(f"{name} has {depth} layers; method.layers = {count} of them cannot be tuned")
    passed = passed_by_text(network, ids)
    for parent in network.modules():
        lists = [child for child in parent.children() if isinstance(child, nn.ModuleList) and len(child) == depth]
        lists = [layers for layers in lists if not set(passed).isdisjoint(layers[-1].modules())]
        if len(lists) == 1:
            layers = list(lists[0])
            return layers[-count:], _norms_after(layers[-1], passed)
    raise SettingsError(f"{name} keeps its layers in no list of {depth}; train lora or ssna instead")


def passed_by_text(network: nn.Module, ids: Tensor | None = None) -> list[nn.Module]:
    """The parts without parts of their own that a text passes, in this order; that in the network says nothing."""
    passed: list[nn.Module] = []
    leaves = [part for part in network.modules() if not list(part.children())]
    hooks = [part.register_forward_hook(lambda part, *_: passed.append(part)) for part in leaves]
    ids = torch.zeros(1, 4, dtype=torch.long) if ids is None else ids
    try:
        with torch.no_grad():
            network(input_ids=ids)
    finally:
        for hook in hooks:
            hook.remove()
    return passed


def _norms_after(top: nn.Module, passed: list[nn.Module]) -> list[nn.Module]:
    inside = set(top.modules())
    last = max(place for place, part in enumerate(passed) if part in inside)
    return [part for part in passed[last + 1 :] if "norm" in type(part).__name__.lower()]


def top_state(network: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    """``(b, T, d)`` of the top layer, from models that name it and from those that list all layers alone (DPR).

    Raises:
        SettingsError: the model asks for more than texts when it is trained.
    """
    try:
        state = getattr(network(input_ids=ids, attention_mask=mask), "last_hidden_state", None)
    except ValueError as cause:
        name, reason = type(network).__name__, " ".join(str(cause).split())
        raise SettingsError(f"{name} cannot be trained on texts alone ({reason}); train ssna instead") from None
    if state is None:
        state = network(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
    return cast(Tensor, state)


def _last(path: str) -> str:
    return path.rsplit(".", 1)[-1]
