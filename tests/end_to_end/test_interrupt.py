"""Ctrl-C in a shell: a line that says what is kept, and 130."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import small_data, ssna

pytestmark = pytest.mark.slow


def interrupted(command: list[object], until) -> tuple[int, str]:
    """The exit code and the last line of standard error, of a process that gets Ctrl-C once ``until()`` holds."""
    words = [sys.executable, "-m", "ssna", *map(str, command)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    begun = time.monotonic()
    while process.poll() is None and time.monotonic() - begun < 100 and not until():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    return process.returncode, said.strip().splitlines()[-1]


def test_training_that_is_interrupted_says_how_to_go_on_and_does(tmp_path: Path) -> None:
    data, checkpoint = small_data(tmp_path), tmp_path / ".run.checkpoint"
    words = ["train", data, "-o", tmp_path / "run", "--method", "ids", "--set", "dim=8", "--quiet", "--set"]
    code, said = interrupted([*words, "training.epochs=5000"], checkpoint.exists)
    assert code == 130
    assert said.startswith("ssna: interrupted; ")
    assert said.endswith(f"is kept in {checkpoint}; to go on, give the same command with --resume")
    assert "Traceback" not in said
    assert ssna(*words, "training.epochs=2", "--resume") == 1  # other settings: the checkpoint is not theirs
    assert ssna(*words, "training.epochs=2") == 0


def test_prepare_that_is_interrupted_leaves_the_old_data_as_they_were(tmp_path: Path) -> None:
    data, log = small_data(tmp_path), tmp_path / "large.csv"
    before = {file.name: file.read_bytes() for file in data.iterdir()}
    with log.open("w") as file:
        file.write("user,item,time\n")
        file.writelines(f"u{row % 90_001},i{row % 997},{row}\n" for row in range(2_000_000))
    begun = time.monotonic()
    words = ["prepare", log, "-o", data, "--missing-text", "id"]
    code, said = interrupted(words, lambda: any(tmp_path.glob(".data*")) and time.monotonic() - begun > 1)
    assert (code, said) == (130, "ssna: interrupted; nothing was written, and nothing that was there is changed")
    assert {file.name: file.read_bytes() for file in data.iterdir()} == before
