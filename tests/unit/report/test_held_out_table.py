"""The table of held-out items: methods that rank them, and what chance would give."""

import numpy as np
import pytest
from some_runs import make_run

from ssna.report import find, render, result_groups, tables


def figures(level: float, median: float) -> dict:
    return {"R@10": level, "N@10": level / 2, "R@50": 2 * level, "N@50": level, "median": median}


def cold(level: float, median: float) -> dict:
    ranks = {"among": figures(level, median), "all": figures(level / 4, 4 * median)}
    return {"questions": 700, "held_out": 100, "items": 1000, **ranks}


@pytest.fixture
def table(tmp_path):
    """Two methods with figures, and one that cannot add items."""
    make_run(tmp_path / "good", cold=cold(0.4, 20))
    make_run(tmp_path / "bad", cold=cold(0.3, 40))
    make_run(tmp_path / "without")
    return tables("cold", result_groups(find([tmp_path])))[1]


def test_the_table_of_held_out_items_has_a_row_a_method_and_chance(table):
    rows = {row[0]: [cell and cell.value for cell in row[1:]] for row in table.rows}
    assert rows["good"] == [0.4, 0.2, 0.8, 20, 0.1, 0.05, 0.2, 80]
    assert rows["without"] == [None] * 8
    ndcg = (1 / np.log2(np.arange(2, 12))).sum()
    assert rows["chance"] == pytest.approx([0.1, ndcg / 100, 0.5, 50.5, 0.01, ndcg / 1000, 0.05, 500.5])


def test_the_best_on_held_out_items_have_high_recall_and_low_ranks(table):
    good = next(row for row in table.rows if row[0] == "good")
    assert {table.rank(cell) for cell in good[1:]} == {1}
    chance = next(row for row in table.rows if row[0] == "chance")
    assert {table.rank(cell) for cell in chance[1:]} == {None}


def test_what_is_no_better_than_chance_is_not_compared(tmp_path):
    make_run(tmp_path / "good", cold=cold(0.4, 20))
    make_run(tmp_path / "guess", cold=cold(0.005, 100) | {"all": figures(0.001, 600)})
    make_run(tmp_path / "better", cold=cold(0.5, 10))
    table = tables("cold", result_groups(find([tmp_path])))[1]
    ranks = {row[0]: {table.rank(cell) for cell in row[1:]} for row in table.rows}
    assert ranks == {"better": {1}, "good": {2}, "guess": {None}, "chance": {None}}


def test_the_note_says_how_many_users_chose_a_held_out_item(table):
    assert "700 users chose one" in table.notes[0]
    assert "chance" in render([table], "md")


def test_without_held_out_items_there_is_no_such_table(tmp_path):
    make_run(tmp_path / "run")
    assert len(tables("cold", result_groups(find([tmp_path])))) == 1
