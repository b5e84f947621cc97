"""Our runs beside the figures that others published: which runs count, and what is said of the rest."""

import sys
from pathlib import Path

import pytest
from some_runs import figures, make_run

from ssna.report import find, result_groups
from ssna.report.table import Figure, Table

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import published
import report
from keep import keep
from published import Published

from ssna.grid.spec import GridSpec, tasks

THEIRS = Published(
    data=[{"name": "Toys14", "users": 100, "items": 50}, {"name": "Beauty14", "users": 200, "items": 60}],
    methods=[
        {"name": "one", "source": "A", "seen": "seen excluded", "Toys14": [0.1, 0.05], "Beauty14": [0.2, 0.1]},
        {"name": "two", "source": "B", "seen": "not stated", "Toys14": [0.3]},
    ],
)


def rows(table: Table) -> list[tuple]:
    return [tuple(cell.value if isinstance(cell, Figure) else cell for cell in row) for row in table.rows]


def test_ours_stand_below_theirs_under_both_policies_with_the_deviation_over_seeds(tmp_path: Path) -> None:
    data = {"name": "toys", "users": 100, "items": 50}
    for seed, level in enumerate((0.3, 0.4)):
        make_run(tmp_path / f"best-{seed}", seed=seed, data=data, test=figures(level))
    toys, beauty = published.tables(THEIRS, result_groups(find([tmp_path])))
    assert rows(toys)[:2] == [
        ("one", "A", "seen excluded", 0.1, 0.05),
        ("two", "B", "not stated", 0.3, None),
    ]
    assert rows(toys)[2:] == [
        ("best", "ours", seen, pytest.approx(0.35), pytest.approx(0.35)) for seen in ("seen excluded", "seen included")
    ]
    assert toys.rows[2][3].deviation == pytest.approx(0.0707, abs=1e-4)
    assert {toys.rank(figure) for figure in toys.figures()} == {None}
    assert rows(beauty) == [("one", "A", "seen excluded", 0.2, 0.1)]
    assert "Ours are not among these runs." in beauty.notes
    assert "Ours are not among these runs." not in toys.notes


def test_runs_on_other_data_are_left_out_even_under_the_same_name(tmp_path: Path) -> None:
    make_run(tmp_path / "other", data={"name": "Toys14", "users": 100, "items": 49})
    toys, _ = published.tables(THEIRS, result_groups(find([tmp_path])))
    assert len(toys.rows) == 2


def test_without_runs_the_figures_of_others_stand_alone(tmp_path: Path) -> None:
    written = published.written(tmp_path / "nothing")
    assert "Published figures on Beauty14" in written
    assert "| ICSRec | Qin et al., WSDM 2024 | seen excluded | .1055 | .0657 |" in written


def test_the_grid_of_our_side_has_three_seeds_with_and_without_repeat_consumption_on_both_sets() -> None:
    spec = GridSpec.read(Path(published.FIGURES).parents[1] / "grids" / "minilm" / "published.toml")
    assert [place.name for place in spec.data] == [data["name"] for data in Published.read().data]
    by_entry = {entry.name: entry for entry in spec.entries}
    assert by_entry["best"].more_seeds == by_entry["best without repeat consumption"].more_seeds == [0, 1, 2]
    repeats = {task.entry.name: task.settings.ensemble.repeat_consumption for task in tasks(spec)}
    assert (repeats["best"], repeats["best without repeat consumption"]) == (True, False)


@pytest.mark.long
def test_the_site_has_the_table_with_the_kept_runs_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RUNS", tmp_path / "kept")
    (alone,) = report.build(tmp_path / "without")
    assert "Ours are not among these runs." in alone.read_text()
    data = {"name": "Toys14", "users": 19412, "items": 11924}
    make_run(tmp_path / "runs" / "best", data=data, test=figures(0.1234))
    keep(tmp_path / "runs", tmp_path / "kept" / published.GROUP)
    first, *others = report.build(tmp_path / "with")
    assert first == tmp_path / "with" / published.GROUP / "published.md"
    assert "| best | ours | seen included | .1234 | .1234 |" in first.read_text()
    assert tmp_path / "with" / published.GROUP / "accuracy.md" in others
