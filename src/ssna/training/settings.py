"""All settings of a run, section by section, as a recipe or ``settings.toml`` holds them."""

from typing import Any, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from ssna.core.errors import SettingsError
from ssna.core.settings import Settings
from ssna.methods import METHODS, MethodSettings
from ssna.methods.ease import CeaseSettings, EaseSettings
from ssna.methods.text_linear import TextLinearSettings
from ssna.methods.training_free import ItemKnnSettings, PopularitySettings, TextKnnSettings


class TextSettings(Settings):
    """What a recipe expects of the cache."""

    pooling: Literal["cls", "mean", "last"] | None = None
    """How the cache must have pooled tokens; unset, any way will do."""


class SequenceSettings(Settings):
    """SASRec, as in UniSRec."""

    num_layers: int = Field(2, ge=1)
    num_heads: int = Field(2, ge=1)
    ffn_dim: int = Field(256, ge=1)
    """Width between the two linear layers of a block."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """On the input, on attention weights and on each sub-layer's output."""


class LossSettings(Settings):
    """What a target competes with."""

    name: Literal["in-batch", "in-batch-logq", "batch-items", "sampled", "full"] = "in-batch"
    """``in-batch``: Eq. 8. ``in-batch-logq``: an estimate of ``full`` from the distinct targets of the step, each by
    its chance to be one, and ``samples`` random items beside. ``batch-items``: all distinct items of the step.
    ``sampled``: those and random ones. ``full``: all of the catalogue, in chunks."""
    temperature: float = Field(0.07, gt=0)
    """``tau`` of Eq. 8."""
    num_negatives: int = Field(0, ge=0)
    """Random items that ``sampled`` and ``in-batch-logq`` add to every step, none of which stands in it."""
    teacher: Literal["none", "ease", "cease"] = "none"
    """A linear model, with the settings ``join.ease`` or ``join.cease``: the trained one learns to say alone what both
    say together, of each user as one whom the linear model has not seen, as long as that ranks validation better."""
    teaching: float = Field(1.0, gt=0)
    """What the teacher's word weighs beside the targets."""
    unaided: int = Field(0, ge=0)
    """Epochs of a trial without the teacher. A model that ranks validation better after it goes on by itself; another
    begins again, as if this was 0."""


class BatchSettings(Settings):
    """How histories become samples."""

    formulation: Literal["prefixes", "causal"] = "causal"
    """``prefixes``: every sub-sequence is a sample. ``causal``: one pass over a history predicts every next item."""
    ahead: int = Field(1, ge=1)
    """Events that each place of a history predicts, the next one first; each counts half as much as the one before."""


class TrainingSettings(Settings):
    """Optimization and when to stop."""

    epochs: int = Field(200, ge=0)
    """At most so many passes over all targets, not counting a trial (``loss.unaided``) that is left behind; with 0 the
    weights to start from are evaluated as they are."""
    batch_size: int = Field(256, ge=1)
    """Next events to predict a batch, in both formulations; over all processes, where several share it."""
    gradient_accumulation_steps: int = Field(1, ge=1)
    """Batches whose gradients are averaged for one optimizer step; a target competes within its own batch."""
    limit_train_batches: int | None = Field(None, ge=1)
    """At most so many batches an epoch: to time a method, or to rehearse (set ``rehearsal`` too)."""
    learning_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled (AdamW), on matrices only."""
    warmup_ratio: float = Field(0.0, ge=0, lt=1)
    """Share of all steps in which the learning rate rises from zero."""
    lr_schedule: bool = False
    """Let the learning rate fall to zero along a half cosine over ``epochs``."""
    early_stopping_patience: int = Field(15, ge=1)
    """Epochs without a better validation R@10 (seen excluded) after which training stops."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """``auto``: bf16 matrix products where the device has them."""
    device: str = "auto"
    """``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ..."""


class JoinSettings(Settings):
    """Training-free scorers that the trained model is joined with, in shares chosen on validation."""

    methods: tuple[Literal["ease", "cease", "item-knn", "text-knn", "text-linear", "popularity"], ...] = ()
    """Which; their settings follow."""
    repeats: bool = False
    """Where there are ``methods``: raise or lower the items of a history, too, as validation has it, seen included."""
    item: ItemKnnSettings = ItemKnnSettings()
    ease: EaseSettings = EaseSettings()
    cease: CeaseSettings = CeaseSettings()
    text: TextKnnSettings = TextKnnSettings()
    linear: TextLinearSettings = TextLinearSettings()

    def of(self, name: str) -> MethodSettings:
        """Those of one of ``methods``."""
        own: tuple[MethodSettings, ...] = (
            self.item,
            self.ease,
            self.cease,
            self.text,
            self.linear,
            PopularitySettings(),
        )
        return next(settings for settings in own if settings.name == name)


class RunSettings(Settings):
    """Everything that decides a run, but for data and cache."""

    method: SerializeAsAny[MethodSettings]
    """Its ``name`` says which of ``METHODS``; the other keys are that method's own."""
    dim: int = Field(256, ge=1)
    """Width of item vectors and of the sequence model."""
    seed: int = Field(0, ge=0, lt=2**63)
    dry_run: bool = False
    """The run is cut short on purpose; every table says that its figures are no result."""
    text: TextSettings = TextSettings()
    sequence: SequenceSettings = SequenceSettings()
    loss: LossSettings = LossSettings()
    batches: BatchSettings = BatchSettings()
    training: TrainingSettings = TrainingSettings()
    join: JoinSettings = JoinSettings()

    @property
    def taught(self) -> bool:
        """Whether there are epochs that a teacher is asked for."""
        return self.loss.teacher != "none" and self.training.epochs > self.loss.unaided

    @field_validator("method", mode="before")
    @classmethod
    def _method(cls, tree: Any) -> Any:
        if isinstance(tree, MethodSettings):
            return tree
        name = tree.get("name") if isinstance(tree, dict) else None
        if not isinstance(name, str) or name not in METHODS:
            raise SettingsError(f"unknown method {name!r}; there are {', '.join(METHODS)}")
        return METHODS[name].settings.parse(tree, "method")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.dim % self.sequence.num_heads:
            raise SettingsError(f"dim = {self.dim} is no multiple of sequence.heads = {self.sequence.num_heads}")
        return self
