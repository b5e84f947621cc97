"""When a teacher takes part in training, and what the model learns from it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_training import SMALL, settings_of

from ssna.core.errors import SettingsError, TrainingError
from ssna.methods.ease import EaseSettings
from ssna.methods.ids import Ids
from ssna.methods.linear_teacher import LinearTeacher
from ssna.nn.sasrec import SASRec
from ssna.runs import train
from ssna.training import Fit, Step, distillation, fit, loop
from ssna.training.checkpoint import Checkpoint
from ssna.training.state import TrainState
from ssna.training.trainer import Model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("seeded")]
SCHEDULE = (
    *("training.epochs=4", "training.early_stopping_patience=9", "training.lr_schedule=cosine"),
    "sequence.dropout=0.3",
)


def test_an_epoch_is_distilled_while_the_teacher_ranks_validation_better(data, encoder, validation_recalls):
    validation_recalls(0.5, 0.3, 0.6, 0.4, 0.5)  # the teacher's, then the model's
    settings = settings_of("distillation.teacher=ease", "training.epochs=4", "training.early_stopping_patience=9")
    fitted = fit(encoder, data, settings, teacher=LinearTeacher.fit(EaseSettings(), data, None, 8))
    assert [epoch.distilled for epoch in fitted.epochs] == [True, True, False, True]


def fit_after_trial(data, trial_epochs: int, *assignments: str, **options) -> Fit:
    torch.manual_seed(5)
    settings = settings_of(
        "distillation.teacher=ease", f"distillation.trial_epochs={trial_epochs}", *SCHEDULE, *assignments
    )
    teacher = LinearTeacher.fit(EaseSettings(), data, None, 8)
    return fit(Ids(len(data.items), 8), data, settings, teacher=teacher, **options)


def test_a_model_that_ranks_better_after_its_trial_is_never_distilled(data, validation_recalls):
    validation_recalls(0.5, 0.3, 0.6, 0.4, 0.4)  # the teacher's, then the model's
    fitted = fit_after_trial(data, 2)
    assert [epoch.distilled or epoch.restarted for epoch in fitted.epochs] == [False] * 4


def test_distillation_restarts_when_the_teacher_ranks_better_after_the_trial(data, validation_recalls):
    validation_recalls(0.5, 0.6, 0.4, 0.1, 0.2, 0.6, 0.3)
    fitted = fit_after_trial(data, 2)
    assert [epoch.number for epoch in fitted.epochs] == [1, 2, 3, 4, 5, 6]
    assert [epoch.restarted for epoch in fitted.epochs] == [False, False, True, False, False, False]
    assert [epoch.distilled for epoch in fitted.epochs] == [False, False, True, True, True, False]
    assert fitted.best_epoch == 5  # the trial is discarded


def test_a_trial_ends_early_when_the_last_gain_once_more_for_each_epoch_left_would_not_do(data, validation_recalls):
    validation_recalls(0.8, 0.4, 0.5, 0.1, 0.2, 0.3, 0.4)  # .5 + .1 is behind .8
    fitted = fit_after_trial(data, 3)
    assert [epoch.restarted for epoch in fitted.epochs] == [False, False, True, False, False, False]


def test_a_trial_goes_on_while_its_gains_may_do(data, validation_recalls):
    validation_recalls(0.8, 0.4, 0.7, 0.7, 0.1, 0.2, 0.3, 0.4)  # .7 + .3 is not behind
    fitted = fit_after_trial(data, 3)
    assert [epoch.restarted for epoch in fitted.epochs] == [False] * 3 + [True] + [False] * 3


def test_a_teacher_that_will_not_be_asked_gives_its_memory_back(data, validation_recalls):
    validation_recalls(0.5, 0.3, 0.6, 0.4, 0.4)
    teacher, sizes = LinearTeacher.fit(EaseSettings(), data, None, 8), []
    torch.manual_seed(5)
    settings = settings_of("distillation.teacher=ease", "distillation.trial_epochs=2", *SCHEDULE)
    fit(
        Ids(len(data.items), 8),
        data,
        settings,
        teacher=teacher,
        on_epoch=lambda *_: sizes.append(len(teacher.inverse) + len(teacher.regression.gram)),
    )
    assert sizes[1] > 0 == sizes[2]
    assert teacher.scorer.num_rows == len(data.items) + 1


def test_a_restarted_training_is_that_without_a_trial(data, monkeypatch):
    monkeypatch.setattr(
        distillation, "validation_metrics", lambda *_: {"N@10": 2.0}
    )  # the teacher's; a better one there is not
    restarted, without = fit_after_trial(data, 2), fit_after_trial(data, 0)
    assert [(e.loss, e.valid) for e in restarted.epochs[2:]] == [(e.loss, e.valid) for e in without.epochs]
    assert restarted.best_epoch == without.best_epoch + 2
    assert torch.equal(restarted.scorer.vectors, without.scorer.vectors)
    for ours, theirs in zip(restarted.sequence.parameters(), without.sequence.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_trial_that_is_won_is_training_without_distillation(data, monkeypatch):
    monkeypatch.setattr(distillation, "validation_metrics", lambda *_: {"N@10": 0.0})
    trial = fit_after_trial(data, 2)
    torch.manual_seed(5)
    alone = fit(Ids(len(data.items), 8), data, settings_of(*SCHEDULE))
    assert [(e.loss, e.valid) for e in trial.epochs] == [(e.loss, e.valid) for e in alone.epochs]


def test_early_stopping_counts_from_the_restart(data, validation_recalls):
    validation_recalls(0.8, 0.7, 0.6, 0.1, 0.1, 0.1, 0.9)
    fitted = fit_after_trial(data, 2, "training.early_stopping_patience=2")
    assert (len(fitted.epochs), fitted.best_epoch) == (5, 3)


def test_early_stopping_ends_a_trial_and_training_restarts_if_the_teacher_ranks_better(data, validation_recalls):
    validation_recalls(0.8, 0.7, 0.6, 0.1, 0.2, 0.3, 0.4)
    fitted = fit_after_trial(data, 3, "training.early_stopping_patience=1")
    assert [epoch.restarted for epoch in fitted.epochs] == [False, False, True, False, False, False]


def test_early_stopping_ends_training_in_a_trial_that_is_won(data, validation_recalls):
    validation_recalls(0.5, 0.7, 0.6)
    assert len(fit_after_trial(data, 3, "training.early_stopping_patience=1").epochs) == 2


def test_a_warm_start_restarts_from_its_initial_weights(data, validation_recalls):
    validation_recalls(0.5, 0.6, 0.4, 0.4, 0.4, 0.4, 0.4)  # the teacher's, the initial weights', then the model's
    weights = {"encoder.vectors.weight": torch.randn(len(data.items) + 1, 8)}
    fitted = fit_after_trial(data, 1, initial_weights=weights)
    assert [epoch.distilled for epoch in fitted.epochs] == [
        False,
        False,
        True,
        True,
        True,
    ]  # the initial weights rank better
    assert fitted.epochs[1].restarted
    assert fitted.epochs[1].loss == fitted.epochs[0].loss


@pytest.mark.parametrize("outcome", [0.0, 2.0])
def test_the_initial_snapshot_is_dropped_once_training_cannot_restart(data, monkeypatch, outcome):
    monkeypatch.setattr(distillation, "validation_metrics", lambda *_: {"N@10": outcome})
    states, kept = [], []

    class RecordedState(TrainState):
        def __init__(self, *given, **named) -> None:
            super().__init__(*given, **named)
            states.append(self)

    monkeypatch.setattr(loop, "TrainState", RecordedState)
    fit_after_trial(data, 2, on_epoch=lambda *_: kept.append(states[0].initial is not None))
    assert kept == ([True, True] + [False] * (2 if outcome == 0 else 4))


@pytest.mark.parametrize("share", [0.2, 0.45, 0.8])  # in the trial, just behind it, late
def test_training_resumes_from_a_checkpoint_before_and_after_a_restart(data, monkeypatch, tmp_path, share):
    monkeypatch.setattr(distillation, "validation_metrics", lambda *_: {"N@10": 2.0})
    steps: list[Step] = []
    whole = fit_after_trial(data, 2, on_step=steps.append)
    assert (steps[-1].epoch, steps[-1].epochs_done) == (6, 4)
    left = round(share * len(steps))

    def cut(step: Step) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise InterruptedError

    checkpoint = Checkpoint(tmp_path / "checkpoint", {"run": 1}, every=0.0)
    with pytest.raises(InterruptedError):
        fit_after_trial(data, 2, checkpoint=checkpoint, on_step=cut)
    resumed = fit_after_trial(data, 2, checkpoint=checkpoint)
    assert [replace(epoch, seconds=0) for epoch in resumed.epochs] == [replace(e, seconds=0) for e in whole.epochs]
    assert resumed.best_epoch == whole.best_epoch
    assert torch.equal(resumed.scorer.vectors, whole.scorer.vectors)


def test_no_teacher_is_fitted_where_all_epochs_are_the_trial(data):
    alone = [
        *SMALL,
        "distillation.teacher=cease",
        "distillation.trial_epochs=2",
        "training.epochs=2",
    ]  # CEASE would want a cache
    assert [epoch["distilled"] for epoch in train(data, method="ids", settings=alone, quiet=True).record.epochs] == [
        False
    ] * 2


def test_a_warm_start_that_ranks_better_than_the_teacher_is_not_distilled(data, encoder, validation_recalls):
    settings = settings_of("distillation.teacher=ease", "training.epochs=3", "training.early_stopping_patience=9")
    weights = Model(encoder, SASRec(8, data.max_history, **settings.sequence.model_dump())).trainable_state_dict()
    teacher = LinearTeacher.fit(EaseSettings(), data, None, 8)
    validation_recalls(0.5, 0.6, 0.4, 0.5, 0.5)  # the teacher's, the initial weights', then the model's
    fitted = fit(encoder, data, settings, initial_weights=weights, teacher=teacher)
    assert [epoch.distilled for epoch in fitted.epochs] == [False, True, False]


def test_no_teacher_is_fitted_where_there_are_no_epochs(data, new_name):
    folder = new_name()
    train(data, method="ids", settings=SMALL, out=folder, quiet=True)
    no_epochs = [*SMALL, "training.epochs=0", "distillation.teacher=cease"]  # CEASE would want a cache
    assert train(data, method="ids", settings=no_epochs, init_from=folder, quiet=True).record.epochs == []


def test_a_teacher_without_next_events_leaves_the_error_to_training(make_data):
    data = make_data([[1, 2, 3], [2, 3, 1]], 3)  # one training event each
    with pytest.raises(TrainingError, match="nothing to learn from"):
        train(data, method="ids", settings=[*SMALL, "distillation.teacher=ease"], quiet=True)


def test_a_teacher_that_reads_text_says_so_without_a_cache(data):
    with pytest.raises(SettingsError, match="cease reads item texts"):
        train(data, method="ids", settings=[*SMALL, "distillation.teacher=cease"], quiet=True)


def test_a_distilled_model_ranks_more_like_its_teacher(make_data):
    rng = np.random.default_rng(1)  # six of the ten that belong together
    data = make_data([(10 * rng.integers(0, 3) + rng.permutation(10)[:6] + 1).tolist() for _ in range(90)], 30)
    settings = [*SMALL, "training.learning_rate=1e-2", "training.epochs=3", "ensemble.ease.ridge=5"]
    distilled, alone = (
        train(data, method="ids", settings=[*settings, *more], quiet=True).recommender.scorer
        for more in (("distillation.teacher=ease", "distillation.weight=20"), ())
    )
    teacher = train(data, method="ease", settings=["method.ridge=5"], quiet=True).recommender.scorer

    def likeness(scorer) -> float:
        ours, theirs = (one.score(data.valid.histories)[:, 1:].flatten() for one in (scorer, teacher))
        return float(torch.corrcoef(torch.stack([ours, theirs]))[0, 1])

    assert likeness(distilled) > likeness(alone) + 0.1


@pytest.mark.parametrize(("monitor", "distilled"), [("N@10", [True, False]), ("R@10", [True, True])])
def test_teacher_and_model_are_compared_by_distillation_monitor(data, validation_ranks, monitor, distilled):
    """After its first epoch the model hits less often than the teacher, but at a better rank."""
    teacher, model = [10] * 5 + [99] * 5, [1] * 3 + [99] * 7
    validation_ranks(teacher, model, model)
    fitted = fit_after_trial(data, 0, "training.epochs=2", f"distillation.monitor={monitor}")
    assert [epoch.distilled for epoch in fitted.epochs] == distilled


@pytest.mark.parametrize(("monitor", "restarted"), [("N@10", False), ("R@10", True)])
def test_a_trial_is_won_or_lost_by_distillation_monitor(data, validation_ranks, monitor, restarted):
    teacher, model = [10] * 5 + [99] * 5, [1] * 3 + [99] * 7
    validation_ranks(teacher, *[model] * 4)
    fitted = fit_after_trial(data, 1, "training.epochs=2", f"distillation.monitor={monitor}")
    assert any(epoch.restarted for epoch in fitted.epochs) == restarted
