"""The only training loop."""

from collections.abc import Callable, Sequence
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
from ssna.nn.losses import Loss
from ssna.nn.sasrec import SASRec
from ssna.scoring import VectorScorer
from ssna.training.batches import Batches
from ssna.training.checkpoint import Checkpoint
from ssna.training.distillation import Distillation
from ssna.training.profiler import Profiler
from ssna.training.settings import RunSettings
from ssna.training.state import Epoch, Step, TrainState
from ssna.training.trainer import Model, Trainer, Weights


@dataclass(frozen=True, eq=False)
class Fit:
    """What training gave: the model with the best weights, ready to rank, and the epochs until then.

    Attributes:
        batches: how many a whole epoch has.
        weights: the best ones, as :meth:`Model.trainable_state_dict` names them.
    """

    scorer: VectorScorer
    sequence: SASRec
    epochs: tuple[Epoch, ...]
    best_epoch: int | None
    batches: int
    weights: Weights


def fit(
    encoder: ItemEncoder,
    data: Dataset,
    settings: RunSettings,
    on_epoch: Callable[[Epoch, Weights], None] = lambda epoch, weights: None,
    on_step: Callable[[Step], None] = lambda step: None,
    checkpoint: Checkpoint | None = None,
    profiler: Profiler | None = None,
    initial_weights: Weights | None = None,
    teacher: LinearTeacher | None = None,
    replay: Sequence[bool] | None = None,
) -> Fit:
    """Train ``encoder`` and a new SASRec on the training histories of ``data``; keep the best weights on validation.

    Random numbers come from torch's current generator and from ``settings.seed``; see :func:`ssna.runs.train`.

    Args:
        on_epoch: called after every epoch with its figures, and the weights if they are the best so far, else ``{}``.
        on_step: called after every batch.
        checkpoint: written while training, and resumed from if a run that was cut off left it: on a CPU the figures and
            weights are then those of an unbroken run, bit for bit.
        profiler: watches the first epoch and its evaluation.
        initial_weights: by the names of :meth:`Model.trainable_state_dict`.
        teacher: what ``settings.distillation.teacher`` names, fitted to ``data``; see :class:`Distillation`.
        replay: so many epochs are learned from, and no more; True where the teacher takes part. Nothing is validated,
            and the last weights are the best. None: validation decides.

    Raises:
        TrainingError: there is nothing to learn from, or the loss is not finite.
    """
    assert (teacher is not None) == (settings.distilled if replay is None else any(replay))
    batches = batches_of(data, settings)
    if not len(batches):
        raise TrainingError("no user has two training events, so there is nothing to learn from; give longer histories")
    model = _model(encoder, data, settings, initial_weights)
    distillation = None
    if teacher is not None and replay is None:
        distillation = Distillation(settings.distillation, teacher, model, data, initial_weights is not None)
    distributed.seed_per_rank(settings.seed)
    num_batches = min(len(batches), settings.training.limit_train_batches or len(batches))
    steps = -(-num_batches // settings.training.gradient_accumulation_steps)
    loss = Loss(settings.loss.name, settings.loss.temperature, settings.distillation.weight)
    trainer = Trainer(model, settings.training, loss, steps * settings.training.epochs, profiler)
    if profiler is not None:
        profiler.watch(trainer, steps)
    trial_epochs = 0 if distillation is None else settings.distillation.trial_epochs
    state = TrainState(trainer, batches, settings.training, checkpoint, trial_epochs)
    for epoch in state.epochs:
        on_epoch(epoch, {})
    try:
        with tune_allocator():
            for distilled in () if replay is None else replay:
                assert teacher is not None or not distilled
                with_teacher = teacher.logits if teacher is not None and distilled else None
                mean_loss, seconds = state.run_epoch(num_batches, on_step, with_teacher)
                epoch = Epoch(len(state.epochs) + 1, mean_loss, seconds, num_batches, {}, distilled)
                state.end_epoch(epoch)
                on_epoch(epoch, {})
            while replay is None:
                if distillation is not None and distillation.trial_is_lost(state):
                    state.restart()
                if teacher is not None and distillation is not None and distillation.trial_is_won(state):
                    teacher.release()
                if state.should_stop:
                    break
                logits = None if distillation is None else distillation.teacher_for(state)
                restarted = 0 < state.discarded_epochs == len(state.epochs)
                mean_loss, seconds = state.run_epoch(num_batches, on_step, logits)
                with nullcontext() if profiler is None else profiler.evaluation():
                    valid = model.validation_metrics(data)
                number = len(state.epochs) + 1
                epoch = Epoch(number, mean_loss, seconds, num_batches, valid, logits is not None, restarted)
                better = state.end_epoch(epoch)
                on_epoch(epoch, state.best_weights if better else {})
    finally:
        trainer.close()
    weights = state.best_weights or model.trainable_state_dict()
    model.load_state_dict(weights, strict=False)
    scorer = model.scorer(len(data.items), data.max_history)
    return Fit(scorer, model.sequence, tuple(state.epochs), state.best or None, len(batches), weights)


def _model(encoder: ItemEncoder, data: Dataset, settings: RunSettings, initial_weights: Weights | None) -> Model:
    """On its device, with equal weights in all processes."""
    model = Model(encoder, SASRec(settings.dim, data.max_history, **settings.sequence.model_dump()))
    if initial_weights is not None:
        model.load_state_dict(initial_weights, strict=False)
    device = choose_device(settings.training.device)
    encoder.setup(device)
    model.to(device)
    distributed.broadcast_tensors(model.parameters())
    return model


def batches_of(data: Dataset, settings: RunSettings) -> Batches:
    """The training histories of ``data``, as ``settings`` have them batched, in an order that their seed decides."""
    return Batches(
        data.train,
        len(data.items),
        objective=settings.training.objective,
        max_history=data.max_history,
        batch_size=settings.training.batch_size,
        num_negatives=settings.loss.num_negatives,
        future_targets=settings.training.future_targets,
        rng=np.random.default_rng(settings.seed),
    )
