"""AdaLoRA: low-rank updates whose ranks are allocated while they are learned."""

from typing import Any, Literal, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ssna.core.errors import SettingsError
from ssna.data.dataset import Dataset
from ssna.methods.text_part import attention_maps
from ssna.methods.tuned import (
    TunedEncoder,
    TunedSettings,
    encoder_of,
    prepared,
    reader_of,
    short_ids,
    with_adapters,
)
from ssna.scoring import below
from ssna.text import LayerCache

IMPORTANCES = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # of peft's allocator, by name of the weight


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


def build_adalora(settings: AdaLoraSettings, data: Dataset, cache: LayerCache | None, dim: int) -> AdaLoraEncoder:
    """The same maps with updates whose ranks are allocated while they are learned."""
    reader = reader_of(cache)
    from peft import AdaLoraConfig

    network = prepared(reader.network, settings)
    config = AdaLoraConfig(
        init_r=settings.initial_rank,
        target_r=settings.rank,
        lora_alpha=cast(int, settings.alpha),
        lora_dropout=settings.dropout,
        target_modules=attention_maps(network, reader.model.name, short_ids(reader)),
        total_step=2**31,  # plan() sets the schedule
    )
    encoder = encoder_of(AdaLoraEncoder, with_adapters(network, config), reader, data, dim)
    encoder.settings = settings
    return encoder
