"""``ssna compare``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Name(StrEnum):
    """What is compared."""

    accuracy = "accuracy"
    improvement = "improvement"
    runtime = "runtime"
    memory = "memory"
    integration = "integration"
    layers = "layers"
    best_settings = "best-settings"


class Format(StrEnum):
    """How a table is written."""

    text = "text"
    md = "md"
    csv = "csv"
    latex = "latex"
    html = "html"


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Runs, or folders that hold runs at any depth.")],
    table: Annotated[Name, typer.Option(help="What is compared.")] = Name.accuracy,
    form: Annotated[Format, typer.Option("--format", help="text marks the best * and the second +.")] = Format.text,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A file, instead of standard output.")] = None,
    of: Annotated[
        str | None, typer.Option(help="For --table improvement: whose; ssna unless given.", metavar="NAME")
    ] = None,
) -> None:
    """Runs side by side, data set by data set and language model by language model."""
    from ssna.files import write_file
    from ssna.report import benches, find, render, tables

    if of is not None and table is not Name.improvement:
        raise typer.BadParameter("it belongs to --table improvement", param_hint="--of")
    written = render(tables(table, benches(find(runs)), of), form)
    if out is None:
        typer.echo(written, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_file(out, written)
