"""Folders that hold an adapter of peft alone: their base model with the adapter added to its weights."""

import json
import warnings
from pathlib import Path
from typing import Any, Final

from safetensors.torch import load_file

from ssna.core.errors import EncoderError, option
from ssna.core.files import read_json

ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
PLACES: Final = ("base_model_name_or_path", "revision")  # of the base, whose identity is known by its own files


def base_of(folder: Path, name: str) -> str:
    """The base model that an adapter was made for: a folder or a hub id, as its configuration names it."""
    base = read_json(folder / ADAPTER_CONFIG, EncoderError, maker="peft").get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise EncoderError(
            f"{name} is an adapter that names no base model (base_model_name_or_path)\nput it in, or encode with "
            f"{option('adapter_base', 'FOLDER')}"
        )
    return base


def require_no_base(name: str, adapter_base: str | None) -> None:
    """Raises :class:`EncoderError` for a base where there is no adapter."""
    if adapter_base is not None:
        raise EncoderError(
            f"{name} is no folder that holds an adapter of peft alone; leave {option('adapter_base', adapter_base)} out"
        )


def canonical(config: Path) -> bytes:
    """An adapter's configuration without the place of its base: the same for any copy."""
    tree = read_json(config, EncoderError, maker="peft")
    return json.dumps({key: value for key, value in tree.items() if key not in PLACES}, sort_keys=True).encode()


def with_adapter(network: Any, folder: Path, name: str) -> Any:
    """``network`` with the adapter's updates added to its weights.

    Raises:
        EncoderError: there are no weights in safetensors, or they are not those of this model.
    """
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise EncoderError(f"{folder} holds no {ADAPTER_WEIGHTS}, and pickled weights are not loaded; save it again")
    tensors = load_file(folder / ADAPTER_WEIGHTS)
    prefix = f"base_model.model.{network.base_model_prefix}."
    if network.base_model_prefix and all(key.startswith(prefix) for key in tensors):  # made for a model with a head
        tensors = {"base_model.model." + key.removeprefix(prefix): value for key, value in tensors.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = PeftConfig.from_pretrained(str(folder))
        config.task_type = None  # its states are read, whatever it was trained for
        adapted = get_peft_model(network, config)
        result: Any = set_peft_model_state_dict(adapted, tensors)
        lacking = get_peft_model_state_dict(adapted).keys() - tensors.keys()
    strangers = sorted({*result.unexpected_keys, *lacking})
    if strangers:
        raise EncoderError(
            f"{name}: {len(strangers)} tensors of the adapter and its base do not match, {strangers[0]} among them\n"
            "give the base that the adapter was trained on"
        )
    return adapted.merge_and_unload()
