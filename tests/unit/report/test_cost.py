"""Tables of time and memory: what is counted, what is extrapolated, and which machines are compared."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from some_runs import an_epoch, group_of, make_run, notes_of, values

from ssna.report import TABLES
from ssna.report.groups import ResultGroup
from ssna.report.table import Figure
from ssna.runs import RunRecord


def rewrite(folder: Path, **changes: Any) -> None:
    """Change the record of a run."""
    replace(RunRecord.read(folder), **changes).write(folder)


def epoch(seconds: float, batches: int = 10) -> dict[str, Any]:
    return an_epoch(1, 1.0, seconds, batches, 0.1)


def test_seconds_an_epoch_do_not_count_the_first_epoch_and_the_least_are_the_best(tmp_path: Path) -> None:
    runs = {"slow": [epoch(90), epoch(20), epoch(22)], "quick": [epoch(12)]}
    for name, epochs in runs.items():
        run = make_run(tmp_path / name, batches=10, best_epoch=1, seconds=100.0)
        rewrite(run.path, epochs=epochs)
    (table,) = TABLES["runtime"]([group_of(tmp_path)])
    assert values(table, "slow") == [10, 21.0, 1, 3, 100.0]
    assert values(table, "quick") == [10, 12.0, 1, 1, 100.0]
    assert table.rank(next(row for row in table.rows if row[0] == "quick")[2]) == 1


def test_an_epoch_cut_short_is_extrapolated_marked_and_explained(tmp_path: Path) -> None:
    run = make_run(tmp_path / "lora", method="lora", batches=1000)
    rewrite(run.path, epochs=[epoch(9, 50), epoch(3, 50)])
    (table,) = TABLES["runtime"]([group_of(tmp_path)])
    figure = table.rows[0][2]
    assert isinstance(figure, Figure)
    assert (figure.value, figure.mark) == (60.0, "≈")
    assert "≈ lora: extrapolated from 50 of 1,000 batches an epoch" in notes_of(table)


def test_a_run_that_restarted_with_a_teacher_says_so_beneath_its_epochs(tmp_path: Path) -> None:
    make_run(tmp_path / "plain")
    run = make_run(tmp_path / "distilled", settings={"distillation": {"teacher": "ease"}})
    epochs = [one | {"restarted": one["number"] == 2} for one in run.record.epochs]
    rewrite(run.path, epochs=epochs)
    (table,) = TABLES["runtime"]([group_of(tmp_path)])
    assert "distilled: restarted after a trial without a teacher, whose epochs and seconds count." in notes_of(table)
    assert "plain: restarted" not in notes_of(table)


def test_a_training_free_method_has_a_total_time_only(group: ResultGroup) -> None:
    (table,) = TABLES["runtime"]([group])
    assert values(table, "popularity") == [None, None, None, None, 0.3]


def test_entries_of_different_machines_are_warned_of_and_not_compared(tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    another = {"processor": "another", "threads": 8, "device": "NVIDIA H100", "processes": 4}
    make_run(tmp_path / "b", machine=another)
    for name in ("runtime", "memory"):
        (table,) = TABLES[name]([group_of(tmp_path)])
        assert "Warning: measured on different machines" in notes_of(table)
        assert "b on another, threads: 8, device NVIDIA H100, 4 processes." in notes_of(table)
        assert {table.rank(figure) for figure in table.figures()} == {None}


def test_memory_says_which_memory_it_is(tmp_path: Path) -> None:
    make_run(tmp_path / "a", peak_memory_bytes=10**9, trainable_parameters=5)
    gpu = {"processor": "p", "threads": 1, "device": "NVIDIA H100"}
    make_run(tmp_path / "b", peak_memory_bytes=2 * 10**9, machine=gpu)
    (table,) = TABLES["memory"]([group_of(tmp_path)])
    assert values(table, "a") == [10**9, "process", 5]
    assert values(table, "b") == [2 * 10**9, "device", 1000]
    assert "above what it held at the start of the run" in notes_of(table)


def test_memory_of_training_free_methods_is_noise_and_not_shown(group: ResultGroup) -> None:
    (table,) = TABLES["memory"]([group])
    assert values(table, "popularity") == [None, None, 1000]
    ranks = {row[0]: table.rank(row[1]) for row in table.rows if isinstance(row[1], Figure)}
    assert ranks == {"ssna": 1, "tmlp": 1}
