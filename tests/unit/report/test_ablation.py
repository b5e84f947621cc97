"""Tables of one setting at a time: which runs are comparable, and which of them is shown."""

from pathlib import Path
from typing import Any

from some_runs import METRICS, POLICIES, figures, group_of, make_run, notes_of, of_grid

from ssna.report import TABLES

HEAD = ("data", "model", "seen", "metric")


def method(**settings: Any) -> dict[str, Any]:
    return {"method": {"layers": 2} | settings}


def test_a_dry_run_of_a_variant_is_marked_in_its_cells(tmp_path: Path) -> None:
    make_run(tmp_path / "1", settings=method(layers=1) | {"dry_run": True})
    make_run(tmp_path / "2", settings=method(layers=2) | {"dry_run": True})
    (table,) = TABLES["layers"]([group_of(tmp_path)])
    assert {figure.mark for figure in table.figures()} == {"‡"}
    assert "‡ layers = 1, layers = 2: dry run: cut short, not a result." in table.notes


def test_integration_compares_each_way_at_its_best_configuration(tmp_path: Path) -> None:
    for how, tried in {"gru": {1: 0.2, 2: 0.4}, "mean": {1: 0.3, 2: 0.1}, "weighted": {2: 0.2}}.items():
        for layers, level in tried.items():
            settings = method(layers=layers, integrate=how)
            grid = of_grid(how, **{"method.layers": layers})
            test = {policy: {metric: level / n for n, metric in enumerate(METRICS, 1)} for policy in POLICIES}
            make_run(tmp_path / how / str(layers), settings=settings, valid=figures(level), test=test, **grid)
    (table,) = TABLES["integration"]([group_of(tmp_path)])
    assert table.head == (*HEAD, "MEAN", "WEIGHTED", "SSNA")
    assert len(table.rows) == 8
    expected = [[0.3 / n, 0.2 / n, 0.4 / n] for n in (1, 2, 3, 4)]
    assert [[cell.value for cell in row[4:]] for row in table.rows] == expected * 2
    assert [[table.rank(cell) for cell in row[4:]] for row in table.rows] == [[2, 3, 1]] * 8
    assert "integrate = gru from 2, integrate = mean from 2" in notes_of(table)


def test_integration_ignores_ssna_with_additions_that_the_others_lack(tmp_path: Path) -> None:
    make_run(tmp_path / "gru", settings=method(), test=figures(0.2))
    make_run(tmp_path / "mean", settings=method(integrate="mean"), test=figures(0.1))
    make_run(tmp_path / "best", level=0.9, settings=method(id_embeddings=True), test=figures(0.9))
    (table,) = TABLES["integration"]([group_of(tmp_path)])
    assert [cell and cell.value for cell in table.rows[0][4:]] == [0.1, None, 0.2]


def test_adapted_layers_differ_in_nothing_else(tmp_path: Path) -> None:
    for batch, levels in {64: {1: 0.9, 2: 0.8}, 256: {1: 0.1, 2: 0.3, 3: 0.2}}.items():
        for layers, level in levels.items():
            settings = method(layers=layers) | {"training": {"batch_size": batch}}
            make_run(tmp_path / f"{batch}-{layers}", settings=settings, test=figures(level), **of_grid("ssna"))
    for layers in range(1, 6):
        settings = method(layers=layers, integrate="mean") | {"training": {"batch_size": 256}}
        make_run(tmp_path / f"mean-{layers}", settings=settings)
    (table,) = TABLES["layers"]([group_of(tmp_path)])
    assert table.head == (*HEAD, "a = 1", "a = 2", "a = 3")
    assert [cell.value for cell in table.rows[0][4:]] == [0.1, 0.3, 0.2]


def test_of_equal_sets_of_layers_the_one_with_the_best_validation_is_shown(tmp_path: Path) -> None:
    for batch, level in {64: 0.1, 128: 0.3, 256: 0.2}.items():
        for layers in (1, 2):
            settings = method(layers=layers) | {"training": {"batch_size": batch}}
            make_run(tmp_path / f"{batch}-{layers}", settings=settings, level=level, test=figures(level))
    (table,) = TABLES["layers"]([group_of(tmp_path)])
    assert [cell.value for cell in table.rows[0][4:]] == [0.3, 0.3]


def test_a_run_that_two_entries_share_is_one_seed(tmp_path: Path) -> None:
    for entry in ("ssna", "layers"):
        make_run(tmp_path / entry / "2", settings=method(), **of_grid(entry))
    make_run(tmp_path / "layers" / "1", settings=method(layers=1), **of_grid("layers"))
    (table,) = TABLES["layers"]([group_of(tmp_path)])
    assert "One seed." in table.notes
