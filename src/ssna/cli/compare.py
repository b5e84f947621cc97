"""``ssna compare``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a table is written."""

    text = "text"
    md = "md"
    csv = "csv"


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `ssna train` made, all on one data set.")],
    form: Annotated[Format, typer.Option("--format", help="text marks the best * and the second +.")] = Format.text,
) -> None:
    """Test figures of several runs, one row each."""
    from ssna.experiments import RunRecord
    from ssna.report import accuracy, as_csv, as_markdown, as_text

    writers = {Format.text: as_text, Format.md: as_markdown, Format.csv: as_csv}
    names = [str(run) if [r.name for r in runs].count(run.name) > 1 else run.name for run in runs]
    records = {name: RunRecord.read(run) for name, run in zip(names, runs, strict=True)}
    typer.echo(writers[form](accuracy(records)), nl=False)
