"""The only training loop."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from ssna.compute import distributed
from ssna.compute.allocator import tune_allocator
from ssna.compute.device import choose_device
from ssna.core.errors import TrainingError
from ssna.data.dataset import Dataset
from ssna.methods import ItemEncoder
from ssna.methods.linear_teacher import LinearTeacher
from ssna.nn.sasrec import SASRec
from ssna.scoring import VectorScorer
from ssna.training.batches import Batches
from ssna.training.checkpoint import Checkpoint
from ssna.training.profiler import Profiler
from ssna.training.settings import RunSettings, TrainingSettings
from ssna.training.state import Epoch, TrainState, Step
from ssna.training.trainer import Model, Trainer, Weights, validation_metrics


@dataclass(frozen=True, eq=False)
class Fit:
    """What training gave: the model with the best weights, ready to rank, and the road there."""

    scorer: VectorScorer
    sequence: SASRec
    epochs: tuple[Epoch, ...]
    best_epoch: int | None
    batches: int
    """How many a whole epoch has."""
    weights: Weights
    """The best ones, as :meth:`Model.learned` names them."""


def fit(
    encoder: ItemEncoder,
    data: Dataset,
    settings: RunSettings,
    on_epoch: Callable[[Epoch, Weights], None] = lambda epoch, weights: None,
    on_step: Callable[[Step], None] = lambda step: None,
    checkpoint: Checkpoint | None = None,
    profile: Profiler | None = None,
    start: Weights | None = None,
    teacher: LinearTeacher | None = None,
) -> Fit:
    """Train ``encoder`` and a new SASRec on the training histories of ``data``; keep the best weights on validation.

    Random numbers come from torch's current generator and from ``settings.seed``; see :func:`ssna.runs.train`.

    Args:
        on_epoch: called after every epoch with its figures, and the weights if they are the best so far, else ``{}``.
        on_step: called after every batch.
        checkpoint: written while training, and gone on from if it was left by a run that was cut off: on a CPU the
            figures and weights are then those of an unbroken run, bit for bit.
        profile: watches the first epoch and its evaluation.
        start: weights to begin with, by the names of :meth:`Model.learned`.
        teacher: what ``settings.loss.teacher`` asks for, fitted to ``data``. It is listened to while it ranks
            validation better than the model, from the start or, with ``settings.loss.unaided``, after a trial without.

    Raises:
        TrainingError: there is nothing to learn from, or the loss is not finite.
    """
    assert (teacher is not None) == settings.taught
    batches = batches_of(data, settings)
    if not len(batches):
        raise TrainingError("no user has two training events, so there is nothing to learn from; give longer histories")
    model = Model(encoder, SASRec(settings.dim, data.max_history, **settings.sequence.model_dump()))
    if start is not None:
        model.load_state_dict(start, strict=False)
    device = choose_device(settings.training.device)
    encoder.setup(device)
    model.to(device)
    distributed.broadcast_tensors(model.parameters())
    lessons = None
    if teacher is not None:
        ranked = validation_metrics(teacher.scorer, data)["N@10"]
        at_start = model.validation_metrics(data)["N@10"] if start is not None else -1.0
        lessons = _Lessons(settings.loss.unaided, ranked, at_start)
    distributed.seed_per_rank(settings.seed)
    each_epoch = min(len(batches), settings.training.limit_train_batches or len(batches))
    steps = -(-each_epoch // settings.training.gradient_accumulation_steps)
    trainer = Trainer(model, settings, total_steps=steps * settings.training.epochs)
    if profile is not None:
        profile.watch(trainer, steps)
    road = TrainState(trainer, batches, checkpoint, trial=settings.loss.unaided if teacher is not None else 0)
    for epoch in road.epochs:
        on_epoch(epoch, {})
    try:
        with tune_allocator():
            while True:
                if lessons is not None and lessons.trial_lost(road, settings.training):
                    road.restart()
                if road.should_stop(settings.training):
                    break
                taught = lessons is not None and lessons.wanted(road)
                batches.teacher = teacher.logits if teacher is not None and taught else None
                again = 0 < road.discarded_epochs == len(road.epochs)
                loss, seconds = road.epoch(each_epoch, on_step)
                with nullcontext() if profile is None else profile.evaluation():
                    valid = model.validation_metrics(data)
                better = road.end_epoch(Epoch(len(road.epochs) + 1, loss, seconds, each_epoch, valid, taught, again))
                on_epoch(road.epochs[-1], road.best_weights if better else {})
    finally:
        trainer.close()
    weights = road.best_weights or model.trainable_state_dict()
    model.load_state_dict(weights, strict=False)
    scorer = model.scorer(len(data.items), data.max_history)
    return Fit(scorer, model.sequence, tuple(road.epochs), road.best or None, len(batches), weights)


@dataclass(frozen=True)
class _Lessons:
    """When a teacher is listened to: in every epoch before which it ranks validation better than the model does, by
    N@10 (what a worse teacher teaches does harm: Cho and Hariharan, 2019).

    With ``unaided`` epochs, these are a trial: the model learns by itself, and goes on so to the end if it ranks better
    by then. If not, training begins again as if there had been no trial.
    """

    unaided: int
    ranked: float
    """The teacher's N@10."""
    at_start: float
    """The model's, before its first step; -1 for one that starts from nothing."""

    def trial_lost(self, road: TrainState, settings: TrainingSettings) -> bool:
        """Whether a trial is just over, early if patience was, and the teacher ranks better."""
        under_way = road.discarded_epochs == 0 < len(road.epochs) <= self.unaided
        return under_way and (len(road.epochs) == self.unaided or road.should_stop(settings)) and self._better(road)

    def wanted(self, road: TrainState) -> bool:
        """Whether the teacher is listened to in the epoch that is next on ``road``."""
        return (self.unaided == 0 or road.discarded_epochs > 0) and self._better(road)

    def _better(self, road: TrainState) -> bool:
        reached = road.epochs[-1].valid["N@10"] if len(road.epochs) > road.discarded_epochs else self.at_start
        return distributed.broadcast(self.ranked > reached)


def batches_of(data: Dataset, settings: RunSettings, teacher: LinearTeacher | None = None) -> Batches:
    """The training histories of ``data``, as ``settings`` have them batched, in an order that their seed decides."""
    return Batches(
        data.train,
        len(data.items),
        objective=settings.batches.formulation,
        max_history=data.max_history,
        batch_size=settings.training.batch_size,
        num_negatives=settings.loss.num_negatives,
        future_targets=settings.batches.ahead,
        teacher=None if teacher is None else teacher.logits,
        rng=np.random.default_rng(settings.seed),
    )
