from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna.core.errors import ArtifactError, SettingsError, TrainingError
from ssna.runs.recipes import override
from ssna.data.dataset import Dataset
from ssna.evaluation import evaluate
from ssna.evaluation.metrics import ndcg
from ssna.methods.ease import EaseSettings
from ssna.methods.ids import Ids
from ssna.methods.linear_teacher import LinearTeacher
from ssna.nn.losses import LOSSES
from ssna.nn.sasrec import SASRec
from ssna.runs import Run, epoch_log as epochs, resolve, train
from ssna.scoring import Ensemble, Member, PopularityScorer, Scorer
from ssna.training import Epoch, Fit, RunSettings, Step, fit, loop, trainer
from ssna.training import ensemble as joining
from ssna.training.checkpoint import Checkpoint
from ssna.training.ensemble import fit_ensemble, with_repeat_consumption
from ssna.training.settings import TrainingSettings
from ssna.training.state import TrainState
from ssna.training.trainer import Model, _optimizer, autocast, learning_rate

SMALL = ["dim=8", "sequence.ffn_dim=8", "sequence.num_layers=1", "training.batch_size=32", "training.epochs=2"]


def settings_of(*assignments: str) -> RunSettings:
    return resolve(method="ids", settings=[*SMALL, *assignments])


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        yield


@pytest.fixture(scope="module")
def data(random_data: Callable[..., Dataset]) -> Dataset:
    return random_data(seed=2)


@pytest.fixture
def encoder(data) -> Ids:
    return Ids(len(data.items), 8)


@pytest.fixture
def validated(monkeypatch) -> Callable[..., None]:
    """Lets validation say these values of R@10, one an epoch, whatever the model."""

    def say(*recalls: float) -> None:
        told = iter(recalls)
        monkeypatch.setattr(
            trainer, "ranks", lambda *_: np.array([1] * round(10 * (r := next(told))) + [99] * round(10 - 10 * r))
        )

    return say


def test_after_training_no_gradient_takes_memory(data, encoder):
    fitted = fit(encoder, data, settings_of())
    assert all(parameter.grad is None for parameter in (*encoder.parameters(), *fitted.sequence.parameters()))


def test_nor_after_training_that_broke_off(data, encoder):
    def broken(step: Step) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fit(encoder, data, settings_of(), on_step=broken)
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_training_stops_after_patience_epochs_without_a_better_validation(data, encoder, validated):
    validated(0.1, 0.3, 0.3, 0.2, 0.3, 0.9)
    fitted = fit(encoder, data, settings_of("training.epochs=6", "training.early_stopping_patience=3"))
    assert len(fitted.epochs) == 5


def test_the_best_epoch_is_the_first_with_the_highest_recall_at_10(data, encoder, validated):
    validated(0.1, 0.3, 0.3, 0.2)
    assert fit(encoder, data, settings_of("training.epochs=4")).best_epoch == 2


def test_the_weights_of_the_best_epoch_are_kept(data, encoder, validated):
    validated(0.1, 0.3, 0.2)
    handed = []

    def copy(_, weights):
        handed.append({name: weight.clone() for name, weight in weights.items()})

    fitted = fit(encoder, data, settings_of("training.epochs=3"), on_epoch=copy)
    kept = {f"sequence.{name}": weight for name, weight in fitted.sequence.state_dict().items()}
    kept |= {f"encoder.{name}": weight for name, weight in encoder.state_dict().items()}
    assert {name: torch.equal(weight, handed[1][name]) for name, weight in kept.items()} == dict.fromkeys(kept, True)


def test_the_item_vectors_of_the_scorer_are_those_of_the_best_epoch(data, encoder, validated):
    validated(0.3, 0.2, 0.1)
    fitted = fit(encoder, data, settings_of("training.epochs=3"))
    assert torch.equal(fitted.scorer.vectors[1:], encoder.vectors.weight[1:])


def test_weights_are_handed_over_after_epochs_that_were_the_best_so_far(data, encoder, validated):
    validated(0.1, 0.1, 0.3, 0.2)
    handed = []
    fit(encoder, data, settings_of("training.epochs=4"), on_epoch=lambda _, weights: handed.append(bool(weights)))
    assert handed == [True, False, True, False]


def test_a_training_set_without_targets_is_an_error_in_words(make_data):
    data = make_data([[1, 2, 3], [3, 2, 1]])
    with pytest.raises(TrainingError, match="nothing to learn from"):
        fit(Ids(3, 8), data, settings_of())


class Diverging(Ids):
    """Its vectors are not numbers while training, or only when evaluating."""

    bad_when_training = True

    def forward(self, items):
        return super().forward(items) * (float("nan") if self.training == self.bad_when_training else 1.0)


def test_a_loss_that_is_not_finite_stops_training_and_names_the_remedy(data):
    with pytest.raises(TrainingError, match=r"step 0; lower training\.learning_rate"):
        fit(Diverging(len(data.items), 8), data, settings_of())


def test_scores_that_are_not_numbers_stop_training_at_validation(data):
    encoder = Diverging(len(data.items), 8)
    encoder.bad_when_training = False
    with pytest.raises(TrainingError, match="not a number"):
        fit(encoder, data, settings_of())


class Watched(Ids):
    """Writes down how the trainer calls it."""

    def __init__(self, items: int, dim: int) -> None:
        super().__init__(items, dim)
        self.planned: list[int] = []
        self.steps: list[int] = []
        self.gradients: list[bool] = []

    def plan(self, total_steps: int) -> None:
        self.planned.append(total_steps)

    def after_step(self, step: int) -> None:
        self.steps.append(step)
        self.gradients.append(self.vectors.weight.grad is not None)


@pytest.fixture
def watched(data) -> Watched:
    encoder = Watched(len(data.items), 8)
    fit(encoder, data, settings_of("training.epochs=2"))
    return encoder


class Asked(Ids):
    """Writes down the items that it is asked for while training."""

    def __init__(self, items: int, dim: int) -> None:
        super().__init__(items, dim)
        self.asked: list[list[int]] = []

    def forward(self, items):
        if self.training:
            self.asked.append(items.tolist())
        return super().forward(items)


def test_every_distinct_item_of_a_step_is_encoded_once(data):
    encoder, steps = Asked(len(data.items), 8), []
    fit(encoder, data, settings_of("training.epochs=1"), on_step=steps.append)
    assert len(encoder.asked) == len(steps)
    assert all(len(items) == len(set(items)) for items in encoder.asked)


def test_an_encoder_is_told_the_number_of_steps_once(watched):
    assert watched.planned == [len(watched.steps)]


def test_an_encoder_is_called_after_every_step_with_its_number(watched):
    assert watched.steps == list(range(len(watched.steps)))


def test_gradients_are_still_there_after_a_step(watched):
    assert all(watched.gradients)


class Penalised(Ids):
    def penalty(self):
        return 1000 * self.vectors.weight[0].square().sum()


def test_a_penalty_is_learned_from(data):
    """Row 0 is padding: no loss ever reaches it, only the penalty does."""
    encoder = Penalised(len(data.items), 8)
    before = encoder.vectors.weight[0].norm().item()
    fit(encoder, data, settings_of("training.epochs=1", "training.learning_rate=1e-3"))
    assert encoder.vectors.weight[0].norm().item() < before


def test_a_penalty_is_no_part_of_the_loss_reported(data):
    reported = []
    for kind in (Ids, Penalised):
        torch.manual_seed(0)
        fitted = fit(kind(len(data.items), 8), data, settings_of("training.epochs=1", "training.learning_rate=1e-9"))
        reported.append(fitted.epochs[0].loss)
    assert reported[0] == pytest.approx(reported[1], rel=1e-5)


def test_the_loss_reported_is_the_mean_over_targets_not_over_steps(data, encoder, monkeypatch):
    sizes: list[int] = []

    def loss_of_size(candidates, temperature):
        sizes.append(len(candidates.targets))
        return 0 * candidates.intents.sum() + len(candidates.targets)

    monkeypatch.setitem(LOSSES, "in-batch", loss_of_size)
    fitted = fit(encoder, data, settings_of("training.epochs=1", "training.batch_size=7"))
    assert len(set(sizes)) > 1
    assert fitted.epochs[0].loss == pytest.approx(sum(size**2 for size in sizes) / sum(sizes))


@given(warmup=st.floats(0, 0.99), decay=st.booleans(), total=st.integers(1, 60))
def test_the_learning_rate_never_exceeds_the_one_set_and_never_falls_below_zero(warmup, decay, total):
    rates = learning_rates(TrainingSettings(warmup_ratio=warmup, lr_schedule=decay, learning_rate=1.0), total)
    assert all(0 <= rate <= 1 for rate in rates)


def learning_rates(settings: TrainingSettings, total: int) -> list[float]:
    return [learning_rate(settings, total, step) for step in range(total)]


def test_the_learning_rate_rises_in_a_line_and_falls_along_half_a_cosine():
    rates = learning_rates(TrainingSettings(warmup_ratio=0.25, lr_schedule=True, learning_rate=1.0), 8)
    half_cosine = [0.5 * (1 + np.cos(np.pi * step / 6)) for step in range(6)]
    assert rates == pytest.approx([0.5, 1.0, *half_cosine])


def test_without_warmup_and_decay_the_learning_rate_stays():
    assert learning_rates(TrainingSettings(learning_rate=0.1), 5) == [0.1] * 5


def test_weight_decay_spares_vectors_such_as_biases():
    model = Model(Ids(5, 8), SASRec(8, 4, 1, 1, 8, 0.0))
    optimizer = _optimizer(model, TrainingSettings(weight_decay=0.1))
    decayed = {group["weight_decay"]: {p.ndim for p in group["params"]} for group in optimizer.param_groups}
    assert decayed == {0.1: {2}, 0.0: {1}}


def test_frozen_parameters_are_not_given_to_the_optimizer():
    model = Model(Ids(5, 8), SASRec(8, 4, 1, 1, 8, 0.0))
    model.encoder.requires_grad_(False)
    optimizer = _optimizer(model, TrainingSettings())
    given_ids = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert given_ids == {id(p) for p in model.sequence.parameters()}


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_matrix_products_have_the_precision_asked_for(precision, dtype):
    with autocast(precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_the_model_ranks_in_full_precision_after_training_in_half(data, encoder):
    fitted = fit(encoder, data, settings_of("training.precision=bf16", "training.epochs=1"))
    assert fitted.scorer.score(data.valid.histories).dtype == torch.float32


@pytest.mark.parametrize("method", ["item-knn", "popularity"])
def test_a_method_without_training_needs_no_cache_for_what_a_recipe_joins_to_trained_ones(data, method):
    run = train(data, recipe="best", method=method, quiet=True)
    assert run.record.ensemble is None


def test_a_cache_pooled_in_another_way_than_the_recipe_asks_for_is_refused(data, make_cache, random_states):
    with pytest.raises(SettingsError, match="ask for mean vectors, the cache holds cls"):
        train(data, make_cache(data, random_states(), pooling="cls"), "best", quiet=True)


def test_a_teacher_is_listened_to_while_it_ranks_validation_better(data, encoder, validated):
    validated(0.5, 0.3, 0.6, 0.4, 0.5)  # the teacher's, then the model's
    settings = settings_of("distillation.teacher=ease", "training.epochs=4", "training.early_stopping_patience=9")
    fitted = fit(encoder, data, settings, teacher=LinearTeacher.fit(EaseSettings(), data, None, 8))
    assert [epoch.distilled for epoch in fitted.epochs] == [True, True, False, True]


def taught_after_a_trial(data, unaided: int, *assignments: str, **listeners) -> Fit:
    torch.manual_seed(5)
    more = ("training.epochs=4", "training.early_stopping_patience=9", "training.lr_schedule=cosine", "sequence.dropout=0.3", *assignments)
    settings = settings_of("distillation.teacher=ease", f"distillation.trial_epochs={unaided}", *more)
    teacher = LinearTeacher.fit(EaseSettings(), data, None, 8)
    return fit(Ids(len(data.items), 8), data, settings, teacher=teacher, **listeners)


def test_a_model_that_a_trial_shows_to_be_the_better_one_is_never_taught(data, validated):
    validated(0.5, 0.3, 0.6, 0.4, 0.4)  # the teacher's, then the model's
    fitted = taught_after_a_trial(data, 2)
    assert [epoch.distilled or epoch.restarted for epoch in fitted.epochs] == [False] * 4


def test_one_that_is_not_begins_again_and_is_taught_from_the_start(data, validated):
    validated(0.5, 0.6, 0.4, 0.1, 0.2, 0.6, 0.3)
    fitted = taught_after_a_trial(data, 2)
    assert [epoch.number for epoch in fitted.epochs] == [1, 2, 3, 4, 5, 6]
    assert [epoch.restarted for epoch in fitted.epochs] == [False, False, True, False, False, False]
    assert [epoch.distilled for epoch in fitted.epochs] == [False, False, True, True, True, False]
    assert fitted.best_epoch == 5  # what was reached in the trial is left behind


def test_one_that_begins_again_ends_where_it_would_without_a_trial(data, monkeypatch):
    monkeypatch.setattr(loop, "validated", lambda *_: {"N@10": 2.0})  # the teacher's; a better one there is not
    begun_again, without = taught_after_a_trial(data, 2), taught_after_a_trial(data, 0)
    assert [(e.loss, e.valid) for e in begun_again.epochs[2:]] == [(e.loss, e.valid) for e in without.epochs]
    assert begun_again.best_epoch == without.best_epoch + 2
    assert torch.equal(begun_again.scorer.vectors, without.scorer.vectors)
    for ours, theirs in zip(begun_again.sequence.parameters(), without.sequence.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_trial_is_the_beginning_of_a_model_that_nobody_teaches(data, monkeypatch):
    monkeypatch.setattr(loop, "validated", lambda *_: {"N@10": 0.0})
    trial = taught_after_a_trial(data, 2)
    torch.manual_seed(5)
    more = ("training.epochs=4", "training.early_stopping_patience=9", "training.lr_schedule=cosine", "sequence.dropout=0.3")
    alone = fit(Ids(len(data.items), 8), data, settings_of(*more))
    assert [(e.loss, e.valid) for e in trial.epochs] == [(e.loss, e.valid) for e in alone.epochs]


def test_patience_counts_from_where_training_began_again(data, validated):
    validated(0.8, 0.7, 0.6, 0.1, 0.1, 0.1, 0.9)
    fitted = taught_after_a_trial(data, 2, "training.early_stopping_patience=2")
    assert (len(fitted.epochs), fitted.best_epoch) == (5, 3)


def test_patience_ends_a_trial_and_the_teacher_is_asked_then(data, validated):
    validated(0.8, 0.7, 0.6, 0.1, 0.2, 0.3, 0.4)
    fitted = taught_after_a_trial(data, 3, "training.early_stopping_patience=1")
    assert [epoch.restarted for epoch in fitted.epochs] == [False, False, True, False, False, False]


def test_a_trial_that_patience_ends_and_the_model_has_won_is_all(data, validated):
    validated(0.5, 0.7, 0.6)
    assert len(taught_after_a_trial(data, 3, "training.early_stopping_patience=1").epochs) == 2


def test_a_start_is_begun_from_again(data, validated):
    validated(0.5, 0.6, 0.4, 0.4, 0.4, 0.4, 0.4)  # the teacher's, the start's, then the model's
    start = {"encoder.vectors.weight": torch.randn(len(data.items) + 1, 8)}
    fitted = taught_after_a_trial(data, 1, start=start)
    assert [epoch.distilled for epoch in fitted.epochs] == [False, False, True, True, True]  # the start ranks better
    assert fitted.epochs[1].restarted
    assert fitted.epochs[1].loss == fitted.epochs[0].loss


@pytest.mark.parametrize("outcome", [0.0, 2.0])
def test_the_first_weights_are_kept_no_longer_than_there_is_a_way_back(data, monkeypatch, outcome):
    monkeypatch.setattr(loop, "validated", lambda *_: {"N@10": outcome})
    roads, kept = [], []

    class Watched(TrainState):
        def __init__(self, *given, **named) -> None:
            super().__init__(*given, **named)
            roads.append(self)

    monkeypatch.setattr(loop, "Road", Watched)
    taught_after_a_trial(data, 2, on_epoch=lambda *_: kept.append(roads[0].first is not None))
    assert kept == ([True, True] + [False] * (2 if outcome == 0 else 4))


def test_lines_about_epochs_say_where_training_began_again(data, capsys, monkeypatch):
    monkeypatch.setattr(loop, "validated", lambda *_: {"N@10": 2.0})
    train(data, method="ids", settings=[*SMALL, "distillation.teacher=ease", "distillation.trial_epochs=1"])
    lines = capsys.readouterr().err.splitlines()
    assert ["begun again  taught" in line for line in lines] == [False, True, False]
    assert "begun again" not in lines[2]


@pytest.mark.parametrize("share", [0.2, 0.45, 0.8])  # in the trial, just behind it, late
def test_a_run_cut_off_goes_on_whether_or_not_it_had_begun_again(data, monkeypatch, tmp_path, share):
    monkeypatch.setattr(loop, "validated", lambda *_: {"N@10": 2.0})
    steps: list[Step] = []
    whole = taught_after_a_trial(data, 2, on_step=steps.append)
    assert (steps[-1].epoch, steps[-1].epochs_done) == (6, 4)
    left = round(share * len(steps))

    def cut(step: Step) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise InterruptedError

    checkpoint = Checkpoint(tmp_path / "checkpoint", {"run": 1}, every=0.0)
    with pytest.raises(InterruptedError):
        taught_after_a_trial(data, 2, checkpoint=checkpoint, on_step=cut)
    again = taught_after_a_trial(data, 2, checkpoint=checkpoint)
    assert [replace(epoch, seconds=0) for epoch in again.epochs] == [replace(e, seconds=0) for e in whole.epochs]
    assert again.best_epoch == whole.best_epoch
    assert torch.equal(again.scorer.vectors, whole.scorer.vectors)


def test_where_all_epochs_are_unaided_nobody_is_fitted_to_teach(data):
    alone = [*SMALL, "distillation.teacher=cease", "distillation.trial_epochs=2", "training.epochs=2"]  # CEASE would want a cache
    assert [epoch["taught"] for epoch in train(data, method="ids", settings=alone, quiet=True).record.epochs] == [
        False
    ] * 2


def test_a_start_that_ranks_better_than_the_teacher_is_not_taught(data, encoder, validated):
    settings = settings_of("distillation.teacher=ease", "training.epochs=3", "training.early_stopping_patience=9")
    weights = Model(encoder, SASRec(8, data.max_history, **settings.sequence.model_dump())).trainable_state_dict()
    teacher = LinearTeacher.fit(EaseSettings(), data, None, 8)
    validated(0.5, 0.6, 0.4, 0.5, 0.5)  # the teacher's, the start's, then the model's
    fitted = fit(encoder, data, settings, start=weights, teacher=teacher)
    assert [epoch.distilled for epoch in fitted.epochs] == [False, True, False]


def test_where_nothing_is_learned_nobody_teaches(data, new_name):
    folder = new_name()
    train(data, method="ids", settings=SMALL, out=folder, quiet=True)
    still = [*SMALL, "training.epochs=0", "distillation.teacher=cease"]  # CEASE would want a cache
    assert train(data, method="ids", settings=still, init_from=folder, quiet=True).record.epochs == []


def test_lines_about_epochs_say_who_was_taught(data, capsys):
    train(data, method="ids", settings=[*SMALL, "distillation.teacher=ease", "training.epochs=1"])
    assert "  taught" in capsys.readouterr().err
    train(data, method="ids", settings=[*SMALL, "training.epochs=1"])
    assert "taught" not in capsys.readouterr().err


def test_a_terminal_has_a_bar_while_training_lasts_and_the_lines_above_it(data, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    train(data, method="ids", settings=SMALL)
    shown = capsys.readouterr().err
    drawn, left = shown.rsplit("\x1b[2K", 1)
    assert "100%" in drawn
    assert "epoch 2" in drawn
    assert "train" not in left
    assert [f"epoch   {number}  loss" in drawn for number in (1, 2)] == [True, True]


def test_a_file_is_told_how_far_an_epoch_is_that_lasts_long(data, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    train(data, method="ids", settings=SMALL)
    assert "%" not in capsys.readouterr().err
    monkeypatch.setattr(epochs, "MINUTE", 0.0)
    train(data, method="ids", settings=[*SMALL, "training.limit_train_batches=4"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[:4] == [f"epoch   1  {share}%" for share in (25, 50, 75, 100)]
    train(data, method="ids", settings=SMALL, quiet=True)
    assert capsys.readouterr().err == ""


def test_what_is_said_of_parts_of_epochs_takes_no_line_from_a_whole_one(capsys, monkeypatch):
    """A grid has a line a minute about epochs, and a file one about a part of one."""
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    monkeypatch.setattr(epochs.time, "perf_counter", lambda: float(next(clock)))
    with epochs.epoch_reports(None, 9, quiet=False, pause=60.0) as report:
        for number in range(1, 5):
            for done in (1, 2, 3):
                report.step(Step(number, done, 3, 1.0, number - 1 + done / 3))
            report.epoch(Epoch(number, 1.0, 75.0, 3, {"N@10": 0.1}), False)
    said = [line.split("  ")[2] for line in capsys.readouterr().err.splitlines()]
    assert sum("loss" in part for part in said) == 4
    assert sum("%" in part for part in said) >= 2


def test_a_teacher_of_nothing_leaves_the_error_to_training(make_data):
    data = make_data([[1, 2, 3], [2, 3, 1]], 3)  # one training event each
    with pytest.raises(TrainingError, match="nothing to learn from"):
        train(data, method="ids", settings=[*SMALL, "distillation.teacher=ease"], quiet=True)


def test_a_teacher_who_reads_text_says_so_without_a_cache(data):
    with pytest.raises(SettingsError, match="cease reads item texts"):
        train(data, method="ids", settings=[*SMALL, "distillation.teacher=cease"], quiet=True)


def test_a_taught_model_ranks_more_like_its_teacher(make_data):
    rng = np.random.default_rng(1)  # six of the ten that belong together
    data = make_data([(10 * rng.integers(0, 3) + rng.permutation(10)[:6] + 1).tolist() for _ in range(90)], 30)
    settings = [*SMALL, "training.learning_rate=1e-2", "training.epochs=3", "ensemble.ease.ridge=5"]
    taught, alone = (
        train(data, method="ids", settings=[*settings, *more], quiet=True).recommender.scorer
        for more in (("distillation.teacher=ease", "distillation.weight=20"), ())
    )
    teacher = train(data, method="ease", settings=["method.ridge=5"], quiet=True).recommender.scorer

    def likeness(scorer) -> float:
        ours, theirs = (one.score(data.valid.histories)[:, 1:].flatten() for one in (scorer, teacher))
        return float(torch.corrcoef(torch.stack([ours, theirs]))[0, 1])

    assert likeness(taught) > likeness(alone) + 0.1


def test_a_method_that_reads_text_says_so_without_a_cache(data):
    with pytest.raises(SettingsError, match="ssna reads item texts"):
        train(data, method="ssna", quiet=True)


# joining


class Random(Scorer):
    """Scores that have nothing to do with the question, of a given size."""

    kind, layers, rows = "random", 0, 21

    def __init__(self, seed: int, size: float = 1.0) -> None:
        self.table = size * torch.from_numpy(np.random.default_rng(seed).normal(size=(31, 21)).astype(np.float32))

    def read(self, histories):
        scores = self.table[torch.tensor([int(row.sum()) % 31 for row in histories])]
        return lambda items: scores[:, items].clone()


class Oracle(Scorer):
    """Knows the validation targets, but for a share of the users."""

    kind, layers, rows = "oracle", 0, 21

    def __init__(self, data: Dataset) -> None:
        self.answers = {tuple(h.tolist()): t for h, t in zip(data.valid.histories, data.valid.targets, strict=True)}

    def read(self, histories):
        scores = torch.zeros(len(histories), 21)
        for row, history in enumerate(histories):
            scores[row, self.answers[tuple(history.tolist())]] = 1.0
        return lambda items: scores[:, items].clone()


def gain(scorer, data) -> float:
    metrics = evaluate(scorer, data.valid).metrics()["exclude_seen"]
    return metrics["N@10"] + metrics["N@50"]


def scale_of(scorer, data) -> float:
    return scorer.score(data.valid.histories)[:, 1:].numpy().std()


def test_shares_are_tenths_that_sum_to_one(data):
    blend = fit_ensemble(Random(0), [Random(1), Random(2)], data.valid)
    weights = [part.weight for part in blend.members]
    assert sum(weights) == pytest.approx(1)
    assert weights == [round(weight, 1) for weight in weights]


def test_the_model_keeps_a_share_even_beside_an_oracle(data):
    model = Random(0)
    blend = fit_ensemble(model, [Oracle(data)], data.valid)
    assert blend.members[0].scorer is model
    assert blend.members[0].weight >= 0.1 - 1e-6


def test_a_partner_that_does_not_help_is_left_out(data):
    oracle = Oracle(data)
    assert [part.scorer for part in fit_ensemble(oracle, [Random(0)], data.valid).members] == [oracle]


def test_scales_are_the_standard_deviations_of_the_scores_on_validation(data):
    parts = (Random(0, 5.0), Random(1, 0.01))
    blend = fit_ensemble(parts[0], [parts[1]], data.valid)
    expected = {id(part): scale_of(part, data) for part in parts}
    assert {id(part.scorer): part.scale for part in blend.members} == pytest.approx(
        {id(part.scorer): expected[id(part.scorer)] for part in blend.members}, rel=1e-4
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_shares_are_the_best_of_all_tenths_on_validation(data, seed):
    scorers = (Random(seed), Random(seed + 10), PopularityScorer(torch.arange(21.0)))
    scales = [scale_of(scorer, data) for scorer in scorers]
    gains = {
        tenths: gain(Ensemble([Member(s, w / 10, c) for s, w, c in zip(scorers, tenths, scales, strict=True)]), data)
        for tenths in product(range(11), repeat=3)
        if sum(tenths) == 10 and tenths[0] > 0
    }
    assert gain(fit_ensemble(scorers[0], scorers[1:], data.valid), data) == pytest.approx(max(gains.values()), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_joined_model_is_never_worse_on_validation_than_alone(data, seed):
    assert gain(fit_ensemble(Random(seed), [Random(seed + 10)], data.valid), data) >= gain(Random(seed), data) - 1e-9


def test_the_validation_users_who_decide_are_spread_evenly_when_there_are_many(data, monkeypatch):
    monkeypatch.setattr(joining, "SCORES", 4 * 21 + 5)
    monkeypatch.setattr(joining, "USERS", 1)
    asked: list[int] = []

    class Counting(Random):
        def read(self, histories):
            asked.append(len(histories))
            return super().read(histories)

    fit_ensemble(Counting(0), [], data.valid)
    assert set(asked) == {4}


@pytest.mark.parametrize(("last", "sign"), [("new", -1), ("repeated", 1)])
def test_items_seen_before_are_raised_or_lowered_as_validation_has_it(make_data, last, sign):
    rng, rows = np.random.default_rng(3), []
    for _ in range(60):
        *history, other = rng.permutation(np.arange(1, 21))[:6].tolist()
        rows.append([*history, other if last == "new" else history[0], other])
    data = make_data(rows, 20)
    popularity = PopularityScorer(torch.from_numpy(np.bincount(data.train.values, minlength=21)))
    model = Ensemble([Member(popularity, 1.0, 2.0)])
    found = with_repeat_consumption(model, data.valid, 50)
    before, after = (evaluate(scorer, data.valid) for scorer in (model, found))
    np.testing.assert_array_equal(after.ranks["exclude_seen"], before.ranks["exclude_seen"])
    assert isinstance(found, Ensemble)
    assert np.sign(found.members[-1].weight) == sign
    assert ndcg(after.ranks["include_seen"], 10).mean() > ndcg(before.ranks["include_seen"], 10).mean()


def test_where_nothing_is_gained_the_model_stays_as_it_is(make_data):
    data = make_data([[1, 2, 3, 4, 5]] * 4, 6)
    popularity = PopularityScorer(torch.tensor([0.0, 1, 2, 3, 9, 5, 6]))  # the validation target is the first already
    model = Ensemble([Member(popularity, 1.0, 1.0)])
    assert with_repeat_consumption(model, data.valid, 50) is model


def test_the_record_names_what_was_seen_before(make_data):
    rng = np.random.default_rng(4)
    data = make_data([rng.permutation(np.arange(1, 21))[:7].tolist() for _ in range(40)], 20)
    run = train(data, method="ids", settings=[*SMALL, 'ensemble.members=["popularity"]', "ensemble.repeat_consumption=true"], quiet=True)
    assert run.record.ensemble["seen before"] < 0
    assert isinstance(run.recommender.scorer, Ensemble)


def test_a_run_with_its_test_targets_exchanged_learns_and_joins_the_same(make_data, data):
    rows = [row.tolist() for row in data.histories.ragged]
    exchanged = [[*row[:-1], other[-1]] for row, other in zip(rows, [*rows[1:], rows[0]], strict=True)]
    other = make_data(exchanged, len(data.items), data.texts[1:], data.max_history)
    settings = [*SMALL, "distillation.teacher=ease", 'ensemble.members=["ease", "item-knn", "popularity"]']
    first, second = (train(d, method="ids", settings=settings, quiet=True) for d in (data, other))
    assert first.record.ensemble == second.record.ensemble
    assert first.record.valid == second.record.valid
    assert first.record.test != second.record.test


def test_the_record_names_the_shares(data):
    run = train(data, method="ids", settings=[*SMALL, 'ensemble.members=["item-knn", "popularity"]'], quiet=True)
    assert set(run.record.ensemble) <= {"ids", "item-knn", "popularity"}
    assert sum(run.record.ensemble.values()) == pytest.approx(1)


# the run


def test_a_run_folder_gives_the_run_back(data, new_name):
    folder = new_name()
    run = train(data, method="ids", settings=SMALL, out=folder, quiet=True)
    loaded = type(run).load(folder)
    assert loaded.record == run.record
    for split, evaluation in run.evaluations.items():
        for policy in evaluation.ranks:
            np.testing.assert_array_equal(loaded.evaluations[split].ranks[policy], evaluation.ranks[policy])
            np.testing.assert_array_equal(loaded.evaluations[split].lists[policy], evaluation.lists[policy])
        np.testing.assert_array_equal(loaded.evaluations[split].targets, evaluation.targets)
    history = [["i1", "i2"]]
    assert loaded.recommender.recommend(history) == run.recommender.recommend(history)


@pytest.mark.parametrize("file", ["record.json", "ranks.parquet", "model/model.json"])
@pytest.mark.parametrize("kept", [None, 0.0, 0.5])
def test_a_run_folder_with_a_missing_or_truncated_file_is_an_artifact_error_in_one_line(data, new_name, file, kept):
    folder = new_name()
    train(data, method="popularity", out=folder, quiet=True)
    content = (folder / file).read_bytes()
    (folder / file).unlink()
    if kept is not None:
        (folder / file).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ArtifactError, match=r"[\w.]+") as caught:
        Run.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{}", '{"method": "ids"}', '{"unknown": 1}'])
def test_a_record_of_another_program_is_an_artifact_error(data, new_name, content):
    folder = new_name()
    train(data, method="popularity", out=folder, quiet=True)
    (folder / "record.json").write_text(content)
    with pytest.raises(ArtifactError, match="no record of a run"):
        Run.load(folder)


def test_the_settings_of_a_run_folder_train_the_same_run_again(data, new_name):
    folder = new_name()
    run = train(data, method="ids", settings=SMALL, seed=4, out=folder, quiet=True)
    again = train(data, config=folder / "settings.toml", quiet=True)
    assert (again.record.settings, again.record.test) == (run.record.settings, run.record.test)


def test_a_run_folder_has_the_files_that_the_design_names(data, new_name):
    folder = new_name()
    train(data, method="ids", settings=SMALL, out=folder, quiet=True)
    assert {"settings.toml", "record.json", "ranks.parquet", "model"} <= {path.name for path in folder.iterdir()}


def test_a_failed_run_leaves_no_folder(data, new_name):
    folder = new_name()
    with pytest.raises(SettingsError):
        train(data, method="ssna", out=folder, quiet=True)
    assert not folder.exists()


def test_a_quiet_run_prints_nothing(data, capfd):
    train(data, method="ids", settings=SMALL, quiet=True)
    assert capfd.readouterr() == ("", "")


def test_epochs_are_reported_on_standard_error_alone(data, capfd):
    train(data, method="ids", settings=SMALL)
    out, err = capfd.readouterr()
    assert (out, err.count("epoch")) == ("", 2)


def test_overriding_a_setting_changes_the_record(data):
    run = train(data, method="ids", settings=[*SMALL, "seed=7"], quiet=True)
    assert run.record.settings == RunSettings.parse(override(settings_of().tree(), ["seed=7"])).tree()


def test_paths_in_the_place_of_data_or_cache_are_an_error_in_words():
    with pytest.raises(SettingsError, match="not paths"):
        train("data", "cache")


def test_a_blend_without_a_part_that_reads_texts_needs_no_cache(data):
    run = train(data, method="blend", settings=['method.members=["ease", "item-knn"]'], quiet=True)
    assert run.record.cache is None
    with pytest.raises(SettingsError, match="reads item texts"):
        train(data, method="blend", settings=['method.members=["ease", "text-knn"]'], quiet=True)
