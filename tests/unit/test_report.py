"""Tables of accuracy, cost, ablations and best settings: which figures stand where, and what is said beneath."""

import csv
import io
import itertools
from dataclasses import replace
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
from some_runs import MODEL, make_run
from typer.testing import CliRunner

from ssna.cli import app
from ssna.cli.compare import Format, Name
from ssna.core.errors import ArtifactError
from ssna.report import FORMATS, PLOTS, TABLES, result_groups, find, overall, render, tables
from ssna.report.cells import METRICS
from ssna.report.groups import ResultGroup
from ssna.report.table import Figure, Table
from ssna.runs import RunRecord

POLICIES = ("exclude_seen", "include_seen")
HEAD = ("data", "model", "seen", "metric")


def figures(level: float) -> dict[str, dict[str, float]]:
    return {policy: dict.fromkeys(METRICS, level) for policy in POLICIES}


def method(name: str = "ssna", **settings: Any) -> dict[str, Any]:
    return {"method": {"name": name, "layers": 2, "integrate": "gru"} | settings}


def of_grid(entry: str, **point: Any) -> dict[str, Any]:
    return {"experiment": {"data": "scientific", "entry": entry, "point": point}}


def values(table: Table, name: str) -> list[Any]:
    """The row of a method, figures as bare numbers."""
    row = next(row for row in table.rows if row[0] == name)
    return [cell.value if isinstance(cell, Figure) else cell for cell in row[table.labels :]]


def column(table: Table, head: str) -> list[Any]:
    cells = [row[table.head.index(head)] for row in table.rows]
    return [cell.value if isinstance(cell, Figure) else cell for cell in cells]


def said(table: Table) -> str:
    return "\n".join(table.notes)


@pytest.fixture
def bench(tmp_path: Path) -> ResultGroup:
    """Three methods, one of them over two seeds."""
    make_run(tmp_path / "tmlp", method="tmlp", test=figures(0.1))
    make_run(tmp_path / "ssna-0", test=figures(0.3), **of_grid("ssna"))
    make_run(tmp_path / "ssna-1", seed=1, test=figures(0.4), **of_grid("ssna"))
    make_run(tmp_path / "popularity", method="popularity", model=None, epochs=0, test=figures(0.2))
    return only(tmp_path)


def only(folder: Path) -> ResultGroup:
    (found,) = result_groups(find([folder]))
    return found


def test_accuracy_has_a_row_an_entry_and_all_metrics_under_both_policies(bench: ResultGroup) -> None:
    table = overall(bench)
    assert table.head == (
        "method",
        *(f"{seen}\n{metric}" for seen in ("seen excluded", "seen included") for metric in METRICS),
    )
    assert values(table, "tmlp") == [0.1] * 8
    assert values(table, "ssna") == pytest.approx([0.35] * 8)


def test_accuracy_over_seeds_has_the_sample_deviation(bench: ResultGroup) -> None:
    row = next(row for row in overall(bench).rows if row[0] == "ssna")
    assert [cell.deviation for cell in row[1:]] == pytest.approx([stdev([0.3, 0.4])] * 8)
    assert "Mean and sample deviation over seeds: popularity 1, ssna 2, tmlp 1." in said(overall(bench))


def test_each_column_of_accuracy_is_a_contest(bench: ResultGroup) -> None:
    table = overall(bench)
    places = {row[0]: [table.place(cell) for cell in row[1:]] for row in table.rows}
    assert places == {"tmlp": [3] * 8, "ssna": [1] * 8, "popularity": [2] * 8}


def test_accuracy_names_data_users_items_and_both_policies(bench: ResultGroup) -> None:
    for words in ("f00d", "40 users", "all 50 items", "last item of every user", "Seen excluded:", "seen included:"):
        assert words in said(overall(bench))


def test_the_choice_of_settings_is_told_with_its_rule(tmp_path: Path) -> None:
    for batch, level in ((64, 0.1), (128, 0.3), (256, 0.2)):
        settings = method() | {"training": {"batch_size": batch}}
        grid = of_grid("ssna", **{"training.batch_size": batch})
        make_run(tmp_path / str(batch), level=level, settings=settings, **grid)
    table = overall(only(tmp_path))
    assert column(table, "seen excluded\nR@10") == [0.3]
    assert "Settings chosen by validation R@10 (seen excluded): ssna from 3." in table.notes


@pytest.mark.parametrize("name", ["accuracy", "runtime", "memory", "improvement"])
def test_a_rehearsal_is_marked_and_called_no_result(tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "ssna", history=[1] * 40, events=[1] * 40)
    make_run(tmp_path / "lora", method="lora", settings={"rehearsal": True}, history=[1] * 40, events=[1] * 40)
    for table in tables(name, [only(tmp_path)]):
        shown = [*table.head, *(cell for row in table.rows for cell in row)]
        assert "lora ‡" in shown
        assert "lora" not in shown
        assert "‡ lora: rehearsal: cut short, not a result." in table.notes


def test_a_rehearsal_competes_with_no_result(tmp_path: Path) -> None:
    for name, level, settings in (("a", 0.1, {}), ("b", 0.2, {}), ("short", 0.9, {"rehearsal": True})):
        make_run(tmp_path / name, test=figures(level), settings=settings)
    table = overall(only(tmp_path))
    places = {row[0]: table.place(row[1]) for row in table.rows if isinstance(row[1], Figure)}
    assert places == {"a": 2, "b": 1, "short ‡": None}


def test_a_rehearsed_variant_is_marked_in_its_cells(tmp_path: Path) -> None:
    make_run(tmp_path / "1", settings=method(layers=1) | {"rehearsal": True})
    make_run(tmp_path / "2", settings=method(layers=2) | {"rehearsal": True})
    (table,) = TABLES["layers"]([only(tmp_path)])
    assert {figure.mark for figure in table.figures()} == {"‡"}
    assert "‡ layers = 1, layers = 2: rehearsal: cut short, not a result." in table.notes


def test_beyond_accuracy_stands_in_a_second_table_and_competes_not(bench: ResultGroup) -> None:
    first, second = TABLES["accuracy"]([bench])
    assert first == overall(bench)
    assert values(second, "tmlp") == [0.5, 9.0, 0.2] * 2
    assert {second.place(figure) for figure in second.figures()} == {None}


def test_every_bench_has_its_own_tables(tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", model="org/other")
    make_run(tmp_path / "c", fingerprint="beef", data={"name": "pantry"})
    titles = [table.title for table in TABLES["accuracy"](result_groups(find([tmp_path])))]
    assert titles == [
        f"{what} on {where}"
        for where in ("scientific, distilbert-base-uncased", "scientific, other", "pantry, distilbert-base-uncased")
        for what in ("Accuracy", "Beyond accuracy")
    ]


def rewrite(folder: Path, **changes: Any) -> None:
    """Change the record of a run."""
    replace(RunRecord.read(folder), **changes).write(folder)


def epoch(seconds: float, batches: int = 10) -> dict[str, Any]:
    return {"number": 1, "loss": 1.0, "seconds": seconds, "batches": batches, "valid": {"R@10": 0.1}}


def test_seconds_an_epoch_leave_out_the_first_epoch_and_the_least_win(tmp_path: Path) -> None:
    runs = {"slow": [epoch(90), epoch(20), epoch(22)], "quick": [epoch(12)]}
    for name, epochs in runs.items():
        run = make_run(tmp_path / name, batches=10, best_epoch=1, seconds=100.0)
        rewrite(run.path, epochs=epochs)
    (table,) = TABLES["runtime"]([only(tmp_path)])
    assert values(table, "slow") == [10, 21.0, 1, 3, 100.0]
    assert values(table, "quick") == [10, 12.0, 1, 1, 100.0]
    assert table.place(next(row for row in table.rows if row[0] == "quick")[2]) == 1


def test_an_epoch_cut_short_is_extrapolated_marked_and_explained(tmp_path: Path) -> None:
    run = make_run(tmp_path / "lora", method="lora", batches=1000)
    rewrite(run.path, epochs=[epoch(9, 50), epoch(3, 50)])
    (table,) = TABLES["runtime"]([only(tmp_path)])
    figure = table.rows[0][2]
    assert isinstance(figure, Figure)
    assert (figure.value, figure.mark) == (60.0, "≈")
    assert "≈ lora: extrapolated from 50 of 1,000 batches an epoch" in said(table)


def test_a_run_that_began_again_says_so_under_its_epochs(tmp_path: Path) -> None:
    make_run(tmp_path / "plain")
    run = make_run(tmp_path / "taught", settings={"loss": {"teacher": "ease"}})
    epochs = [one | {"again": one["number"] == 2} for one in run.record.epochs]
    rewrite(run.path, epochs=epochs)
    (table,) = TABLES["runtime"]([only(tmp_path)])
    assert "taught: began again after a trial without a teacher, whose epochs and seconds count." in said(table)
    assert "plain: began" not in said(table)


def test_a_training_free_method_has_a_total_time_only(bench: ResultGroup) -> None:
    (table,) = TABLES["runtime"]([bench])
    assert values(table, "popularity") == [None, None, None, None, 0.3]


def test_entries_of_different_machines_are_warned_of_and_do_not_compete(tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    another = {"processor": "another", "threads": 8, "device": "NVIDIA H100", "processes": 4}
    make_run(tmp_path / "b", machine=another)
    for name in ("runtime", "memory"):
        (table,) = TABLES[name]([only(tmp_path)])
        assert "Warning: measured on different machines" in said(table)
        assert "b on another, threads: 8, device NVIDIA H100, 4 processes." in said(table)
        assert {table.place(figure) for figure in table.figures()} == {None}


def test_memory_says_which_memory_it_is(tmp_path: Path) -> None:
    make_run(tmp_path / "a", peak_memory_bytes=10**9, trainable_parameters=5)
    gpu = {"processor": "p", "threads": 1, "device": "NVIDIA H100"}
    make_run(tmp_path / "b", peak_memory_bytes=2 * 10**9, machine=gpu)
    (table,) = TABLES["memory"]([only(tmp_path)])
    assert values(table, "a") == [10**9, "process", 5]
    assert values(table, "b") == [2 * 10**9, "device", 1000]
    assert "above what it held at the start of the run" in said(table)


def test_memory_of_training_free_methods_is_noise_and_left_out(bench: ResultGroup) -> None:
    (table,) = TABLES["memory"]([bench])
    assert values(table, "popularity") == [None, None, 1000]
    places = {row[0]: table.place(row[1]) for row in table.rows if isinstance(row[1], Figure)}
    assert places == {"ssna": 1, "tmlp": 1}


def test_integration_compares_each_way_at_its_best_settings(tmp_path: Path) -> None:
    for how, tried in {"gru": {1: 0.2, 2: 0.4}, "mean": {1: 0.3, 2: 0.1}, "weighted": {2: 0.2}}.items():
        for layers, level in tried.items():
            settings = method(layers=layers, integrate=how)
            grid = of_grid(how, **{"method.layers": layers})
            test = {policy: {metric: level / n for n, metric in enumerate(METRICS, 1)} for policy in POLICIES}
            make_run(tmp_path / how / str(layers), settings=settings, valid=figures(level), test=test, **grid)
    (table,) = TABLES["integration"]([only(tmp_path)])
    assert table.head == (*HEAD, "MEAN", "WEIGHTED", "SSNA")
    assert len(table.rows) == 8
    expected = [[0.3 / n, 0.2 / n, 0.4 / n] for n in (1, 2, 3, 4)]
    assert [[cell.value for cell in row[4:]] for row in table.rows] == expected * 2
    assert [[table.place(cell) for cell in row[4:]] for row in table.rows] == [[2, 3, 1]] * 8
    assert "integrate = gru from 2, integrate = mean from 2" in said(table)


def test_integration_leaves_out_ssna_with_additions_that_the_others_lack(tmp_path: Path) -> None:
    make_run(tmp_path / "gru", settings=method(), test=figures(0.2))
    make_run(tmp_path / "mean", settings=method(integrate="mean"), test=figures(0.1))
    make_run(tmp_path / "best", level=0.9, settings=method(ids=True), test=figures(0.9))
    (table,) = TABLES["integration"]([only(tmp_path)])
    assert [cell and cell.value for cell in table.rows[0][4:]] == [0.1, None, 0.2]


def test_layers_differ_in_nothing_else(tmp_path: Path) -> None:
    for batch, levels in {64: {1: 0.9, 2: 0.8}, 256: {1: 0.1, 2: 0.3, 3: 0.2}}.items():
        for layers, level in levels.items():
            settings = method(layers=layers) | {"training": {"batch_size": batch}}
            make_run(tmp_path / f"{batch}-{layers}", settings=settings, test=figures(level), **of_grid("ssna"))
    for layers in range(1, 6):
        settings = method(layers=layers, integrate="mean") | {"training": {"batch_size": 256}}
        make_run(tmp_path / f"mean-{layers}", settings=settings)
    (table,) = TABLES["layers"]([only(tmp_path)])
    assert table.head == (*HEAD, "a = 1", "a = 2", "a = 3")
    assert [cell.value for cell in table.rows[0][4:]] == [0.1, 0.3, 0.2]


def test_of_equal_sets_of_layers_the_one_with_the_best_validation_stands(tmp_path: Path) -> None:
    for batch, level in {64: 0.1, 128: 0.3, 256: 0.2}.items():
        for layers in (1, 2):
            settings = method(layers=layers) | {"training": {"batch_size": batch}}
            make_run(tmp_path / f"{batch}-{layers}", settings=settings, level=level, test=figures(level))
    (table,) = TABLES["layers"]([only(tmp_path)])
    assert [cell.value for cell in table.rows[0][4:]] == [0.3, 0.3]


def test_a_run_that_two_entries_share_is_one_seed(tmp_path: Path) -> None:
    for entry in ("ssna", "layers"):
        make_run(tmp_path / entry / "2", settings=method(), **of_grid(entry))
    make_run(tmp_path / "layers" / "1", settings=method(layers=1), **of_grid("layers"))
    (table,) = TABLES["layers"]([only(tmp_path)])
    assert "One seed." in table.notes


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
        {"seed": 1, "start": {"run": "before", "fingerprint": "beef", "weights": "0", "known": 1}},
    ],
)
def test_runs_of_no_grid_that_differ_in_more_or_nothing_stand_apart(tmp_path: Path, more: dict[str, Any]) -> None:
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
    for entry, point in {"tmlp": {"method.depth": 3, "training.batch_size": 256}, "lora": {"dropout": 0.1}}.items():
        make_run(tmp_path / entry, **of_grid(entry, **point))
    make_run(tmp_path / "pantry", fingerprint="beef", data={"name": "pantry"}, **of_grid("lora", dropout=0.3))
    (table,) = TABLES["best-settings"](result_groups(find([tmp_path])))
    assert table.head == ("data", "model", "lora\ndropout", "tmlp\nmethod.depth", "tmlp\ntraining.batch_size")
    assert table.rows == (
        ("scientific", "distilbert-base-uncased", "0.1", "3", "256"),
        ("pantry", "distilbert-base-uncased", "0.3", None, None),
    )


@pytest.mark.parametrize("name", ["integration", "layers", "best-settings", "improvement"])
def test_a_table_without_its_runs_says_what_it_takes(tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "run")
    with pytest.raises(ArtifactError, match="it takes"):
        tables(name, [only(tmp_path)])


def test_bins_have_a_row_each_with_its_users_and_a_column_an_entry(tmp_path: Path) -> None:
    known = {"events": [0] * 60 + [7, 7], "history": [4] * 62}
    for name, ranks in {"good": [1] * 62, "bad": [11] * 60 + [1, 11]}.items():
        make_run(tmp_path / name, ranks=ranks, **known)
    (cold,) = tables("cold", [only(tmp_path)])
    assert cold.head == ("seen", "metric", "training events of the target", "users", "bad", "good")
    rows = {row[2]: row for row in cold.rows if row[:2] == ("seen excluded", "R@10")}
    assert list(rows) == ["0 (cold)", "1–5", "6–10", "11–20", "21–50", "51+"]
    found = {name: [cell and cell.value for cell in row[3:]] for name, row in rows.items()}
    assert found["0 (cold)"] == [60, 0, 1]
    assert found["6–10"] == [2, 0.5, 1]
    assert found["1–5"] == [0, None, None]
    assert [cold.place(cell) for cell in rows["0 (cold)"][3:]] == [None, None, 1]
    assert [cold.place(cell) for cell in rows["6–10"][3:]] == [None, None, None]  # two users decide nothing
    (history,) = tables("history", [only(tmp_path)])
    assert [row[3].value for row in history.rows[:5]] == [0, 62, 0, 0, 0]


@pytest.mark.parametrize("name", TABLES)
def test_csv_says_what_every_row_stands_on(tmp_path: Path, name: str) -> None:
    for fingerprint, split in (("f00d", "leave-one-out"), ("beef", "time")):
        for how in ("gru", "mean"):
            for layers in (1, 2):
                make_run(
                    tmp_path / fingerprint / how / str(layers),
                    settings=method(integrate=how, layers=layers),
                    fingerprint=fingerprint,
                    data={"split": split},
                    history=[1] * 40,
                    events=[1] * 40,
                    **of_grid("ssna" if how == "gru" else how, **{"method.layers": layers}),
                )
    read = list(csv.DictReader(io.StringIO(render(tables(name, result_groups(find([tmp_path]))), "csv")), strict=True))
    assert {(line["fingerprint"], line["split"]) for line in read} == {("f00d", "leave-one-out"), ("beef", "time")}
    assert {line["model"].split(",")[0] for line in read} == {"distilbert-base-uncased"}


def test_the_command_line_names_every_table_plot_and_format() -> None:
    assert [name.value for name in Name] == [*TABLES, "examples"]  # which are no table of figures
    assert set(PLOTS) <= {name.value for name in Name}
    assert [form.value for form in Format] == list(FORMATS)


def test_compare_writes_a_file_where_it_is_told_to(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "one")
    out = tmp_path / "new" / "table.tex"
    result = CliRunner().invoke(
        app, ["compare", str(tmp_path / "runs"), "--table", "memory", "--format", "latex", "--out", str(out)]
    )
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"written: {out}\n")
    assert out.read_text().startswith(r"\begin{table}")


@pytest.mark.parametrize("name", ["accuracy", "cold", "history"])
def test_a_plot_goes_into_a_folder_that_is_made_for_it(tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "runs" / "one")
    plot = tmp_path / "new" / "plots" / "plot.svg"
    result = CliRunner().invoke(app, ["compare", str(tmp_path / "runs"), "--table", name, "--plot", str(plot)])
    assert (result.exit_code, result.stderr) == (0, f"drawn: {plot}\n")
    assert plot.read_text().startswith("<?xml")


def test_a_plot_of_a_table_without_one_is_told_those_there_are(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    result = CliRunner().invoke(app, ["compare", str(tmp_path), "--table", "memory", "--plot", "p.svg"])
    assert result.exit_code == 2
    assert "accuracy, runtime, layers, cold, history" in " ".join(result.output.replace("│", " ").split())


def test_runs_that_do_not_exist_are_not_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="absent does not exist"):
        find([tmp_path / "absent"])


def test_compare_prints_the_accuracy_unless_told_otherwise(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    result = CliRunner().invoke(app, ["compare", str(tmp_path)])
    assert "Accuracy on scientific" in result.output
    assert "Beyond accuracy" in result.output


def test_of_is_refused_where_nothing_improves(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    result = CliRunner().invoke(app, ["compare", str(tmp_path), "--of", "one"])
    assert result.exit_code == 2
    assert "--table improvement" in result.output
