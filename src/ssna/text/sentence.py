"""Folders of sentence-transformers: what they say of how their texts are to be read."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ssna.core.errors import EncoderError, option
from ssna.text.encoding import Pooling

MODULES: Final = "modules.json"
POOLINGS: Final[dict[str, Pooling]] = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
LEGACY: Final = {  # one switch for each, before version 6
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
TEXT_PROMPTS: Final = ("document", "passage", "corpus")  # what encode_document of sentence-transformers asks for
ACTIVATIONS: Final = {name: getattr(nn, name) for name in ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid")}
READ: Final = {"Transformer", "Pooling", "Normalize", "Dense", "Dropout"}

Fetch = Callable[[str], Path | None]
"""A file's name in the model's folder, or at the hub -> where it lies here, or None."""


@dataclass(frozen=True, eq=False)
class Dense:
    """One linear map of the pooled vector, and what follows it."""

    weight: Tensor
    bias: Tensor | None
    activation: nn.Module

    def __call__(self, vectors: Tensor) -> Tensor:
        """``(b, d_in)`` -> ``(b, d_out)``."""
        return self.activation(nn.functional.linear(vectors, self.weight, self.bias))  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class SentenceSettings:
    """How a text becomes a vector, as the folder says.

    Attributes:
        subfolder: where the language model lies: "" or ``0_Transformer``.
        pooling: as the folder names it, where it is none of ours.
        max_tokens: where longer texts are cut; None does not say.
        prompt: stands before every text.
        lower: whether texts are read in lower case.
        dense: maps of the top layer's vector, which make it no wider.
        widens: from and to how many numbers maps lead that are left out: layers beside theirs have fewer.
        normalized: whether vectors are brought to length 1 at the end.
        head: 12 hex digits of all that ``dense`` and ``lower`` do; None where there is neither.
    """

    subfolder: str = ""
    pooling: str = "mean"
    max_tokens: int | None = None
    prompt: str = ""
    lower: bool = False
    dense: tuple[Dense, ...] = ()
    widens: tuple[int, int] | None = None
    normalized: bool = False
    head: str | None = None

    def differences(self, pooling: Pooling, max_tokens: int, prompt: str | None, head: str | None) -> list[str]:
        """In what texts are read otherwise than the folder says, as phrases for people."""
        theirs, tokens = POOLINGS.get(self.pooling, self.pooling), self.max_tokens or max_tokens
        return [
            *([f"{pooling} pooling, not {theirs}"] if pooling != theirs else []),
            *([f"{max_tokens} tokens, not {tokens}"] if max_tokens != tokens else []),
            *([f"the prompt {prompt or ''!r}, not {self.prompt!r}"] if (prompt or "") != self.prompt else []),
            *(["no Dense modules"] if self.dense and head is None else []),
            *(["no lower case"] if self.lower and head is None else []),
            *(["no Dense modules, which make {} numbers of {}".format(*self.widens[::-1])] if self.widens else []),
            *(["vectors of their own length, not 1"] if self.normalized else []),
        ]


def read_sentence_settings(name: str, fetch: Fetch) -> SentenceSettings | None:
    """What ``modules.json`` and the files it names say; None where there is no such file.

    Raises:
        EncoderError: the folder is damaged, has no language model, or a part that is not read here.
    """
    listed = fetch(MODULES)
    if listed is None:
        return None
    modules = _json(listed, name, list)
    try:
        kinds = [(str(module["type"]).rsplit(".", 1)[-1], str(module["path"])) for module in modules]
    except (TypeError, KeyError):
        raise EncoderError(f"{name}: {MODULES} does not list modules; fetch or save the model again") from None
    if not kinds or kinds[0][0] != "Transformer":
        raise EncoderError(
            f"{name} is a {kinds[0][0] if kinds else 'model without parts'} of sentence-transformers, "
            "no language model with layers\ngive a folder whose first module is a Transformer"
        )
    for kind, path in kinds:
        if kind not in READ or ".." in PurePosixPath(path).parts or PurePosixPath(path).is_absolute():
            raise EncoderError(f"{name}: the module {kind} ({path}) of sentence-transformers is not read here")
    subfolder = kinds[0][1]
    own = _transformer(name, fetch, subfolder)
    lower = bool(own.get("do_lower_case"))
    files = [path for kind, path in kinds if kind == "Dense"]
    dense, digest = _dense(name, fetch, files)
    widens = None
    if dense and (ends := (dense[0].weight.shape[1], dense[-1].weight.shape[0]))[0] < ends[1]:
        widens, (dense, digest) = ends, _dense(name, fetch, [])
    limit = own.get("max_seq_length")
    return SentenceSettings(
        subfolder=subfolder,
        pooling=next((_pooling(name, fetch, path) for kind, path in kinds if kind == "Pooling"), "mean"),
        max_tokens=limit if isinstance(limit, int) and limit > 0 else None,
        prompt=_prompt(name, fetch),
        lower=lower,
        dense=dense,
        widens=widens,
        normalized=any(kind == "Normalize" for kind, _ in kinds),
        head=hashlib.sha256(repr([digest, lower]).encode()).hexdigest()[:12] if dense or lower else None,
    )


def _transformer(name: str, fetch: Fetch, subfolder: str) -> dict[str, Any]:
    models = ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
    found = (fetch(_in(subfolder, f"sentence_{model}_config.json")) for model in models)
    path = next((path for path in found if path is not None), None)
    return {} if path is None else _json(path, name, dict)


def _pooling(name: str, fetch: Fetch, path: str) -> str:
    file = fetch(_in(path, "config.json"))
    if file is None:
        return "mean"
    config = _json(file, name, dict)
    if config.get("include_prompt") is False:
        return "without its prompt"
    mode = config.get("pooling_mode") or [mode for key, mode in LEGACY.items() if config.get(key)] or ["mean"]
    return mode if isinstance(mode, str) else "+".join(map(str, mode))


def _prompt(name: str, fetch: Fetch) -> str:
    file = fetch("config_sentence_transformers.json")
    if file is None:
        return ""
    config = _json(file, name, dict)
    prompts = config.get("prompts") or {}
    if not isinstance(prompts, dict):
        return ""
    wanted = (*(kind for kind in TEXT_PROMPTS if prompts.get(kind)), config.get("default_prompt_name"))
    return str(next((prompts[kind] for kind in wanted if prompts.get(kind)), ""))


def _dense(name: str, fetch: Fetch, paths: list[str]) -> tuple[tuple[Dense, ...], str]:
    layers, digest = [], hashlib.sha256()
    for path in paths:
        config, weights = fetch(_in(path, "config.json")), fetch(_in(path, "model.safetensors"))
        if config is None or weights is None:
            raise EncoderError(f"{name}: {path} lacks its config.json or model.safetensors; save the model again")
        activation = str(_json(config, name, dict).get("activation_function", "Tanh")).rsplit(".", 1)[-1]
        if activation not in ACTIVATIONS:
            raise EncoderError(f"{name}: {path} has the activation {activation}, which is not known here")
        try:
            tensors = load_file(weights)
            layers.append(Dense(tensors["linear.weight"], tensors.get("linear.bias"), ACTIVATIONS[activation]()))
        except Exception as cause:  # a damaged file fails in several ways
            raise EncoderError(f"{name}: {path} cannot be loaded ({type(cause).__name__}); save it again") from None
        digest.update(activation.encode() + weights.read_bytes())
    return tuple(layers), digest.hexdigest()


def through(dense: tuple[Dense, ...], vectors: Tensor) -> Tensor:
    """Pooled vectors ``(b, d)`` through the folder's linear maps, in fp32; zeros fill them up to ``d`` again, which
    changes neither a length nor an angle."""
    width = vectors.shape[1]
    with torch.inference_mode():
        for layer in dense:
            vectors = layer(vectors)
        return nn.functional.pad(vectors, (0, width - vectors.shape[1]))


def own_pooling(name: str, settings: SentenceSettings | None) -> Pooling:
    """The folder's pooling, or the mean. Raises :class:`EncoderError` where the folder asks for another one."""
    if settings is None:
        return "mean"
    if settings.pooling not in POOLINGS:
        raise EncoderError(
            f"{name} pools its tokens by {settings.pooling}, which is not known here\n"
            f"say {option('pooling', 'mean')}, and its vectors will not be those of sentence-transformers"
        )
    return POOLINGS[settings.pooling]


def _in(folder: str, file: str) -> str:
    return f"{folder}/{file}" if folder else file


def _json(path: Path, name: str, kind: type) -> Any:
    try:
        tree = json.loads(path.read_text())
    except (OSError, ValueError):
        tree = None
    if not isinstance(tree, kind):
        raise EncoderError(f"{name}: {path.name} cannot be read; fetch or save the model again")
    return tree
