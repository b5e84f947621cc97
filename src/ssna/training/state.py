"""Epoch after epoch, and the state between two optimizer steps."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import NamedTuple

from ssna.compute import distributed
from ssna.evaluation.metrics import monitored
from ssna.scoring import below
from ssna.training.batches import Batches, Teacher
from ssna.training.checkpoint import Checkpoint, Position
from ssna.training.settings import TrainingSettings
from ssna.training.trainer import Trainer, Weights


@dataclass(frozen=True)
class Epoch:
    """One pass over all targets, or over ``batches`` batches of them: mean loss (with the distillation loss, if any),
    seconds of training, and validation metrics (seen excluded)."""

    number: int
    loss: float
    seconds: float
    batches: int
    valid: dict[str, float]
    distilled: bool = False
    """A teacher took part."""
    restarted: bool = False
    """Training restarted before it, from the initial weights: the epochs before were a trial."""


class Step(NamedTuple):
    """A batch was learned from.

    Attributes:
        epoch: the number of its epoch.
        done, batches: how many batches of the epoch are done, and how many it has.
        loss: the mean of the batch.
        epochs_done: since training began or restarted, with this epoch's part.
    """

    epoch: int
    done: int
    batches: int
    loss: float
    epochs_done: float


class TrainState:
    """All that is needed between two steps: from the start, or from a checkpoint.

    Args:
        trial_epochs: how many epochs may be done when :meth:`restart` is called.
    """

    def __init__(
        self,
        trainer: Trainer,
        batches: Batches,
        settings: TrainingSettings,
        checkpoint: Checkpoint | None,
        trial_epochs: int = 0,
    ) -> None:
        self.trainer, self.batches, self.settings, self.checkpoint = trainer, batches, settings, checkpoint
        self.trial_epochs = trial_epochs
        self.epochs: list[Epoch] = []
        self.discarded_epochs = 0  # how many of them were a trial, after which training restarted
        self.best, self.best_weights = 0, Weights()
        self.position = self._between_epochs()
        self.initial = (self.position.sampler_rng_state, trainer.state_dict()) if trial_epochs else None
        if checkpoint is not None and (found := checkpoint.read()) is not None:
            self._load_checkpoint(*found)
        self._drop_initial_snapshot()

    @property
    def should_stop(self) -> bool:
        """All epochs are done, or so many without a better one as early stopping has patience for."""
        number = len(self.epochs) - self.discarded_epochs
        patience = self.settings.early_stopping_patience
        return number == self.settings.epochs or (number > 0 and len(self.epochs) - self.best >= patience)

    def restart(self) -> None:
        """Go back to the initial weights, random numbers and batches, as if none of the epochs had been."""
        assert self.initial is not None
        sampler_rng_state, tensors = self.initial
        self.trainer.load_state_dict(0, tensors)
        self.batches.rng.bit_generator.state = sampler_rng_state
        self.discarded_epochs, self.best, self.best_weights = len(self.epochs), 0, Weights()
        self.position = self._between_epochs()
        self._drop_initial_snapshot()

    def run_epoch(
        self, num_batches: int, on_step: Callable[[Step], None], teacher: Teacher | None = None
    ) -> tuple[float, float]:
        """What is left of an epoch: the mean loss over all its targets, and its seconds."""
        here, before = self.position, self.position.seconds
        numbers, finished = count(here.done + 1), len(self.epochs)

        def learned(loss: float) -> None:
            done = next(numbers)
            on_step(Step(finished + 1, done, num_batches, loss, finished - self.discarded_epochs + done / num_batches))

        start = time.perf_counter()
        remaining = islice(self.batches.epoch(teacher), here.done, num_batches)
        for losses, targets in self.trainer.steps(remaining, learned):
            here.total += losses
            here.targets += sum(targets)
            here.done += len(targets)
            here.seconds = before + time.perf_counter() - start
            if self.checkpoint is not None and distributed.broadcast(self.checkpoint.due):
                self._write(self.checkpoint)
        return here.total / here.targets, before + time.perf_counter() - start

    def end_epoch(self, epoch: Epoch) -> bool:
        """The epoch is evaluated; whether it is the best so far, by ``training.monitor``."""
        monitor = self.settings.monitor
        better = (
            self.best == 0
            or not epoch.valid
            or monitored(epoch.valid, monitor) > monitored(self.epochs[self.best - 1].valid, monitor)
        )
        self.epochs.append(epoch)
        if better:
            self.best, self.best_weights = epoch.number, self.trainer.model.trainable_state_dict()
        self.position = self._between_epochs()
        self._drop_initial_snapshot()
        if self.checkpoint is not None and len(self.epochs) == 1:  # from here on there is something to go on from
            self._write(self.checkpoint)
        return better

    def _drop_initial_snapshot(self) -> None:
        """Once there is no way back to it."""
        if self.discarded_epochs or len(self.epochs) > self.trial_epochs:
            self.initial = None

    def _between_epochs(self) -> Position:
        return Position(sampler_rng_state=dict(self.batches.rng.bit_generator.state))

    def _write(self, checkpoint: Checkpoint) -> None:
        self.position.epochs, self.position.best = [asdict(epoch) for epoch in self.epochs], self.best
        self.position.step, self.position.discarded_epochs = self.trainer.step, self.discarded_epochs
        best = {f"best.{name}": weight for name, weight in self.best_weights.items()}
        checkpoint.write(self.position, {**self.trainer.state_dict(), **best})

    def _load_checkpoint(self, position: Position, tensors: Weights) -> None:
        self.position = position
        self.epochs, self.best = [Epoch(**epoch) for epoch in position.epochs], position.best
        self.discarded_epochs = position.discarded_epochs
        self.best_weights = below("best.", tensors)
        self.batches.rng.bit_generator.state = position.sampler_rng_state
        self.trainer.load_state_dict(position.step, tensors)
