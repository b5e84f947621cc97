"""A run that is killed and resumed is the run that was never killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import figures, small_data, ssna

from ssna.core.files import write_json

pytestmark = pytest.mark.slow

SLOWLY = """
import sys
from ssna.training import checkpoint
every = checkpoint.Checkpoint.__init__
checkpoint.Checkpoint.__init__ = lambda self, path, identity: every(self, path, identity, 0.0)
from ssna.cli import main
main()
"""
SETTINGS = (
    *("training.epochs=6", "training.batch_size=32", "training.lr_schedule=cosine", "training.weight_decay=0.1"),
    *("loss.name=sampled", "distillation.teacher=ease"),
)
WORDS = ("--method", "ids", *(f"--set={setting}" for setting in SETTINGS))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_data(tmp_path_factory.mktemp("logs"))


def killed(command: list[str], checkpoint: Path, writes: int) -> None:
    """Run a command, and kill it once it has written its checkpoint so many times."""
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    seen, last = 0, None
    while seen < writes and process.poll() is None:
        now = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
        seen, last = seen + (now != last), now
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.long
@pytest.mark.fork
def test_a_run_killed_twice_and_resumed_is_the_unbroken_one(data, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    checkpoint = tmp_path / ".broken.checkpoint"
    subprocess.run([sys.executable, "-m", "ssna", "train", data, "-o", whole, *WORDS], check=True)
    command = [sys.executable, "-c", SLOWLY, "train", str(data), "-o", str(broken), *WORDS]
    killed(command, checkpoint, 5)
    assert checkpoint.exists()
    assert not broken.exists()
    killed([*command, "--resume"], checkpoint, 6)
    assert checkpoint.exists()
    subprocess.run([sys.executable, "-m", "ssna", "train", data, "-o", broken, *WORDS, "--resume"], check=True)
    assert not checkpoint.exists()
    assert figures(broken) == figures(whole)
    for file in sorted((whole / "model").rglob("*.safetensors")):
        assert (broken / file.relative_to(whole)).read_bytes() == file.read_bytes()


@pytest.mark.long
@pytest.mark.fork
def test_a_checkpoint_of_other_settings_is_not_resumed_from(data, tmp_path, capsys):
    run, checkpoint = tmp_path / "run", tmp_path / ".run.checkpoint"
    killed([sys.executable, "-c", SLOWLY, "train", str(data), "-o", str(run), *WORDS], checkpoint, 3)
    assert ssna("train", data, "-o", run, *WORDS, "--seed", 1, "--resume") != 0
    assert "run with other settings" in capsys.readouterr().err
    assert ssna("train", data, "-o", run, "--method", "ids", "--set", "training.epochs=1") == 0
    assert not checkpoint.exists()


def test_a_damaged_checkpoint_is_named(data, tmp_path, capsys):
    checkpoint = tmp_path / ".run.checkpoint"
    write_json(checkpoint, {"not": "tensors"})
    assert ssna("train", data, "-o", tmp_path / "run", *WORDS, "--resume") != 0
    message = capsys.readouterr().err
    assert str(checkpoint) in message
    assert "delete it" in message


@pytest.mark.long
@pytest.mark.fork
def test_a_warm_started_run_resumes_from_its_checkpoint(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as in killed: sums on other numbers of threads round otherwise
    first, whole, broken = tmp_path / "first", tmp_path / "whole", tmp_path / "broken"
    assert ssna("train", data, "-o", first, *WORDS, "--seed", 3, "--quiet") == 0
    warm = (*WORDS, "--init-from", str(first))
    subprocess.run([sys.executable, "-m", "ssna", "train", data, "-o", whole, *warm, "--quiet"], check=True)
    killed(
        [sys.executable, "-c", SLOWLY, "train", str(data), "-o", str(broken), *warm], tmp_path / ".broken.checkpoint", 5
    )
    assert ssna("train", data, "-o", broken, *WORDS, "--resume") != 0
    assert "run with other initial weights" in capsys.readouterr().err
    subprocess.run([sys.executable, "-m", "ssna", "train", data, "-o", broken, *warm, "--resume"], check=True)
    assert figures(broken) == figures(whole)
    assert (broken / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


@pytest.mark.long
def test_a_run_may_replace_the_one_it_was_warm_started_from(data, tmp_path):
    words = ("train", data, "-o", tmp_path / "run", *WORDS, "--quiet")
    assert ssna(*words) == 0
    assert ssna(*words, "--init-from", tmp_path / "run") == 0
    assert json.loads((tmp_path / "run/record.json").read_text())["init_from"]["run"] == "run"


def test_a_finished_run_is_not_trained_again_when_it_is_resumed(data, tmp_path, capsys):
    words = ("train", data, "-o", tmp_path / "run", "--method", "ids", "--set", "training.epochs=1")
    assert ssna(*words) == 0
    stamp = (tmp_path / "run/record.json").stat().st_mtime_ns
    capsys.readouterr()
    assert ssna(*words, "--resume") == 0
    said = capsys.readouterr().err
    assert f"{tmp_path}/run holds this run, finished: there is nothing to resume" in said
    assert "epoch   1" not in said
    assert "replaced" not in said
    assert (tmp_path / "run/record.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("other", ["settings", "data", "init_from"])
def test_a_finished_run_of_another_kind_is_replaced_though_resume_is_given(data, tmp_path, capsys, other):
    words = ("-o", tmp_path / "run", "--method", "ids", "--set", "training.epochs=1", "--resume")
    assert ssna("train", data, *words) == 0
    if other == "data":
        log = [("user,item,timestamp,title\n"), *(f"u{n % 9},i{n % 7},{n},thing {n % 7}\n" for n in range(60))]
        (tmp_path / "log.csv").write_text("".join(log))
        assert ssna("prepare", tmp_path / "log.csv", "-o", tmp_path / "other", "--quiet") == 0
        data = tmp_path / "other"
    changed = {"settings": ("--seed", 1), "data": (), "init_from": ("--init-from", tmp_path / "run")}[other]
    capsys.readouterr()
    assert ssna("train", data, *words, *changed) == 0
    said = capsys.readouterr().err
    assert "holds a run of ids; it will be replaced" in said
    assert "nothing to resume" not in said


@pytest.mark.long
@pytest.mark.fork
def test_a_run_is_resumed_though_an_earlier_one_of_its_settings_was_finished(data, tmp_path):
    command = [sys.executable, "-c", SLOWLY, "train", str(data), "-o", str(tmp_path / "run"), *WORDS]
    assert ssna("train", data, "-o", tmp_path / "run", *WORDS, "--quiet") == 0
    stamp = (tmp_path / "run/record.json").stat().st_mtime_ns
    killed(command, tmp_path / ".run.checkpoint", 3)
    assert (tmp_path / ".run.checkpoint").exists()
    assert ssna("train", data, "-o", tmp_path / "run", *WORDS, "--resume", "--quiet") == 0
    assert (tmp_path / "run/record.json").stat().st_mtime_ns > stamp
