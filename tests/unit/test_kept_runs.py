"""Kept runs (``benchmarks/results/runs``): whole in their settings, small, and read as the folders that they were."""

import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from some_runs import make_run

from ssna.core.errors import ArtifactError
from ssna.runs import RunRecord
from ssna.runs.record import read_ranks
from ssna.training import RunSettings

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from keep import keep
from kept import KeptRun, read_group, write_group
from report import RUNS

GROUPS = sorted(path.stem for path in RUNS.glob("*.json"))


@pytest.mark.parametrize("group", GROUPS)
def test_settings_of_kept_runs_are_written_out_and_known(group: str) -> None:
    for path, run in read_group(RUNS / group).items():
        record = RunRecord(**run.record)
        assert RunSettings.parse(record.settings, path).tree() == record.settings
        assert len(run.ranks["history"]) == record.users


def test_kept_runs_take_at_most_25_files_and_9_megabytes() -> None:
    files = [path for path in RUNS.rglob("*") if path.is_file()]
    assert len(files) <= 25
    assert sum(path.stat().st_size for path in files) <= 9e6


def test_a_kept_run_unpacks_to_the_folder_that_it_was(tmp_path: Path) -> None:
    runs = {
        "a/ssna-0": make_run(tmp_path / "runs" / "a" / "ssna-0", seed=0, users=40),
        "b/ssna-0": make_run(tmp_path / "runs" / "b" / "ssna-0", seed=0, users=7, fingerprint="beef"),
    }
    assert keep(tmp_path / "runs", tmp_path / "group") == 2
    for path, run in read_group(tmp_path / "group").items():
        run.unpack(tmp_path / "unpacked" / path)
        assert asdict(RunRecord.read(tmp_path / "unpacked" / path)) == asdict(RunRecord.read(runs[path].path))
        before, after = (read_ranks(folder, "test") for folder in (runs[path].path, tmp_path / "unpacked" / path))
        assert all(before[name].to_pylist() == after[name].to_pylist() for name in before.column_names)


def test_ranks_with_seen_items_included_come_back_below_and_above_those_without(tmp_path: Path) -> None:
    run = KeptRun.of(make_run(tmp_path / "run").path)
    included = run.ranks["rank_exclude_seen"] + np.resize([-1, 0, 300], len(run.ranks["rank_exclude_seen"]))
    write_group(tmp_path / "group", {"run": replace(run, ranks=run.ranks | {"rank_include_seen": included})})
    found = read_group(tmp_path / "group")["run"].ranks
    assert np.array_equal(found["rank_include_seen"], included)
    assert np.array_equal(found["rank_exclude_seen"], run.ranks["rank_exclude_seen"])


def test_keeping_adds_to_a_group_and_replaces_a_run_of_the_same_path(tmp_path: Path) -> None:
    history, events = [3] * 40, [5] * 40
    for batch, names in enumerate((("one", "two"), ("two", "three"))):
        for name in names:
            folder = tmp_path / str(batch) / name
            make_run(folder, level=0.1 * (batch + 1), history=history, events=events)
        keep(tmp_path / str(batch), tmp_path / "group")
    levels = {name: run.record["test"]["exclude_seen"]["R@10"] for name, run in read_group(tmp_path / "group").items()}
    assert levels == {"one": 0.1, "three": 0.2, "two": 0.2}


def test_runs_that_rank_different_users_of_one_data_set_are_not_kept_together(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "one", history=[3] * 40)
    make_run(tmp_path / "runs" / "two", history=[4] * 40)
    with pytest.raises(ArtifactError, match="two ranks other users"):
        keep(tmp_path / "runs", tmp_path / "group")


def test_the_folder_of_a_language_model_is_not_kept(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "one", model="/somewhere/models/tiny")
    keep(tmp_path / "runs", tmp_path / "group")
    assert read_group(tmp_path / "group")["one"].record["cache"]["model"] == "tiny"
