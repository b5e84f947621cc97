"""Baselines that tune the language model itself: LoRA, AdaLoRA and full fine-tuning of its top layers.

Each distinct item of a batch goes through the model once, forward and backward; that is what SSNA does without.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar, cast

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ssna.core.errors import SettingsError
from ssna.core.ragged import Ragged
from ssna.data.dataset import Dataset
from ssna.methods.base import ItemEncoder, MethodSettings
from ssna.methods.text_part import attention_maps, top_layers, top_state
from ssna.scoring import below
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


class AdaLoraSettings(TunedSettings):
    """AdaLoRA (Zhang et al., 2023) on the same maps, by the library peft."""

    name: Literal["adalora"] = "adalora"
    initial_rank: int = Field(12, ge=1)
    """Rank of every map at the start."""
    rank: int = Field(8, ge=1)
    """Mean rank of a map at the end; where it goes is decided by the importance of each direction."""
    alpha: float = Field(16, gt=0)
    """The update is scaled by ``alpha`` over the rank."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """``p``, on the input of the update."""
    orthogonality: float = Field(0.5, ge=0)
    """Weight of the penalty that keeps singular directions orthogonal."""
    begin: float = Field(0.01, ge=0, lt=1)
    """Share of all planned steps before the first rank is taken away."""
    end: float = Field(0.1, gt=0, le=1)
    """Share of all planned steps after which the ranks stay (training seldom runs to its last planned epoch)."""

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.rank >= self.initial_rank or self.begin >= self.end:
            raise SettingsError("adalora needs method.rank < method.initial_rank and method.begin < method.end")
        return self


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
IMPORTANCES = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # of peft's allocator, by name of the weight


class AdaLoraEncoder(TunedEncoder):
    """What peft leaves to the training loop: the schedule of the ranks, and the penalty.

    peft adds the penalty only to an output that has a ``loss``, which the states of a text have not.
    """

    settings: AdaLoraSettings

    def on_train_begin(self, total_steps: int) -> None:
        """Ranks fall from step ``begin`` to ``end`` along a cubic (Zhang et al., 2023, Eq. 12)."""
        if total_steps < 2:
            return
        config = self._tuner.peft_config["default"]
        end = min(max(round(self.settings.end * total_steps), 1), total_steps - 1)
        config.total_step, config.tfinal = total_steps, total_steps - end
        config.tinit = min(round(self.settings.begin * total_steps), end - 1)
        config.deltaT = max((end - config.tinit) // 50, 1)

    def penalty(self) -> Tensor:
        """Mean of ``|P P' - 1|`` and ``|Q' Q - 1|`` (Frobenius) over all maps, weighted (Eq. 4 there)."""
        distances = []
        for name, weight in self.network.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                product = weight @ weight.T if "lora_A" in name else weight.T @ weight
                distances.append(torch.linalg.norm(product - torch.eye(len(product), device=weight.device)))
        return self.settings.orthogonality * torch.stack(distances).mean()

    def learned(self) -> list[nn.Parameter]:
        """The singular values; the directions have their penalty, too."""
        return [weight for name, weight in self.network.named_parameters() if "lora_E" in name]

    def after_step(self, step: int) -> None:
        """Importance from the gradients of the step, then the ranks of the step's budget."""
        super().after_step(step)
        for weight in self.network.parameters():
            if weight.requires_grad and weight.grad is None:  # peft asks all for one; a map may lead nowhere
                weight.grad = torch.zeros_like(weight)
        self._tuner.update_and_allocate(step)

    def get_extra_state(self) -> dict[str, Tensor]:
        """Running importances of peft's allocator, and the ranks that stay once they do; torch calls it."""
        allocator, pattern = self._tuner.rankallocator, self._tuner.peft_config["default"].rank_pattern or {}
        ranks = {f"rank.{name}": torch.tensor(kept, dtype=torch.bool) for name, kept in pattern.items()}
        kinds = {f"{kind}.{name}": value for kind in IMPORTANCES for name, value in getattr(allocator, kind).items()}
        return {**ranks, **kinds}

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """The inverse of :meth:`get_extra_state`."""
        device = next(self.parameters()).device
        for kind in IMPORTANCES:
            values = {name: value.to(device) for name, value in below(f"{kind}.", state).items()}
            setattr(self._tuner.rankallocator, kind, values)
        pattern = {name: kept.tolist() for name, kept in below("rank.", state).items()}
        self._tuner.peft_config["default"].rank_pattern = pattern

    @property
    def _tuner(self) -> Any:
        return cast(Any, self.network).base_model


def build_lora(settings: LoraSettings, data: Dataset, cache: LayerCache | None, dim: int) -> TunedEncoder:
    """The language model with low-rank updates on its query and value maps, which alone are learned."""
    reader = _reader(cache)
    from peft import LoraConfig

    network = _prepared(reader.network, settings)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=cast(int, settings.alpha),  # peft divides by the rank, whatever number it is
        lora_dropout=settings.dropout,
        target_modules=attention_maps(network, reader.model.name, _ids(reader)),
    )
    return _encoder(TunedEncoder, _with_adapters(network, config), reader, data, dim)


def build_adalora(settings: AdaLoraSettings, data: Dataset, cache: LayerCache | None, dim: int) -> AdaLoraEncoder:
    """The same maps with updates whose ranks are allocated while they are learned."""
    reader = _reader(cache)
    from peft import AdaLoraConfig

    network = _prepared(reader.network, settings)
    config = AdaLoraConfig(
        init_r=settings.initial_rank,
        target_r=settings.rank,
        lora_alpha=cast(int, settings.alpha),
        lora_dropout=settings.dropout,
        target_modules=attention_maps(network, reader.model.name, _ids(reader)),
        total_step=2**31,  # plan() sets the schedule
    )
    encoder = _encoder(AdaLoraEncoder, _with_adapters(network, config), reader, data, dim)
    encoder.settings = settings
    return encoder


def build_full(settings: FullSettings, data: Dataset, cache: LayerCache | None, dim: int) -> TunedEncoder:
    """The language model, the top layers of which are learned."""
    reader = _reader(cache)
    network = _prepared(reader.network, settings)
    blocks, norms = top_layers(network, settings.layers, reader.shape[0], reader.model.name, _ids(reader))
    for part in (*blocks, *norms):
        part.requires_grad_(True)
    return _encoder(TunedEncoder, network, reader, data, dim)


def _reader(cache: LayerCache | None) -> Any:
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


def _ids(reader: Any) -> Tensor:
    return torch.tensor([reader.probe_texts.short])


def _prepared(network: nn.Module, settings: TunedSettings) -> nn.Module:
    """For training. cuDNN's attention is turned off in this process: on an H200 it prepared 10 ms for any shape that is
    new, and hardly two batches of texts have one shape."""
    torch.backends.cuda.enable_cudnn_sdp(False)
    if settings.checkpointing:
        try:
            cast(Any, network).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        except (AttributeError, ValueError) as cause:
            raise SettingsError(f"method.checkpointing: this language model cannot ({cause}); leave it off") from None
    return network


def _with_adapters(network: nn.Module, config: Any) -> nn.Module:
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft says that it fits itself to GPT-2's transposed maps
        adapted: nn.Module = get_peft_model(cast(Any, network), config)
    return adapted


def _encoder(kind: type[EncoderT], network: nn.Module, reader: Any, data: Dataset, dim: int) -> EncoderT:
    tokens = Ragged.from_rows(reader.tokenize(list(data.texts)))
    reading = Reading(reader.model.name, reader.pooling, reader.model.padding_id, reader.cls_at, reader.batching)
    return kind(network, tokens, reading, reader.shape[1], dim)
