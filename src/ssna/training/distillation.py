"""When a teacher takes part in training: while it ranks validation better than the model."""

from ssna.compute import distributed
from ssna.data.dataset import Dataset
from ssna.evaluation.metrics import monitored
from ssna.methods.linear_teacher import LinearTeacher
from ssna.training.batches import Teacher
from ssna.training.settings import DistillationSettings
from ssna.training.state import TrainState
from ssna.training.trainer import Model, validation_metrics


class Distillation:
    """A teacher takes part in every epoch before which it ranks validation better than the model does (what a worse
    teacher teaches does harm: Cho and Hariharan, 2019).

    With ``trial_epochs``, the model first learns without it, and goes on so to the end if it ranks better by then. If
    not, training restarts as if there had been no trial. Gains shrink from epoch to epoch: a trial is lost as soon as
    the last gain, once more for each epoch left of it, would leave the model behind.

    Args:
        teacher: fitted to ``data``.
        model: as it is before its first step.
        warm_start: whether the model has learned before; one with random weights is not ranked.
    """

    def __init__(
        self, settings: DistillationSettings, teacher: LinearTeacher, model: Model, data: Dataset, warm_start: bool
    ) -> None:
        self.settings, self.teacher = settings, teacher
        self.teacher_score = monitored(validation_metrics(teacher.scorer, data), settings.monitor)
        self.initial_score = monitored(model.validation_metrics(data), settings.monitor) if warm_start else -1.0

    def trial_is_lost(self, state: TrainState) -> bool:
        """Whether a trial is just over, by early stopping or by its number of epochs, and the teacher ranks better; or
        the model would be behind at its end."""
        trial, done = self.settings.trial_epochs, len(state.epochs)
        if state.discarded_epochs or not 0 < done <= trial:
            return False
        if done == trial or state.should_stop:
            return self._teacher_is_better(state)
        if done == 1:
            return False
        before, now = (monitored(epoch.valid, self.settings.monitor) for epoch in state.epochs[-2:])
        return distributed.broadcast(now + (trial - done) * max(now - before, 0) < self.teacher_score)

    def trial_is_won(self, state: TrainState) -> bool:
        """Whether there was a trial, and no restart after it: the teacher will not be asked any more."""
        return 0 < self.settings.trial_epochs <= len(state.epochs) and not state.discarded_epochs

    def teacher_for(self, state: TrainState) -> Teacher | None:
        """The teacher of the next epoch, if it has one."""
        after_trial = self.settings.trial_epochs == 0 or state.discarded_epochs > 0
        return self.teacher.logits if after_trial and self._teacher_is_better(state) else None

    def _teacher_is_better(self, state: TrainState) -> bool:
        began = len(state.epochs) > state.discarded_epochs
        score = monitored(state.epochs[-1].valid, self.settings.monitor) if began else self.initial_score
        return distributed.broadcast(self.teacher_score > score)
