"""The command `ssna compare`: its names, its files and its errors."""

from pathlib import Path

import pytest
from some_runs import make_run
from typer.testing import CliRunner

from ssna.cli import app
from ssna.cli.compare import Format, Name
from ssna.report import FORMATS, PLOTS, TABLES

pytestmark = pytest.mark.slow


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
    assert "accuracy, runtime, layers, cold, new-items, history" in " ".join(result.output.replace("│", " ").split())


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
