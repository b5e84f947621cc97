"""``torchrun -m ssna``: the run and the cache of one process, made by two."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import figures, small_data, ssna
from two_processes import torchrun

from ssna.data import load
from ssna.text import LayerCache
from ssna.text.cache import KEY_BYTES, KEYS

pytestmark = [pytest.mark.long, pytest.mark.fork]
DYING = """
import os, signal
from ssna.training.checkpoint import Checkpoint
begin, write = Checkpoint.__init__, Checkpoint.write
Checkpoint.__init__ = lambda self, path, identity: begin(self, path, identity, 0.0)
left = [9]
def write_or_die(self, *all):
    write(self, *all)
    left[0] -= 1
    if os.environ["RANK"] == "1" and not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
Checkpoint.write = write_or_die
from ssna.cli import main
main()
"""
CHANGES = ("training.epochs=6", "training.batch_size=32", "training.precision=fp32", "sequence.dropout=0.1")
LOSS = ("loss.name=sampled", "distillation.teacher=ease", "distillation.trial_epochs=2")
WORDS = ("--method", "ids", *(f"--set={change}" for change in (*CHANGES, *LOSS)))


@pytest.fixture(scope="module")
def data(tmp_path_factory, distinct_texts) -> Path:
    """Everyone stays within a fourth of the catalogue, which EASE knows at once."""

    def stays(user: int, step: int) -> int:
        return user % 4 * 10 + (user // 4 * 3 + step * 7) % 10

    return small_data(tmp_path_factory.mktemp("several"), distinct_texts(40), stays)


@pytest.fixture(scope="module")
def distributed_run(data, tmp_path_factory) -> tuple[Path, str]:
    """The run of two processes, and what it said."""
    folder = tmp_path_factory.mktemp("shared") / "run"
    done = torchrun("-m", "ssna", "train", data, "-o", folder, *WORDS)
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


def test_two_processes_give_one_run_with_the_curve_of_one_process(data, distributed_run, tmp_path):
    run, said = distributed_run
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    assert ssna("train", data, "-o", tmp_path / "alone", *WORDS, "--quiet") == 0
    (epochs, best, test), (expected, _, _) = figures(run), figures(tmp_path / "alone")
    assert [epoch["loss"] for epoch in epochs] == pytest.approx([epoch["loss"] for epoch in expected], rel=0.02)
    assert [epoch["restarted"] for epoch in epochs] == [epoch["restarted"] for epoch in expected]
    assert [epoch["distilled"] for epoch in epochs] == [epoch["distilled"] for epoch in expected]
    assert sum(epoch["distilled"] for epoch in epochs) > 0
    assert epochs[-1]["loss"] < epochs[2]["loss"] - 0.01
    assert said.count("epoch   1  loss") == said.count("run: ") == 1
    assert json.loads((run / "record.json").read_text())["machine"]["processes"] == 2
    assert 3 <= best <= 8
    assert ssna("evaluate", run, "--json") == 0
    assert test.keys() == {"exclude_seen", "include_seen"}


def test_a_process_that_dies_ends_all_and_as_many_resume_the_run(data, distributed_run, tmp_path, capsys):
    script, run, checkpoint = tmp_path / "dying.py", tmp_path / "run", tmp_path / ".run.checkpoint"
    script.write_text(DYING)
    died = torchrun(script, "train", data, "-o", run, *WORDS)
    assert died.returncode != 0
    assert "distributed.py" not in died.stderr  # torchrun prints a traceback of its own, and we none
    assert {path.name for path in tmp_path.iterdir()} == {script.name, checkpoint.name}
    assert ssna("train", data, "-o", run, *WORDS, "--resume") == 1
    assert "was left by a run with 2 processes" in capsys.readouterr().err
    resumed = torchrun("-m", "ssna", "train", data, "-o", run, *WORDS, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert {path.name for path in tmp_path.iterdir()} == {script.name, run.name}
    assert figures(run) == figures(distributed_run[0])


def test_two_processes_fill_one_cache_with_the_vectors_of_one(data, language_model, tmp_path):
    words = ("encode", data, "--model", language_model, "--dtype", "fp32", "--device", "cpu", "--json")
    done = torchrun("-m", "ssna", *words, "-o", tmp_path / "shared")
    assert done.returncode == 0, done.stderr
    assert ssna(*words, "--quiet", "-o", tmp_path / "alone") == 0
    assert json.loads(done.stdout)["encoded"] == 40
    assert (tmp_path / "shared" / KEYS).stat().st_size == 40 * KEY_BYTES
    texts = load(data).texts
    one, other = (LayerCache.open(tmp_path / name, texts).top(3) for name in ("shared", "alone"))
    np.testing.assert_allclose(one, other, rtol=0, atol=2e-3)
    assert len(np.unique(other[0], axis=0)) == 41
