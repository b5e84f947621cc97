"""The table and the plot of new items against old ones."""

from typing import Any

import numpy as np
import pytest
from some_runs import make_run

from ssna.core.errors import ArtifactError
from ssna.report import find, result_groups, tables
from ssna.report.new_items import points
from ssna.report.plots import new_items, render


def figures(level: float) -> dict[str, float]:
    return {"R@10": 2 * level, "N@10": level, "R@50": 4 * level, "N@50": 2 * level, "median": 10}


def cold(new: float, old: float, **raised: tuple[float, float]) -> dict[str, Any]:
    """``raised``: ``by_1=(new, old)``."""
    steps = [{"new_items": float(name[3:]), "all": figures(a), "old": figures(b)} for name, (a, b) in raised.items()]
    ranks = {"among": figures(0.5), "all": figures(new), "old": figures(old)}
    return {"questions": 700, "held_out": 100, "items": 1000, **ranks, "raised": steps}


@pytest.fixture
def group(tmp_path):
    """One with a dial, of two seeds, the second of which knows fewer steps; one without; one that admits nothing."""
    make_run(tmp_path / "dial-0", level=0.2, cold=cold(0.02, 0.08, by_1=(0.04, 0.05), by_2=(0.06, 0.01)))
    make_run(tmp_path / "dial-1", seed=1, level=0.2, cold=cold(0.03, 0.09, by_1=(0.05, 0.06)))
    make_run(tmp_path / "plain", method="text-knn", level=0.1, cold=cold(0.045, 0.05))
    make_run(tmp_path / "without", method="ids", level=0.1)
    return result_groups(find([tmp_path]))[0]


def test_the_table_has_a_row_for_each_time_new_items_are_raised_and_what_it_costs(group):
    (table,) = tables("new-items", [group])
    rows = {row[:2]: [cell.value for cell in row[2:]] for row in table.rows}
    assert list(rows) == [("dial", "0"), ("dial", "1"), ("plain", "0")]
    assert rows["dial", "0"] == pytest.approx([0.05, 0.025, 0.1, 0.085, 1 - 0.085 / 0.1])
    assert rows["dial", "1"] == pytest.approx([0.09, 0.045, 0.18, 0.055, 1 - 0.055 / 0.1])
    assert rows["plain", "0"] == pytest.approx([0.09, 0.045, 0.18, 0.05, 0])


def test_new_items_of_data_without_held_out_items_are_an_error_that_says_what_is_needed(tmp_path):
    make_run(tmp_path / "run")
    with pytest.raises(ArtifactError, match="runs on data with held-out items"):
        tables("new-items", result_groups(find([tmp_path])))


def test_runs_of_before_say_nothing_of_old_items_and_have_no_point(tmp_path):
    before = cold(0.1, 0.1)
    del before["old"], before["raised"]
    make_run(tmp_path / "run", cold=before)
    assert points(result_groups(find([tmp_path]))[0].entries[0]) == []


def test_the_plot_has_a_line_for_a_method_that_can_raise_new_items_and_a_point_for_others(group):
    (axes,) = new_items([group]).axes
    lines = [line.get_xydata() for line in axes.lines]
    assert len(lines) == 2
    assert lines[0] == pytest.approx(np.array([[0.085, 0.025], [0.055, 0.045]]))
    assert lines[1] == pytest.approx(np.array([[0.05, 0.045]]))
    assert b"without" not in render(new_items([group]), "svg")
