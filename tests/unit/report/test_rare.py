"""New and rare items beside the accuracy of all: which rows there are, and which figures are compared."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from some_runs import column, group_of, make_run, notes_of

from ssna.report import TABLES, all_tables, find, page, render, result_groups, tables
from ssna.report.groups import ResultGroup
from ssna.report.table import Table
from ssna.runs.record import RANKS

BINS = {"events": [0] * 60 + [3] * 55 + [7] * 5, "history": [4] * 120}
SECOND = 1 / np.log2(3)
"""The gain of the second place."""


def cold(level: float, questions: int = 700) -> dict[str, Any]:
    among = {"R@10": 0.5, "N@10": 0.5, "R@50": 0.9, "N@50": 0.6, "median": 9}
    ranks = {"among": among, "all": among | {"N@10": level}, "old": among}
    return {"cold": {"questions": questions, "held_out": 100, "items": 1000, **ranks}}


def table_of(folder: Path) -> Table:
    """The second one of ``compare``."""
    found = TABLES["accuracy"]([group_of(folder)])[1]
    assert found.title.startswith("New and rare items on ")
    return found


def ranks_of(table: Table, row: int) -> list[int | None]:
    return [table.rank(cell) for cell in table.rows[row][3:]]


def test_new_and_rare_targets_have_a_row_each_with_their_users_and_a_column_an_entry(tmp_path: Path) -> None:
    make_run(tmp_path / "good", ranks=[2] * 60 + [1] * 60, **BINS)
    make_run(tmp_path / "bad", ranks=[50] * 60 + [2] * 60, **BINS)
    table = table_of(tmp_path)
    assert table.head == ("metric", "training events of the target", "users", "bad", "good")
    assert [row[:2] for row in table.rows] == [("N@10", "0 (cold)"), ("N@10", "1–5")]
    assert column(table, "users") == [60, 55]
    assert column(table, "good") == pytest.approx([SECOND, 1])
    assert column(table, "bad") == pytest.approx([0, SECOND])
    assert [ranks_of(table, row) for row in (0, 1)] == [[None, 1], [2, 1]]


def test_new_items_are_those_held_out_where_runs_ranked_them(tmp_path: Path) -> None:
    known = {"ranks": [1] * 120, **BINS}
    for name, more in {"a": cold(0.2), "b": cold(0.3), "without": {}}.items():
        make_run(tmp_path / name, **known, **more)
    table = table_of(tmp_path)
    assert [cell and cell.value for cell in table.rows[0][2:]] == [700, 0.2, 0.3, None]
    assert ranks_of(table, 0) == [2, 1, None]
    assert "100 items held out of training, ranked by their texts among all 1,000" in notes_of(table)
    assert column(table, "without") == [None, 1]


def test_held_out_items_are_a_mean_over_seeds_and_chance_is_not_called_best(tmp_path: Path) -> None:
    for seed, level in enumerate((0.2, 0.4)):
        make_run(tmp_path / f"ssna-{seed}", seed=seed, ranks=[1] * 120, **BINS, **cold(level))
    make_run(tmp_path / "guess", method="popularity", model=None, ranks=[1] * 120, **BINS, **cold(0.001))
    make_run(tmp_path / "linear", method="text-linear", ranks=[1] * 120, **BINS, **cold(0.1))
    table = table_of(tmp_path)
    assert table.head[3:] == ("guess", "linear", "ssna")
    figure = table.rows[0][5]
    assert (figure.value, figure.deviation) == pytest.approx((0.3, np.std([0.2, 0.4], ddof=1)))
    assert ranks_of(table, 0) == [None, 2, 1]


def test_few_users_decide_nothing(tmp_path: Path) -> None:
    few = {"events": [3] * 49 + [90] * 71, "history": [4] * 120}
    make_run(tmp_path / "good", ranks=[1] * 120, **few, **cold(0.4, questions=49))
    make_run(tmp_path / "bad", ranks=[2] * 120, **few, **cold(0.2, questions=49))
    table = table_of(tmp_path)
    assert column(table, "users") == [49, 49]
    assert [ranks_of(table, row) for row in (0, 1)] == [[None, None], [None, None]]


def test_a_dry_run_has_figures_of_new_and_rare_items_that_are_not_compared(tmp_path: Path) -> None:
    make_run(tmp_path / "good", ranks=[1] * 120, **BINS)
    make_run(tmp_path / "other", ranks=[2] * 120, **BINS)
    make_run(tmp_path / "short", ranks=[1] * 120, settings={"dry_run": True}, **BINS)
    table = table_of(tmp_path)
    assert table.head[3:] == ("good", "other", "short ‡")
    assert ranks_of(table, 1) == [1, 2, None]


def test_without_new_and_rare_targets_there_is_no_such_table(tmp_path: Path) -> None:
    make_run(tmp_path / "run", events=[9] * 40)
    assert [table.title.split(" on ")[0] for table in TABLES["accuracy"]([group_of(tmp_path)])] == [
        "Accuracy",
        "Beyond accuracy",
    ]


def test_a_run_without_ranks_is_named_and_takes_no_other_with_it(tmp_path: Path) -> None:
    make_run(tmp_path / "whole", ranks=[1] * 120, **BINS)
    (make_run(tmp_path / "damaged", ranks=[1] * 120, **BINS).path / RANKS).unlink()
    table = table_of(tmp_path)
    assert column(table, "whole") == [1, 1]
    assert column(table, "damaged") == [None, None]
    assert "damaged has no figures by training events: " in notes_of(table)


def test_the_page_has_new_and_rare_items_too(tmp_path: Path) -> None:
    make_run(tmp_path / "run", ranks=[1] * 120, **BINS, **cold(0.25))
    groups = result_groups(find([tmp_path]))
    written = page(groups, all_tables(groups))
    assert "New and rare items on scientific" in written
    assert ".2500" in written


def test_the_papers_figures_leave_new_and_rare_items_alone_even_where_a_data_set_has_none(tmp_path: Path) -> None:
    make_run(tmp_path / "a", ranks=[1] * 120, **BINS)
    make_run(tmp_path / "b", fingerprint="beef", data={"name": "Pantry"}, events=[9] * 40)
    groups: list[ResultGroup] = result_groups(find([tmp_path]))
    plain, paper = (tables("accuracy", groups, paper=wanted) for wanted in (False, True))
    assert len(plain) == 5
    assert paper[1] == plain[1]
    assert "paper" in render([paper[3]], "text")
