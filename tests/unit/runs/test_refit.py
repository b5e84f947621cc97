"""A run that chooses on validation and then learns from all events."""

from dataclasses import replace

import numpy as np
import pytest

from ssna.core.errors import ArtifactError, SettingsError
from ssna.data import Dataset
from ssna.report import find
from ssna.runs import Run, train
from ssna.runs.refit import _replay, on_all_events
from ssna.scoring import Ensemble

SMALL = ("dim=8", "sequence.ffn_dim=8", "training.batch_size=16", "training.epochs=4", "training.monitor=N@10")
WITH_ALL = (
    *SMALL,
    'ensemble.members=["ease", "item-knn"]',
    "ensemble.repeat_consumption=true",
    "ensemble.by_frequency=true",
)


@pytest.fixture(scope="module")
def data(random_data) -> Dataset:
    return random_data(seed=5, users=50, items=20)


@pytest.fixture(scope="module")
def both(data, tmp_path_factory) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("runs")
    runs = (
        train(data, method="ids", settings=WITH_ALL, out=folder / name, quiet=True, refit=refit)
        for name, refit in (("chosen", False), ("refit", True))
    )
    return tuple(runs)


def scores(run, data):
    return run.recommender.scorer.score(data.histories.ragged)


def test_the_figures_are_those_of_the_run_that_chose(both):
    chosen, refit = both
    for what in ("test", "valid", "beyond", "best_epoch", "ensemble", "fingerprint"):
        assert getattr(refit.record, what) == getattr(chosen.record, what)
    assert chosen.record.refit is None
    np.testing.assert_array_equal(
        refit.evaluations["test"].ranks["exclude_seen"], chosen.evaluations["test"].ranks["exclude_seen"]
    )


def test_the_record_says_what_was_learned_again_and_whose_the_figures_are(both, data):
    _, refit = both
    said = refit.record.refit
    assert (said["events"], said["training_events"]) == (len(data.histories.items), len(data.train.values))
    assert said["epochs"] == refit.record.best_epoch
    assert "the model before, which learned from the training events alone" in said["figures"]


def test_the_model_that_is_kept_learned_from_all_events_with_the_weights_that_validation_chose(both, data):
    chosen, refit = both
    assert not np.allclose(scores(chosen, data)[:, 1:], scores(refit, data)[:, 1:])
    mine, theirs = refit.recommender.scorer, chosen.recommender.scorer
    assert isinstance(mine, Ensemble)
    assert [(m.weight, m.scale, m.scorer.kind) for m in mine.members] == [
        (m.weight, m.scale, m.scorer.kind) for m in theirs.members
    ]
    assert mine.frequency.factors.equal(theirs.frequency.factors)
    every = np.bincount(data.histories.items, minlength=len(data.items) + 1)
    np.testing.assert_array_equal(mine.frequency.events, every)
    np.testing.assert_array_equal(refit.recommender.counts, every)


def test_a_run_on_all_events_with_the_settings_of_a_finished_run_is_the_second_half_alone(both, data, tmp_path):
    _, refit = both
    train(data, method="ids", settings=WITH_ALL, out=tmp_path / "chosen", quiet=True)
    whole = on_all_events(data)
    second = train(whole, config=tmp_path / "chosen" / "settings.toml", out=tmp_path / "second", quiet=True)
    np.testing.assert_array_equal(scores(second, data), scores(refit, data))
    assert second.record.refit["chosen_in"] == str(tmp_path / "chosen")
    assert (second.record.test, second.evaluations) == ({}, {})
    assert "nothing evaluated" in repr(second)
    assert second._repr_html_().startswith("<table>")
    loaded = Run.load(tmp_path / "second")
    np.testing.assert_array_equal(scores(loaded, data), scores(second, data))
    with pytest.raises(ArtifactError, match=r"learned from all events, so nothing is left to evaluate it on"):
        find([tmp_path / "second"])


def test_data_of_which_all_events_are_for_training_have_nobody_to_evaluate_on(data):
    whole = replace(data, protocol="none")
    assert len(whole.train.values) == len(data.histories.items)
    assert len(whole.valid) == len(whole.test) == 0
    assert whole.fingerprint != data.fingerprint


@pytest.mark.parametrize(
    ("epochs", "best", "expected"),
    [
        ([(1, False, False), (2, False, False), (3, False, False)], 2, (False, False)),
        ([(1, True, False), (2, False, False)], 2, (True, False)),
        ([(1, False, False), (2, True, True), (3, True, False), (4, False, False)], 3, (True, True)),
        ([], None, ()),
    ],
)
def test_the_epochs_of_a_lost_trial_are_not_repeated(epochs, best, expected):
    assert _replay(epochs, best) == expected


def test_a_teacher_takes_part_in_the_epochs_in_which_it_did(data):
    settings = (*SMALL, "distillation.teacher=ease")
    run = train(data, method="ids", settings=settings, quiet=True, refit=True)
    assert run.record.refit["epochs"] == run.record.best_epoch


@pytest.mark.parametrize("method", ["item-knn", "ease", "blend", "popularity"])
def test_a_method_that_is_fitted_at_once_is_fitted_to_all_events(data, method):
    settings = ['method.members=["item-knn", "ease"]'] if method == "blend" else []
    chosen, refit = (train(data, method=method, settings=settings, quiet=True, refit=again) for again in (False, True))
    assert refit.record.test == chosen.record.test
    assert not np.array_equal(scores(chosen, data), scores(refit, data))
    alone = train(on_all_events(data), method=method, settings=settings, quiet=True)
    np.testing.assert_array_equal(scores(alone, data), scores(refit, data))


def test_where_nothing_can_be_chosen_and_nothing_was_the_error_says_what_to_give(data, tmp_path):
    with pytest.raises(SettingsError, match=r"nothing to choose epochs and weights by .* config = 'RUN/settings.toml'"):
        train(on_all_events(data), method="ids", settings=SMALL, quiet=True)
    with pytest.raises(SettingsError, match=r"learned from already .split = 'none'.; leave refit out"):
        train(on_all_events(data), method="ids", settings=SMALL, quiet=True, refit=True)
    train(data, method="ids", settings=SMALL, out=tmp_path / "run", quiet=True)
    with pytest.raises(
        SettingsError, match=r"chose with other settings .dim., training.|chose with other settings .dim"
    ):
        train(on_all_events(data), config=tmp_path / "run" / "settings.toml", settings=["dim=16"], quiet=True)
    other = train(on_all_events(data), config=tmp_path / "run" / "settings.toml", seed=7, quiet=True)
    assert other.record.seed == 7


def test_a_finished_refit_is_not_the_run_without_it(data, tmp_path, capsys):
    train(data, method="item-knn", out=tmp_path / "run", quiet=True)
    again = train(data, method="item-knn", out=tmp_path / "run", refit=True, resume=True)
    assert again.record.refit is not None
    assert "there is nothing to resume" not in capsys.readouterr().err
    train(data, method="item-knn", out=tmp_path / "run", refit=True, resume=True)
    assert "there is nothing to resume" in capsys.readouterr().err
