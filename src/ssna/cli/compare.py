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
    cold = "cold"
    history = "history"


class Format(StrEnum):
    """How a table is written."""

    text = "text"
    md = "md"
    csv = "csv"
    latex = "latex"
    html = "html"


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Runs, or folders that hold runs at any depth.")],
    table: Annotated[
        Name | None,
        typer.Option(
            help="What is compared; cold, history: accuracy by training events of the target, by length of the "
            "history; cold also: items that `ssna data withhold` kept from training. [default: accuracy; all with "
            "--format html]"
        ),
    ] = None,
    form: Annotated[
        Format,
        typer.Option("--format", help="text marks the best * and the second +; html is a page with plots."),
    ] = Format.text,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A file, instead of standard output.")] = None,
    of: Annotated[
        str | None, typer.Option(help="For --table improvement: whose; ssna unless given.", metavar="NAME")
    ] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Put the paper's figures beside, marked as theirs.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw, too: .svg, .png or .pdf (accuracy, runtime, layers, cold, history)."),
    ] = None,
) -> None:
    """Runs side by side, data set by data set and language model by language model."""
    from ssna.files import write_file
    from ssna.report import PLOTS, all_tables, benches, draw, find, page, render, tables

    if of is not None and table is not Name.improvement and form is not Format.html:
        raise typer.BadParameter("it belongs to --table improvement", param_hint="--of")
    drawn = table or Name.accuracy
    if plot is not None and drawn not in PLOTS:
        raise typer.BadParameter(f"there are plots of {', '.join(PLOTS)}", param_hint="--plot")
    found = benches(find(runs))
    if form is Format.html:
        chosen = all_tables(found, of, paper) if table is None else tables(table.value, found, of, paper)
        written = page(found, chosen)
    else:
        written = render(tables(drawn.value, found, of, paper), form)
    if plot is not None:
        draw(PLOTS[drawn.value](found), plot)
    if out is None:
        typer.echo(written, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_file(out, written)
