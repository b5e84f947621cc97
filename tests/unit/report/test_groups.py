"""Groups of runs: what is one entry, and the best configuration of each."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from some_runs import MODEL, POLICIES, column, group_of, make_run, of_grid

from ssna.core.errors import ArtifactError
from ssna.report import TABLES, find, overall, result_groups


def test_the_note_names_the_metric_that_chose_the_best_configuration(tmp_path: Path) -> None:
    for batch, level in ((64, 0.1), (128, 0.3), (256, 0.2)):
        settings = {"training": {"batch_size": batch}}
        grid = of_grid("ssna", **{"training.batch_size": batch})
        make_run(tmp_path / str(batch), level=level, settings=settings, **grid)
    table = overall(group_of(tmp_path))
    assert column(table, "seen excluded\nR@10") == [0.3]
    assert "Settings chosen by validation R@10 (seen excluded): ssna from 3." in table.notes


def test_the_best_configuration_is_chosen_by_the_monitor_of_training(tmp_path: Path) -> None:
    for name, ndcg in (("high recall", 0.1), ("high ndcg", 0.2)):
        settings = {"training": {"monitor": "N@10+N@50", "batch_size": 64 if name == "high recall" else 128}}
        valid = {policy: {"R@10": 0.3 - ndcg, "N@10": ndcg, "N@50": ndcg} for policy in POLICIES}
        make_run(tmp_path / name, settings=settings, valid=valid, **of_grid("ssna", name=name))
    (entry,) = group_of(tmp_path).entries
    assert entry.configuration == {"name": "high ndcg"}
    assert "Settings chosen by validation N@10+N@50 (seen excluded): ssna from 2." in overall(group_of(tmp_path)).notes


@pytest.mark.parametrize(
    ("folders", "name"),
    [
        (("best-0", "best-1", "best-12"), "best"),
        (("a/best", "b/best", "c/best"), "best"),
        (("0", "1", "2"), "ssna"),
        (("first", "then", "last"), "ssna"),
    ],
)
def test_runs_of_no_grid_that_differ_in_the_seed_alone_are_one_entry(
    tmp_path: Path, folders: tuple[str, ...], name: str
) -> None:
    for seed, folder in enumerate(folders):
        make_run(tmp_path / folder, seed=seed, level=0.1 + seed / 10)
    make_run(tmp_path / "other", method="tmlp")
    (found,) = result_groups(find([tmp_path]))
    seeds = {entry.name: [run.record.seed for run in entry.runs] for entry in found.entries}
    assert seeds == {name: [0, 1, 2], "other": [0]}


@pytest.mark.parametrize(
    "more",
    [
        {"seed": 0},
        {"seed": 1, "settings": {"dim": 8}},
        {"seed": 1, "cache": {"model": MODEL, "revision": "0" * 40, "pooling": "cls"}},
        {"seed": 1, "init_from": {"run": "before", "fingerprint": "beef", "weights": "0", "known": 1}},
    ],
)
def test_runs_of_no_grid_that_differ_in_more_or_nothing_are_two_entries(tmp_path: Path, more: dict[str, Any]) -> None:
    make_run(tmp_path / "best-0")
    make_run(tmp_path / "best-1", **more)
    (found,) = result_groups(find([tmp_path]))
    assert [entry.name for entry in found.entries] == ["best-0", "best-1"]


def test_two_entries_of_seeds_whose_folders_are_called_alike_are_told_apart(tmp_path: Path) -> None:
    for seed, dim in itertools.product((0, 1), (8, 16)):
        make_run(tmp_path / f"{dim}" / f"best-{seed}", seed=seed, settings={"dim": dim})
    (found,) = result_groups(find([tmp_path]))
    assert [entry.name for entry in found.entries] == [str(tmp_path / "16" / "best-0"), str(tmp_path / "8" / "best-0")]
    assert [len(entry.runs) for entry in found.entries] == [2, 2]


def test_runs_of_no_grid_are_not_taken_for_those_of_a_grid_that_are_called_alike(tmp_path: Path) -> None:
    make_run(tmp_path / "grid", level=0.1, **of_grid("best"))
    for seed in (0, 1):
        make_run(tmp_path / f"best-{seed}", seed=seed, level=0.9, settings={"dim": 8})
    (found,) = result_groups(find([tmp_path]))
    assert {entry.name: len(entry.runs) for entry in found.entries} == {"best": 1, str(tmp_path / "best-0"): 2}


def test_best_settings_have_a_column_an_entry_and_setting(tmp_path: Path) -> None:
    for entry, configuration in {
        "tmlp": {"method.depth": 3, "training.batch_size": 256},
        "lora": {"dropout": 0.1},
    }.items():
        make_run(tmp_path / entry, **of_grid(entry, **configuration))
    make_run(tmp_path / "pantry", fingerprint="beef", data={"name": "pantry"}, **of_grid("lora", dropout=0.3))
    (table,) = TABLES["best-settings"](result_groups(find([tmp_path])))
    assert table.head == ("data", "model", "lora\ndropout", "tmlp\nmethod.depth", "tmlp\ntraining.batch_size")
    assert table.rows == (
        ("scientific", "distilbert-base-uncased", "0.1", "3", "256"),
        ("pantry", "distilbert-base-uncased", "0.3", None, None),
    )


def test_runs_that_do_not_exist_are_not_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="absent does not exist"):
        find([tmp_path / "absent"])
