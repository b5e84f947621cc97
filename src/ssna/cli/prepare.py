"""``ssna prepare``: logs and item texts -> a data folder."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ssna.data.cuts import SplitRule
from ssna.data.dataset import Dataset
from ssna.data.prepare import FormatName, MissingText


def prepare(
    logs: Annotated[Path, typer.Argument(help="A table (CSV, TSV, Parquet, JSON lines), or another format's folder.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DATA", help="The data folder to write.")],
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A table of item texts; without it, the logs hold the texts.")
    ] = None,
    format: Annotated[FormatName, typer.Option(help="The format of LOGS; auto tells it from the files.")] = "auto",
    user_col: Annotated[str | None, typer.Option(metavar="NAME", help="The column of user ids.")] = None,
    item_col: Annotated[str | None, typer.Option(metavar="NAME", help="The column of item ids, in both files.")] = None,
    time_col: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column of times: seconds, milliseconds, or ISO dates.")
    ] = None,
    text_cols: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="The columns of an item's text, in order; may be given several times."),
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
    split: Annotated[
        SplitRule,
        typer.Option(help="Test on each user's last event, or on what came after a moment that all users share."),
    ] = "leave-one-out",
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no summary.")] = False,
) -> None:
    """Read logs and item texts, clean them, and write a data folder."""
    from ssna.data import prepare as prepare_data

    dataset = prepare_data(
        logs,
        items,
        format=format,
        user=user_col,
        item=item_col,
        time=time_col,
        text=None if text_cols is None else [name.strip() for names in text_cols for name in names.split(",")],
        min_user=min_user,
        min_item=min_item,
        max_history=max_history,
        missing_text=missing_text,
        split=split,
        out=out,
        quiet=quiet,
    )
    if as_json:
        typer.echo(json.dumps(dataset.manifest, indent=2, ensure_ascii=False))
    elif not quiet:
        typer.echo(_summary(dataset, out), err=True)


def _summary(dataset: Dataset, out: Path) -> str:
    manifest = dataset.manifest
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in manifest["dropped"].items() if count)
    average = manifest["interactions"] / manifest["users"]
    return "\n".join(
        (
            f"read      {manifest['rows_read']:,} events",
            f"dropped   {dropped or 'none'}",
            f"users     {manifest['users']:,}, {average:.1f} events each on average",
            f"items     {manifest['items']:,}",
            f"events    {manifest['interactions']:,} ({manifest['interactions_used']:,} read in the test)",
            f"split     {_split(manifest)}",
            f"asked     {manifest['asked']['valid']:,} users in validation, {manifest['asked']['test']:,} in test "
            f"({manifest['unseen_targets']:,} test targets never occur in training)",
            f"data      {manifest['fingerprint']}, written to {out}",
        )
    )


def _split(manifest: dict[str, Any]) -> str:
    if "moments" not in manifest:
        return str(manifest["split"])
    dates = {name: moment["date"] for name, moment in manifest["moments"].items()}
    return f"{manifest['split']}: validation from {dates['valid']}, test from {dates['test']}"
