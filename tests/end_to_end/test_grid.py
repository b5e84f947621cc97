"""Grids through the command line: skipped when finished, resumed after a kill, shared by processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import ssna

from ssna.data.storage import save
from ssna.runs.record import RECORD

pytestmark = [pytest.mark.long, pytest.mark.fork]
GRID = """
title = "small"
more_seeds = [0, 1]
settings = { "dim" = 16, "sequence.ffn_dim" = 16, "training.epochs" = 4, "training.batch_size" = 32 }
[[data]]
name = "A"
folder = "data/A"
[[data]]
name = "B"
folder = "data/B"
[[entries]]
name = "ids"
method = "ids"
grid = { "training.learning_rate" = [1e-3, 3e-3, 1e-2], "sequence.num_layers" = [1, 2] }
[[entries]]
name = "item-knn"
method = "item-knn"
more_seeds = []
"""
RUNS = 2 * (3 * 2 + 1 + 1)  # configurations, item-knn, another seed of the best configuration; on both data sets


@pytest.fixture(scope="module")
def root(tmp_path_factory, random_data) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    (folder / "data").mkdir()
    for seed, name in enumerate("AB"):
        save(random_data(seed, users=100, items=60), folder / "data" / name)
    (folder / "grid.toml").write_text(GRID)
    return folder


@pytest.fixture(scope="module")
def unbroken(root: Path) -> Path:
    assert run(root, "unbroken") == 0
    return root / "unbroken"


def run(root: Path, out: str, *more: str) -> int:
    words = ["grid", str(root / "grid.toml"), "-o", str(root / out), "--root", str(root), "--quiet", *more]
    return ssna(*words)


def start(root: Path, out: str) -> subprocess.Popen[str]:
    words = ["grid", str(root / "grid.toml"), "-o", str(root / out), "--root", str(root)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "ssna", *words], stderr=subprocess.PIPE, text=True, env=alone)


def records(folder: Path) -> dict[str, int]:
    """Finished runs, and when each was finished."""
    found = [path for path in folder.rglob(RECORD) if not any(part.startswith(".") for part in path.parts)]
    return {str(path.parent.relative_to(folder)): path.stat().st_mtime_ns for path in found}


def started(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith(("A/", "B/"))]


def table(folder: Path, file: Path) -> str:
    assert ssna("compare", str(folder), "--format", "csv", "--out", str(file)) == 0
    return file.read_text()


def test_a_grid_makes_one_folder_a_run(unbroken: Path) -> None:
    assert len(records(unbroken)) == RUNS
    assert "A/ids/learning_rate=0.001,num_layers=1,seed=0" in records(unbroken)
    seconds = [name for name in records(unbroken) if name.startswith("A/ids/") and name.endswith("seed=1")]
    assert len(seconds) == 1


def test_the_configuration_with_more_seeds_is_the_best_on_validation(unbroken: Path) -> None:
    from ssna.runs import RunRecord

    for data in "AB":
        runs = [RunRecord.read(path) for path in (unbroken / data / "ids").iterdir()]
        first = [record for record in runs if record.seed == 0]
        best = max(record.valid["exclude_seen"]["R@10"] for record in first)
        again = next(record for record in runs if record.seed == 1)
        twin = next(record for record in first if record.grid == again.grid)
        assert twin.valid["exclude_seen"]["R@10"] == best


def test_a_finished_grid_runs_nothing(root: Path, unbroken: Path) -> None:
    before = records(unbroken)
    assert run(root, "unbroken") == 0
    assert records(unbroken) == before


def test_a_killed_grid_resumes_in_two_processes_that_do_no_run_twice(root: Path, unbroken: Path) -> None:
    killed = start(root, "killed")
    deadline = time.monotonic() + 120
    while len(records(root / "killed")) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = records(root / "killed")
    assert 3 <= len(before) < RUNS
    pair = [start(root, "killed") for _ in range(2)]
    said = [process.communicate(timeout=300)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    after = records(root / "killed")
    assert set(after) == set(records(unbroken))
    assert {name: after[name] for name in before} == before  # none repeated
    runs = [line for stderr in said for line in started(stderr)]
    assert sorted(runs) == sorted(set(after) - set(before))  # the others once, by one of the two
    assert all(started(stderr) for stderr in said)
    left = [path for path in (root / "killed").rglob(".*") if path.is_dir() and path.name != ".claims"]
    assert left == []
    assert table(root / "killed", root / "killed.csv") == table(unbroken, root / "unbroken.csv")


def test_a_folder_with_runs_of_other_settings_is_refused(root: Path, unbroken: Path, capsys) -> None:
    assert run(root, "unbroken", "--dry-run") == 1
    message = capsys.readouterr().err
    assert "was run with other settings; give another -o" in message


def test_a_missing_data_set_is_named_before_anything_runs(root: Path, capsys) -> None:
    (root / "other.toml").write_text(GRID.replace("data/B", "data/C"))
    assert ssna("grid", str(root / "other.toml"), "-o", str(root / "other"), "--root", str(root)) == 1
    assert "data/C does not exist; name a folder that `ssna prepare` made" in capsys.readouterr().err
    assert records(root / "other") == {}


def test_a_run_that_fails_does_not_stop_the_others(root: Path, capsys) -> None:
    broken = GRID.replace("[1e-3, 3e-3, 1e-2]", "[1e-3, 1e30]").replace("more_seeds = [0, 1]", "more_seeds = [0]")
    (root / "broken.toml").write_text(broken)
    words = ["grid", str(root / "broken.toml"), "-o", str(root / "broken"), "--root", str(root), "--only", "A"]
    assert ssna(*words) == 1
    message = capsys.readouterr().err
    assert "FAILED" in message
    assert "2 of 5 runs failed" in message
    assert len(records(root / "broken")) == 3


def test_the_plan_names_every_run_and_runs_none(root: Path, capsys) -> None:
    assert ssna("grid", str(root / "grid.toml"), "-o", str(root / "none"), "--root", str(root), "--plan") == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 14
    assert "to do   A/ids/learning_rate=0.001,num_layers=1,seed=0" in said.out.splitlines()
    assert said.err == "0 done, 0 running, 14 to do, 2 more when best configurations are known\n"
    assert not (root / "none").exists()


def test_the_plan_of_a_finished_grid_counts_its_runs_as_done(root: Path, unbroken: Path, capsys) -> None:
    assert run(root, "unbroken", "--plan") == 0
    said = capsys.readouterr()
    assert [line[:8] for line in said.out.splitlines()] == ["done    "] * RUNS
    assert said.err == f"{RUNS} done, 0 running, 0 to do\n"


def test_the_plan_reports_what_is_missing_and_lists_the_runs_all_the_same(root: Path, capsys) -> None:
    (root / "other.toml").write_text(GRID.replace("data/B", "data/C"))
    assert ssna("grid", root / "other.toml", "-o", root / "other", "--root", root, "--plan") == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 14
    assert said.err.count("problem: data set B: ") == 1


def test_dry_runs_say_so_in_the_table(root: Path) -> None:
    assert run(root, "dry", "--dry-run", "--only", "A") == 0
    np.testing.assert_equal("dry run" in table_text(root / "dry", root / "dry.md"), True)


def table_text(folder: Path, file: Path) -> str:
    assert ssna("compare", str(folder), "--format", "md", "--out", str(file)) == 0
    return file.read_text()
