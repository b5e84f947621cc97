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
    new_items = "new-items"
    history = "history"
    examples = "examples"


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
            "history; cold also: items that `ssna data holdout-items` kept out of training; new-items: these against "
            "old ones. [default: accuracy; all with --format html]"
        ),
    ] = None,
    form: Annotated[
        Format,
        typer.Option("--format", help="text marks the best * and the second +; html is a page with plots."),
    ] = Format.text,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A file, instead of standard output.")] = None,
    of: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For --table improvement, examples, --format html: the method that the others are compared with; ssna "
            "unless given.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For --table examples, --format html: the other method; the best of the others on validation unless "
            "given.",
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DATA",
            help="For --table examples, --format html: the data sets of the runs, to show users for whom one method "
            "finds the next item and the other does not; may be given several times.",
        ),
    ] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Add the paper's figures, marked as theirs.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw, too: .svg, .png or .pdf (accuracy, runtime, layers, cold, new-items, history)."
        ),
    ] = None,
) -> None:
    """Compare runs, for each data set and language model."""
    from ssna.core.files import write_file
    from ssna.data import load
    from ssna.report import PLOTS, all_tables, as_text, draw, examples, find, page, render, result_groups, tables

    if of is not None and table not in (Name.improvement, Name.examples) and form is not Format.html:
        raise typer.BadParameter(
            "it belongs to --table improvement, --table examples and --format html", param_hint="--of"
        )
    if table is Name.examples and not data:
        raise typer.BadParameter("examples show texts: give the data sets of the runs", param_hint="--data")
    if table is Name.examples and form is not Format.text:
        raise typer.BadParameter(
            "examples are text; without --table, the page of --format html --data DATA has them, too",
            param_hint="--format",
        )
    if (against or data) and table is not Name.examples and form is not Format.html:
        raise typer.BadParameter(
            "it belongs to --table examples and --format html", param_hint="--data" if data else "--against"
        )
    if against and not data:
        raise typer.BadParameter("it needs the data sets of the runs: --data DATA", param_hint="--against")
    drawn = table or Name.accuracy
    if plot is not None and drawn not in PLOTS:
        raise typer.BadParameter(f"there are plots of {', '.join(PLOTS)}", param_hint="--plot")
    found = result_groups(find(runs))
    users = examples(found, [load(folder) for folder in data], of, against) if data else []
    if form is Format.html:
        chosen = all_tables(found, of, paper) if table is None else tables(table.value, found, of, paper)
        written = page(found, chosen, shown=users)
    elif table is Name.examples:
        written = as_text(users)
    else:
        written = render(tables(drawn.value, found, of, paper), form)
    if plot is not None:
        draw(PLOTS[drawn.value](found), plot)
        typer.echo(f"drawn: {plot}", err=True)
    if out is None:
        typer.echo(written, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_file(out, written)
        typer.echo(f"written: {out}", err=True)
