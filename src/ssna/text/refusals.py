"""Why a language model does not read a text, in one or two lines: models fail each in its own way."""

import inspect
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import nn
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from ssna.core.errors import EncoderError, option
from ssna.text.encoding import Precision
from ssna.text.network import UnusableStatesError

# What a parameter's name holds -> what a model reads by it.
BESIDE_TEXT: Final = {
    "pixel": "images",
    "image": "images",
    "vision": "images",
    "visual": "images",
    "video": "videos",
    "audio": "sound",
    "speech": "sound",
    "input_features": "sound",
    "input_values": "sound",
    "bbox": "the place of each word on its page",
    "action": "the actions of a robot",
}
REMEDY: Final = "give a text encoder or a text decoder"
LACKING: Final = re.compile(
    r"NoneType|not.none|cannot be .?none|missing|required|have to specify|must (be )?(provide|specif|pass|given)",
    re.IGNORECASE,
)
"""What errors say of an input that was not given."""


@contextmanager
def forward_errors_named(name: str, network: nn.Module, text_config: Any, dtype: Precision) -> Iterator[None]:
    """Any failure of a forward pass becomes an :class:`EncoderError`; memory is the caller's matter.

    Args:
        name: of the model.
        text_config: the settings of the part that reads text.
        dtype: what was asked for.
    """
    try:
        yield
    except (EncoderError, torch.OutOfMemoryError):
        raise
    except UnusableStatesError as cause:
        raise EncoderError(f"{name} {cause}\ngive a model whose layers have one vector for each token") from None
    except IndexError:
        raise EncoderError(
            f"{name}: a token or a position lies outside the model's tables\n"
            f"the tokenizer belongs to another model, or {option('max_tokens')} is above what the model reads"
        ) from None
    except Exception as cause:
        raise EncoderError(_reason(name, network, text_config, dtype, cause)) from None


def _reason(name: str, network: nn.Module, text_config: Any, dtype: Precision, cause: Exception) -> str:
    said = f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
    if dtype != "fp32" and next(iter(network.parameters())).dtype != torch.float32:
        return f"{name} cannot compute in {dtype} ({said})\nencode with {option('dtype', 'fp32')}"
    takes = inspect.signature(network.forward).parameters
    beside = _beside(takes, str(cause))
    reads_text = any("input_ids" in each or "text" in each for each in takes)
    if not reads_text and (beside is not None or "input_ids" in str(cause)):
        what = f"takes {next(iter(takes), 'nothing')}" if beside is None else f"reads {beside}"
        return f"{name} {what}, not the tokens of a text\n{REMEDY}"
    if beside is None or not LACKING.search(str(cause)):
        return f"{name} fails at a plain text ({said})\n{REMEDY}"
    return f"{name} reads a text only together with {beside}\n{_part(network, text_config) or REMEDY}"


def _beside(takes: Iterable[str], said: str) -> str | None:
    """What is read beside a text, that which the error names first; None where no parameter's name tells of it."""
    found = [(each not in said, what) for each in takes for part, what in BESIDE_TEXT.items() if part in each]
    return min(found, key=lambda each: each[0], default=(True, None))[1]


def _part(network: nn.Module, text_config: Any) -> str | None:
    """What to give instead: a model of the kind that reads the text in this one."""
    kind, whole = (getattr(each, "model_type", "") for each in (text_config, getattr(network, "config", None)))
    known = kind in MODEL_MAPPING_NAMES and kind != whole
    return f"give a model of text alone, such as one of the type {kind}" if known else None
