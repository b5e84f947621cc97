"""Epoch after epoch, and what is kept of them."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import NamedTuple

from ssna.compute import distributed
from ssna.scoring import below
from ssna.training.batches import Batches
from ssna.training.checkpoint import Checkpoint, Position
from ssna.training.settings import TrainingSettings
from ssna.training.trainer import Trainer, Weights


@dataclass(frozen=True)
class Epoch:
    """One pass over all targets (or over ``batches`` batches of them): mean loss, a teacher's part in it where there is
    one, seconds of training, and validation metrics (seen excluded)."""

    number: int
    loss: float
    seconds: float
    batches: int
    valid: dict[str, float]
    distilled: bool = False
    """A teacher was listened to."""
    restarted: bool = False
    """Training began again before it, from the first weights: the epochs before were a trial."""


class Step(NamedTuple):
    """A batch is learned from: the number of its epoch, how many ``batches`` of that are ``done``, its mean loss, and
    epochs ``behind`` since training began, or began again, with this one's part."""

    epoch: int
    done: int
    batches: int
    loss: float
    epochs_done: float


class TrainState:
    """Epoch after epoch, from the start or from a checkpoint; between two steps nothing else needs to be known.

    Args:
        trial: how many epochs may be behind when :meth:`begin_again` is called.
    """

    def __init__(self, trainer: Trainer, batches: Batches, checkpoint: Checkpoint | None, trial: int = 0) -> None:
        self.trainer, self.batches, self.checkpoint, self.trial = trainer, batches, checkpoint, trial
        self.epochs: list[Epoch] = []
        self.discarded_epochs = 0  # how many of them were a trial, after which training began again
        self.best, self.best_weights = 0, Weights()
        self.position = self._between_epochs()
        self.first = (self.position.sampler_rng_state, trainer.state_dict()) if trial else None
        if checkpoint is not None and (left := checkpoint.read()) is not None:
            self._load_checkpoint(*left)
        self._drop_initial_snapshot()

    def should_stop(self, settings: TrainingSettings) -> bool:
        """All epochs are behind, or ``patience`` of them without a better one."""
        number = len(self.epochs) - self.discarded_epochs
        return number == settings.epochs or (
            number > 0 and len(self.epochs) - self.best >= settings.early_stopping_patience
        )

    def restart(self) -> None:
        """Go back to the first weights, random numbers and batches, as if none of the epochs had been."""
        assert self.first is not None
        order, tensors = self.first
        self.trainer.load_state_dict(0, tensors)
        self.batches.rng.bit_generator.state = order
        self.discarded_epochs, self.best, self.best_weights = len(self.epochs), 0, Weights()
        self.position = self._between_epochs()
        self._drop_initial_snapshot()

    def epoch(self, each_epoch: int, on_step: Callable[[Step], None]) -> tuple[float, float]:
        """What is left of an epoch: the mean loss over all its targets, and its seconds."""
        here, before = self.position, self.position.seconds
        numbers, behind = count(here.done + 1), len(self.epochs)

        def learned(loss: float) -> None:
            done = next(numbers)
            on_step(Step(behind + 1, done, each_epoch, loss, behind - self.discarded_epochs + done / each_epoch))

        start = time.perf_counter()
        ahead = islice(self.batches, here.done, each_epoch)
        for losses, targets in self.trainer.steps(ahead, learned):
            here.total, here.targets, here.done = (
                here.total + losses,
                here.targets + sum(targets),
                here.done + len(targets),
            )
            here.seconds = before + time.perf_counter() - start
            if self.checkpoint is not None and distributed.broadcast(self.checkpoint.due):
                self._write(self.checkpoint)
        return here.total / here.targets, before + time.perf_counter() - start

    def end_epoch(self, epoch: Epoch) -> bool:
        """The epoch is evaluated; whether it is the best so far."""
        better = self.best == 0 or epoch.valid["R@10"] > self.epochs[self.best - 1].valid["R@10"]
        self.epochs.append(epoch)
        if better:
            self.best, self.best_weights = epoch.number, self.trainer.model.trainable_state_dict()
        self.position = self._between_epochs()
        self._drop_initial_snapshot()
        return better

    def _drop_initial_snapshot(self) -> None:
        """Of the first weights, once there is no way back to them."""
        if self.discarded_epochs or len(self.epochs) > self.trial:
            self.first = None

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
