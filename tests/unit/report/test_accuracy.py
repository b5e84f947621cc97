"""Tables of accuracy: which figures are where, which are compared, and the notes beneath."""

import csv
import io
from pathlib import Path
from statistics import stdev

import pytest
from some_runs import METRICS, figures, group_of, make_run, notes_of, of_grid, values

from ssna.core.errors import ArtifactError
from ssna.report import TABLES, find, overall, render, result_groups, tables
from ssna.report.groups import ResultGroup
from ssna.report.table import Figure


def test_accuracy_has_a_row_an_entry_and_all_metrics_under_both_policies(group: ResultGroup) -> None:
    table = overall(group)
    assert table.head == (
        "method",
        *(f"{seen}\n{metric}" for seen in ("seen excluded", "seen included") for metric in METRICS),
    )
    assert values(table, "tmlp") == [0.1] * 8
    assert values(table, "ssna") == pytest.approx([0.35] * 8)


def test_accuracy_over_seeds_has_the_sample_deviation(group: ResultGroup) -> None:
    row = next(row for row in overall(group).rows if row[0] == "ssna")
    assert [cell.deviation for cell in row[1:]] == pytest.approx([stdev([0.3, 0.4])] * 8)
    assert "Mean and sample deviation over seeds: popularity 1, ssna 2, tmlp 1." in notes_of(overall(group))


def test_each_column_of_accuracy_is_a_comparison_group(group: ResultGroup) -> None:
    table = overall(group)
    ranks = {row[0]: [table.rank(cell) for cell in row[1:]] for row in table.rows}
    assert ranks == {"tmlp": [3] * 8, "ssna": [1] * 8, "popularity": [2] * 8}


def test_accuracy_names_data_users_items_and_both_policies(group: ResultGroup) -> None:
    for words in ("f00d", "40 users", "all 50 items", "last item of every user", "Seen excluded:", "seen included:"):
        assert words in notes_of(overall(group))


@pytest.mark.parametrize("name", ["accuracy", "runtime", "memory", "improvement"])
def test_a_dry_run_is_marked_and_called_no_result(tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "ssna", history=[1] * 40, events=[1] * 40)
    make_run(tmp_path / "lora", method="lora", settings={"dry_run": True}, history=[1] * 40, events=[1] * 40)
    for table in tables(name, [group_of(tmp_path)]):
        shown = [*table.head, *(cell for row in table.rows for cell in row)]
        assert "lora ‡" in shown
        assert "lora" not in shown
        assert "‡ lora: dry run: cut short, not a result." in table.notes


def test_a_dry_run_is_compared_with_no_result(tmp_path: Path) -> None:
    for name, level, settings in (("a", 0.1, {}), ("b", 0.2, {}), ("short", 0.9, {"dry_run": True})):
        make_run(tmp_path / name, test=figures(level), settings=settings)
    table = overall(group_of(tmp_path))
    ranks = {row[0]: table.rank(row[1]) for row in table.rows if isinstance(row[1], Figure)}
    assert ranks == {"a": 2, "b": 1, "short ‡": None}


def test_beyond_accuracy_is_the_last_table_whose_figures_are_not_compared(group: ResultGroup) -> None:
    first, *_, last = TABLES["accuracy"]([group])
    assert first == overall(group)
    assert values(last, "tmlp") == [0.5, 9.0, 0.2] * 2
    assert {last.rank(figure) for figure in last.figures()} == {None}


def test_every_data_set_and_language_model_has_its_own_tables(tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", model="org/other")
    make_run(tmp_path / "c", fingerprint="beef", data={"name": "pantry"})
    titles = [table.title for table in TABLES["accuracy"](result_groups(find([tmp_path])))]
    assert titles == [
        f"{what} on {where}"
        for where in ("scientific, distilbert-base-uncased", "scientific, other", "pantry, distilbert-base-uncased")
        for what in ("Accuracy", "New and rare items", "Beyond accuracy")
    ]


def test_bins_have_a_row_each_with_its_users_and_a_column_an_entry(tmp_path: Path) -> None:
    known = {"events": [0] * 60 + [7, 7], "history": [4] * 62}
    for name, ranks in {"good": [1] * 62, "bad": [11] * 60 + [1, 11]}.items():
        make_run(tmp_path / name, ranks=ranks, **known)
    (cold,) = tables("cold", [group_of(tmp_path)])
    assert cold.head == ("seen", "metric", "training events of the target", "users", "bad", "good")
    rows = {row[2]: row for row in cold.rows if row[:2] == ("seen excluded", "R@10")}
    assert list(rows) == ["0 (cold)", "1–5", "6–10", "11–20", "21–50", "51+"]
    found = {name: [cell and cell.value for cell in row[3:]] for name, row in rows.items()}
    assert found["0 (cold)"] == [60, 0, 1]
    assert found["6–10"] == [2, 0.5, 1]
    assert found["1–5"] == [0, None, None]
    assert [cold.rank(cell) for cell in rows["0 (cold)"][3:]] == [None, None, 1]
    assert [cold.rank(cell) for cell in rows["6–10"][3:]] == [None, None, None]  # two users decide nothing
    (history,) = tables("history", [group_of(tmp_path)])
    assert [row[3].value for row in history.rows[:5]] == [0, 62, 0, 0, 0]


@pytest.mark.parametrize("name", ["integration", "layers", "best-settings", "improvement"])
def test_a_table_without_its_runs_says_what_it_takes(tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "run")
    with pytest.raises(ArtifactError, match="it takes"):
        tables(name, [group_of(tmp_path)])


FIGURES = {"R@10": 0.5, "N@10": 0.3, "R@50": 0.6, "N@50": 0.4, "median": 9.0}
COLD = {"questions": 9, "held_out": 3, "items": 53, **dict.fromkeys(("among", "all", "old"), FIGURES), "raised": []}


@pytest.mark.parametrize("name", TABLES)
def test_csv_says_what_every_row_stands_on(tmp_path: Path, name: str) -> None:
    for fingerprint, split in (("f00d", "leave-one-out"), ("beef", "time")):
        for how in ("gru", "mean"):
            for layers in (1, 2):
                make_run(
                    tmp_path / fingerprint / how / str(layers),
                    settings={"method": {"integrate": how, "layers": layers}},
                    fingerprint=fingerprint,
                    data={"split": split},
                    history=[1] * 40,
                    events=[1] * 40,
                    cold=COLD,
                    **of_grid("ssna" if how == "gru" else how, **{"method.layers": layers}),
                )
    read = list(csv.DictReader(io.StringIO(render(tables(name, result_groups(find([tmp_path]))), "csv")), strict=True))
    assert {(line["fingerprint"], line["split"]) for line in read} == {("f00d", "leave-one-out"), ("beef", "time")}
    assert {line["model"].split(",")[0] for line in read} == {"distilbert-base-uncased"}
