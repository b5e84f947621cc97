"""Baselines that tune the language model itself: LoRA and full fine-tuning of its top layers; what AdaLoRA shares.

Each distinct item of a batch goes through the model once, forward and backward; that is what SSNA does without.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ssna.core.errors import SettingsError
from ssna.core.ragged import Ragged
from ssna.data.dataset import Dataset
from ssna.methods.base import ItemEncoder, MethodSettings
from ssna.methods.text_part import attention_maps, top_layers, top_state
from ssna.text import LayerCache
from ssna.text.encoding import Batching, Pooling


class TunedSettings(MethodSettings):
    """What the three share."""

    checkpointing: bool = False
    """Keep no activations inside the language model's layers and compute them again going back: memory for time."""


class LoraSettings(TunedSettings):
    """LoRA (Hu et al., 2021) on the query and value maps of every layer, by the library peft."""

    name: Literal["lora"] = "lora"
    rank: int = Field(8, ge=1)
    """``r``."""
    alpha: float = Field(16, gt=0)
    """The update is scaled by ``alpha / r``."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """``p``, on the input of the update."""


class FullSettings(TunedSettings):
    """All weights of the top layers (Yuan et al., 2023); the layers below and the embeddings stay."""

    name: Literal["full"] = "full"
    layers: int = Field(2, ge=1)
    """``n_t``: top layers that are tuned."""


@dataclass(frozen=True)
class Reading:
    """How a language model reads a batch, as the cache's vectors were made.

    Attributes:
        name: of the model.
        padding: the token that fills short texts up.
        cls_at: where the classification token stands, 0 or -1.
        batching: which texts may share a batch.
    """

    name: str
    pooling: Pooling
    padding: int
    cls_at: int
    batching: Batching


class TunedEncoder(ItemEncoder):
    """Token ids, through a language model that learns, to item vectors.

    Args:
        network: reads ``(b, T)`` token ids; what it is to learn requires gradients, the rest does not.
        tokens: ``I + 1`` rows of token ids, row 0 that of an empty text.
        reading: how it reads a batch of them.
        width, dim: of the network's states and of item vectors; a linear map leads from one to the other.
    """

    ids: Tensor
    offsets: Tensor

    def __init__(self, network: nn.Module, tokens: Ragged, reading: "Reading", width: int, dim: int) -> None:
        super().__init__()
        self.network, self.reading = network, reading
        self.register_buffer("ids", torch.from_numpy(tokens.values.astype(np.int64)), persistent=False)
        self.register_buffer("offsets", torch.from_numpy(tokens.offsets), persistent=False)
        self.project = nn.Linear(width, dim)

    def forward(self, items: Tensor) -> Tensor:
        """Texts of like length go through the network together."""
        from ssna.text.batches import TOKENS_PER_BATCH, batches_by_length

        lengths = (self.offsets[items + 1] - self.offsets[items]).tolist()
        groups = [
            torch.from_numpy(rows)
            for rows in batches_by_length(
                lengths, TOKENS_PER_BATCH.get(items.device.type, 4_096), self.reading.batching
            )
        ]
        vectors = torch.cat([self._read(items[rows.to(items.device)]) for rows in groups])
        back = torch.argsort(torch.cat(groups)).to(items.device)
        return cast(Tensor, self.project(vectors))[back]

    def _read(self, items: Tensor) -> Tensor:
        """``(b,)`` item rows -> ``(b, d)`` pooled states of the top layer."""
        from ssna.text.pooling import pool

        start, stop = self.offsets[items], self.offsets[items + 1]
        steps = torch.arange(int((stop - start).max()), device=items.device)
        places = start[:, None] + steps  # (b, T)
        mask = places < stop[:, None]
        ids = self.ids[places.clamp(max=len(self.ids) - 1)].masked_fill(~mask, self.reading.padding)
        return pool(top_state(self.network, ids, mask.long()), mask, self.reading.pooling, self.reading.cls_at)

    def learned(self) -> list[nn.Parameter]:
        """The weights of the language model that only a text's vector moves."""
        return [weight for weight in self.network.parameters() if weight.requires_grad]

    def after_step(self, step: int) -> None:
        """Raises :class:`SettingsError` where the first step reached nothing that is to be learned of the model."""
        learned = self.learned()
        if step == 0 and not any(weight.grad is not None and weight.grad.any() for weight in learned):
            raise SettingsError(
                f"none of the {len(learned)} tensors that are to be learned of {self.reading.name} gets a gradient "
                "from a text; train ssna instead"
            )


EncoderT = TypeVar("EncoderT", bound=TunedEncoder)


def build_lora(settings: LoraSettings, data: Dataset, cache: LayerCache | None, dim: int) -> TunedEncoder:
    """The language model with low-rank updates on its query and value maps, which alone are learned."""
    reader = reader_of(cache)
    from peft import LoraConfig

    network = prepared(reader.network, settings)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=cast(int, settings.alpha),  # peft divides by the rank, whatever number it is
        lora_dropout=settings.dropout,
        target_modules=attention_maps(network, reader.model.name, short_ids(reader)),
    )
    return encoder_of(TunedEncoder, with_adapters(network, config), reader, data, dim)


def build_full(settings: FullSettings, data: Dataset, cache: LayerCache | None, dim: int) -> TunedEncoder:
    """The language model, the top layers of which are learned."""
    reader = reader_of(cache)
    network = prepared(reader.network, settings)
    blocks, norms = top_layers(network, settings.layers, reader.shape[0], reader.model.name, short_ids(reader))
    for part in (*blocks, *norms):
        part.requires_grad_(True)
    return encoder_of(TunedEncoder, network, reader, data, dim)


def reader_of(cache: LayerCache | None) -> Any:
    """The cache's language model, its weights in fp32: they, or what is added to them, are to learn."""
    assert cache is not None, "the run checks that a method that needs text gets a cache"
    encoding = cache.encoding
    if encoding.pooling is None or not encoding.has_model or encoding.sources:
        what = "beside which vectors stand" if encoding.has_model else "but the cache holds vectors alone"
        raise SettingsError(
            f"{cache.folder}: lora, adalora and full tune a language model, {what}; encode texts with a language model "
            "alone into another folder, or train ssna"
        )
    from ssna.text.encoder import TextEncoder

    reader = TextEncoder.like(encoding.model_copy(update={"dtype": "fp32"}), device="cpu")
    _ = reader.probe  # before anything is added to the model
    return reader


def short_ids(reader: Any) -> Tensor:
    """``(1, T)`` of a short text."""
    return torch.tensor([reader.probe_texts.short])


def prepared(network: nn.Module, settings: TunedSettings) -> nn.Module:
    """For training. cuDNN's attention is turned off in this process: on an H200 it prepared 10 ms for any shape that is
    new, and hardly two batches of texts have one shape."""
    torch.backends.cuda.enable_cudnn_sdp(False)
    if settings.checkpointing:
        try:
            cast(Any, network).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        except (AttributeError, ValueError) as cause:
            raise SettingsError(f"method.checkpointing: this language model cannot ({cause}); leave it off") from None
    return network


def with_adapters(network: nn.Module, config: Any) -> nn.Module:
    """``network`` with what peft adds as ``config`` says."""
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft says that it fits itself to GPT-2's transposed maps
        adapted: nn.Module = get_peft_model(cast(Any, network), config)
    return adapted


def encoder_of(kind: type[EncoderT], network: nn.Module, reader: Any, data: Dataset, dim: int) -> EncoderT:
    """Of the texts of ``data``, with a map of the network's states to ``dim`` numbers."""
    tokens = Ragged.from_rows(reader.tokenize(list(data.texts)))
    reading = Reading(reader.model.name, reader.pooling, reader.model.padding_id, reader.cls_at, reader.batching)
    return kind(network, tokens, reading, reader.shape[1], dim)
