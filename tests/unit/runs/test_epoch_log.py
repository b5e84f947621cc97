"""What a run says while it trains."""

from collections.abc import Callable

import pytest
from small_training import SMALL

from ssna.data.dataset import Dataset
from ssna.runs import epoch_log, train
from ssna.training import Epoch, Step, distillation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(random_data: Callable[..., Dataset]) -> Dataset:
    return random_data(seed=2)


def test_the_line_of_an_epoch_says_that_training_restarted(data, capsys, monkeypatch):
    monkeypatch.setattr(distillation, "validation_metrics", lambda *_: {"N@10": 2.0})
    train(data, method="ids", settings=[*SMALL, "distillation.teacher=ease", "distillation.trial_epochs=1"])
    lines = capsys.readouterr().err.splitlines()
    assert ["restarted  distilled" in line for line in lines] == [False, True, False]
    assert "restarted" not in lines[2]


def test_the_line_of_an_epoch_says_that_it_was_distilled(data, capsys):
    train(data, method="ids", settings=[*SMALL, "distillation.teacher=ease", "training.epochs=1"])
    assert "  distilled" in capsys.readouterr().err
    train(data, method="ids", settings=[*SMALL, "training.epochs=1"])
    assert "distilled" not in capsys.readouterr().err


def test_a_terminal_has_a_progress_bar_below_the_lines_of_epochs(data, capsys, monkeypatch):
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


def test_a_file_gets_a_line_a_minute_while_an_epoch_lasts(data, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    train(data, method="ids", settings=SMALL)
    assert "%" not in capsys.readouterr().err
    monkeypatch.setattr(epoch_log, "MINUTE", 0.0)
    train(data, method="ids", settings=[*SMALL, "training.limit_train_batches=4"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[:4] == [f"epoch   1  {share}%" for share in (25, 50, 75, 100)]
    train(data, method="ids", settings=SMALL, quiet=True)
    assert capsys.readouterr().err == ""


def test_lines_about_parts_of_epochs_do_not_delay_those_of_whole_epochs(capsys, monkeypatch):
    """A grid has a line a minute about epochs, and a file one about a part of one."""
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    monkeypatch.setattr(epoch_log.time, "perf_counter", lambda: float(next(clock)))
    with epoch_log.epoch_reports(None, 9, quiet=False, pause=60.0) as report:
        for number in range(1, 5):
            for done in (1, 2, 3):
                report.step(Step(number, done, 3, 1.0, number - 1 + done / 3))
            report.epoch(Epoch(number, 1.0, 75.0, 3, {"N@10": 0.1}), False)
    said = [line.split("  ")[2] for line in capsys.readouterr().err.splitlines()]
    assert sum("loss" in part for part in said) == 4
    assert sum("%" in part for part in said) >= 2


def test_a_quiet_run_prints_nothing(data, capfd):
    train(data, method="ids", settings=SMALL, quiet=True)
    assert capfd.readouterr() == ("", "")


def test_epochs_are_reported_on_standard_error_alone(data, capfd):
    train(data, method="ids", settings=SMALL)
    out, err = capfd.readouterr()
    assert (out, err.count("epoch")) == ("", 2)
