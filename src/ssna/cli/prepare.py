"""``ssna prepare``: logs and item texts -> a data folder."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ssna.data.prepare import FormatName
from ssna.data.rules import Dedup, EngineName, MissingText
from ssna.data.split_points import SplitRule


def _defaults(context: typer.Context, path: Path | None) -> Path | None:
    """A file's values take the place of the defaults; what is typed goes on top."""
    if path is not None:
        from ssna.data.settings import PrepareSettings

        context.default_map = PrepareSettings.read(path).prepare.options()
    return path


# What goes together with --append. All else is a rule, and the rules stand in the data folder.
_APPENDING = {
    *("logs", "append", "out", "items", "format", "user_col", "item_col", "time_col", "text_cols"),
    *("rating_col", "engine", "spark_master", "check", "plot", "as_json", "quiet"),
}


def _refuse_rules(context: typer.Context) -> None:
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in _APPENDING and source is not None and source.name != "DEFAULT":
            raise typer.BadParameter(
                "the rules of the data folder hold for what is appended; leave this out",
                param_hint=f"--{name.replace('_', '-')}",
            )


def prepare(
    context: typer.Context,
    logs: Annotated[
        Path,
        typer.Argument(
            help="A table (CSV, TSV, Parquet, JSON lines), a folder or 'pattern*' of them, or another format; "
            "with --append, the data folder that is appended to."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DATA", help="The data folder to write; not with --check.")
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A table (folder, pattern) of item texts; else the logs hold the texts."),
    ] = None,
    append: Annotated[
        Path | None,
        typer.Option(
            metavar="LOGS",
            help="Add these logs, and the texts of --items, to the data folder DATA; ids keep their rows, "
            "and the rules are those of DATA.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            is_eager=True,
            callback=_defaults,
            help="A TOML file with options, called as in Python (user, items, text, ...), and the counts to expect.",
        ),
    ] = None,
    format: Annotated[
        FormatName | None,
        typer.Option(help="The format of LOGS. [default: auto, from the files; with --append that of DATA]"),
    ] = None,
    user_col: Annotated[str | None, typer.Option(metavar="NAME", help="The column of user ids.")] = None,
    item_col: Annotated[str | None, typer.Option(metavar="NAME", help="The column of item ids, in both files.")] = None,
    time_col: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column of times: seconds, milliseconds, or ISO dates.")
    ] = None,
    text_cols: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="The columns of an item's text, in order; may be given several times."),
    ] = None,
    rating_col: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column of ratings, for --min-rating.")
    ] = None,
    min_rating: Annotated[
        float | None, typer.Option(metavar="X", help="Leave out events rated below X, or not at all.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Leave out what was before: a date (UTC), or seconds since 1970.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Leave out what was at this moment or later.")
    ] = None,
    min_user: Annotated[
        int | None,
        typer.Option(min=0, help="The fewest events a user needs. [default: 5; off for unisrec and sequences]"),
    ] = None,
    min_item: Annotated[
        int | None,
        typer.Option(min=0, help="The fewest events an item needs. [default: 5; off for unisrec and sequences]"),
    ] = None,
    max_history: Annotated[int, typer.Option(min=1, help="The events that a history holds when it is used.")] = 50,
    missing_text: Annotated[MissingText, typer.Option(help="What happens to items without text.")] = "drop",
    dedup: Annotated[
        Dedup,
        typer.Option(help="Count events of one user, item and time once; or keep a user's first or last on an item."),
    ] = "none",
    split: Annotated[
        SplitRule,
        typer.Option(help="Test on each user's last event, or on what came after a moment that all users share."),
    ] = "leave-one-out",
    engine: Annotated[
        EngineName, typer.Option(help="What reads and computes; spark needs the extra of that name, and Java.")
    ] = "duckdb",
    spark_master: Annotated[
        str | None, typer.Option(metavar="URL", help="Where Spark runs. [default: local[*]]")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Print all that is known of the data; write nothing.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw how long histories are (.png, .svg, .pdf).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no summary.")] = False,
) -> None:
    """Read logs and item texts, clean them, and write a data folder."""
    from ssna.data import append as append_logs
    from ssna.data import prepare as prepare_data
    from ssna.data.plots import draw_lengths, require_kind
    from ssna.data.settings import PrepareSettings
    from ssna.data.summary import described, differences, everything, summary

    if check == (out is not None):
        raise typer.BadParameter("give a folder to write, or --check to write none", param_hint="-o")
    if plot is not None:
        require_kind(plot)
    columns: dict[str, Any] = {
        "user": user_col,
        "item": item_col,
        "time": time_col,
        "text": None if text_cols is None else [name.strip() for names in text_cols for name in names.split(",")],
        "rating": rating_col,
    }
    where: dict[str, Any] = {"engine": engine, "spark_master": spark_master, "out": out, "quiet": quiet}
    earlier = None if out is None else _fingerprint(out)
    if append is not None:
        _refuse_rules(context)
        dataset = append_logs(logs, append, items, format=format, **columns, **where)
    else:
        dataset = prepare_data(
            logs,
            items,
            format=format or "auto",
            **columns,
            min_rating=min_rating,
            since=since,
            until=until,
            min_user=min_user,
            min_item=min_item,
            max_history=max_history,
            missing_text=missing_text,
            dedup=dedup,
            split=split,
            **where,
        )
    if plot is not None:
        draw_lengths(dataset, plot)
        if not quiet:
            typer.echo(f"drawn: {plot}", err=True)
    found: dict[str, Any] = described(dataset) if check else dataset.manifest
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif check:
        typer.echo("\n".join(everything(found)))
    elif not quiet:
        replaced = "" if earlier is None else f", in the place of {earlier}"
        written = f"data      {found['fingerprint']}, written to {out}{replaced}"
        typer.echo("\n".join([*summary(found), written]), err=True)
    if config is not None:
        settings = PrepareSettings.read(config)
        for difference in differences(found, settings.expected.tree()):
            typer.echo(f"warning: not as {config.name} expects: {difference}", err=True)


def _fingerprint(folder: Path) -> str | None:
    """Of the data set that ``folder`` holds and that will be replaced, if there is one."""
    from ssna.core.errors import DataError
    from ssna.core.files import read_json
    from ssna.data.storage import MANIFEST

    try:
        return str(read_json(folder / MANIFEST, DataError).get("fingerprint"))
    except DataError:
        return None
