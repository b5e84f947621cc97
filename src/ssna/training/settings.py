"""All settings of a run, section by section, as a recipe or ``settings.toml`` holds them."""

from typing import Any, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from ssna.core.errors import SettingsError, there_are
from ssna.core.settings import Settings
from ssna.evaluation.metrics import Monitor
from ssna.methods import METHODS, MethodSettings
from ssna.methods.members import MemberSections


class TextSettings(Settings):
    """What a recipe expects of the cache."""

    pooling: Literal["cls", "mean", "last"] | None = None
    """How the cache must have pooled tokens; unset, any way will do."""


class SequenceSettings(Settings):
    """SASRec, as in UniSRec."""

    num_layers: int = Field(2, ge=1)
    """Transformer blocks."""
    num_heads: int = Field(2, ge=1)
    """Attention heads of a block; ``dim`` must be a multiple."""
    ffn_dim: int = Field(256, ge=1)
    """Width between the two linear layers of a block (the feed-forward network)."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """On the input, on attention weights and on each sub-layer's output."""


class LossSettings(Settings):
    """What a target competes with."""

    name: Literal["in-batch", "in-batch-logq", "sampled", "full"] = "in-batch"
    """``in-batch``: Eq. 8. ``in-batch-logq``: an estimate of ``full`` from the distinct targets of the step, each by
    its inclusion probability, and ``num_negatives`` random items. ``sampled``: all distinct items of the step, and
    random ones. ``full``: all of the catalogue, in chunks."""
    temperature: float = Field(0.07, gt=0)
    """``tau`` of Eq. 8."""
    num_negatives: int = Field(0, ge=0)
    """Random items that ``sampled`` and ``in-batch-logq`` add to every step, none of which stands in it."""


class DistillationSettings(Settings):
    """Learning from a linear model as the teacher, for as long as the teacher ranks validation better."""

    teacher: Literal["none", "ease", "cease"] = "none"
    """A linear model, with the settings ``ensemble.ease`` or ``ensemble.cease``. The model learns to give alone what
    both give together. The teacher scores each user as if it had not been fitted to that user."""
    weight: float = Field(1.0, gt=0)
    """Of the distillation loss, beside the loss of the targets."""
    trial_epochs: int = Field(0, ge=0)
    """Epochs of a trial without the teacher, fewer where gains show that it is lost. A model that ranks validation
    better after it goes on alone. Otherwise training restarts, as if this was 0."""
    monitor: Monitor = "N@10"
    """What model and teacher are compared by: a sum of validation metrics."""


class TrainingSettings(Settings):
    """Optimization, and when to stop."""

    objective: Literal["prefix", "autoregressive"] = "autoregressive"
    """``prefix``: every prefix of a history is a sample. ``autoregressive``: one pass over a history predicts every
    next item."""
    future_targets: int = Field(1, ge=1)
    """Events that each position predicts, the next one first; each counts half as much as the one before."""
    epochs: int = Field(200, ge=0)
    """At most so many passes over all targets, not counting a discarded trial (``distillation.trial_epochs``). With 0
    the initial weights are evaluated as they are."""
    batch_size: int = Field(256, ge=1)
    """Targets in a batch, under both objectives; over all processes, where several share it."""
    gradient_accumulation_steps: int = Field(1, ge=1)
    """Batches whose gradients are averaged for one optimizer step; a target competes within its own batch."""
    limit_train_batches: int | None = Field(None, ge=1)
    """At most so many batches in an epoch: to time a method, or for a dry run (set ``dry_run`` too)."""
    learning_rate: float = Field(3e-4, gt=0)
    """Of AdamW, after the warmup."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled (AdamW), on matrices only."""
    warmup_ratio: float = Field(0.0, ge=0, lt=1)
    """Share of all steps in which the learning rate rises from zero."""
    lr_schedule: Literal["constant", "cosine"] = "constant"
    """``cosine``: the learning rate falls to zero along a half cosine over ``epochs``."""
    early_stopping_patience: int = Field(15, ge=1)
    """Training stops after so many epochs without a better ``monitor``."""
    monitor: Monitor = "R@10"
    """What the best epoch is chosen by, and the best configuration of a grid: a sum of validation metrics."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """``auto``: bf16 matrix products where the device has them."""
    device: str = "auto"
    """``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ..."""


class EnsembleSettings(MemberSections):
    """Training-free scorers beside the trained model, with weights chosen on validation."""

    members: tuple[
        Literal["ease", "cease", "cease-words", "item-knn", "text-knn", "text-linear", "popularity"], ...
    ] = ()
    """Which; each has a section of its settings."""
    repeat_consumption: bool = False
    """With ``members``: also raise or lower the items of a history, as validation has it with seen items included."""
    monitor: Monitor = "N@10+N@50"
    """What the weights are chosen by: a sum of validation metrics."""
    rare_items_cost: float = Field(0.0, ge=0, lt=1)
    """The share of ``monitor`` that weights may give up on validation for targets of at most ten training events."""
    new_items: bool = False
    """With ``members``: new items get weights of their own, and can be raised or lowered by request."""
    by_frequency: bool = False
    """With ``members``: weights follow how often an item occurs in training; ``new_items`` is included."""
    new_items_cost: float = Field(0.03, ge=0, lt=1)
    """With ``new_items``: the share of old items' ``monitor`` that ranking new items may cost on validation."""


class RunSettings(Settings):
    """Everything that decides a run, but for data and cache."""

    method: SerializeAsAny[MethodSettings]
    """Its ``name`` says which of ``METHODS``; the other keys are that method's own."""
    dim: int = Field(256, ge=1)
    """Width of item vectors and of the sequence model."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Of every random choice."""
    dry_run: bool = False
    """The run is cut short on purpose; every table says that its figures are no result."""
    text: TextSettings = TextSettings()
    sequence: SequenceSettings = SequenceSettings()
    loss: LossSettings = LossSettings()
    distillation: DistillationSettings = DistillationSettings()
    training: TrainingSettings = TrainingSettings()
    ensemble: EnsembleSettings = EnsembleSettings()

    @property
    def distilled(self) -> bool:
        """Whether there are epochs that a teacher may take part in."""
        return self.distillation.teacher != "none" and self.training.epochs > self.distillation.trial_epochs

    @field_validator("method", mode="before")
    @classmethod
    def _method(cls, tree: Any) -> Any:
        if isinstance(tree, MethodSettings):
            return tree
        name = tree.get("name") if isinstance(tree, dict) else None
        if not isinstance(name, str) or name not in METHODS:
            raise SettingsError(f"unknown method {name!r}; {there_are(METHODS, name)}")
        return METHODS[name].settings.parse(tree, "method")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.dim % self.sequence.num_heads:
            raise SettingsError(f"dim = {self.dim} is no multiple of sequence.num_heads = {self.sequence.num_heads}")
        return self
