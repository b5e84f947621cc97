"""``ssna data``: what is in a data folder, and a part of it."""

import json
from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DATA", help="A folder that `ssna prepare` made.")]


@data.command()
def describe(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: the manifest, and statistics.")] = False,
) -> None:
    """All that `prepare --check` prints, of a folder."""
    from ssna.data import load
    from ssna.data.summary import described, everything

    found = described(load(folder))
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(everything(found)))


@data.command()
def sample(
    folder: Folder,
    users: Annotated[int, typer.Option(min=1, help="How many users stay, with their whole histories.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DATA", help="The data folder to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Another seed chooses others.")] = 0,
) -> None:
    """Some users at random, and their items."""
    import numpy as np

    from ssna.data import load, save
    from ssna.data.subset import sample as sample_users

    smaller = sample_users(load(folder), users, np.random.default_rng(seed))
    save(smaller, out)
    typer.echo(
        f"{len(smaller.users):,} users, {len(smaller.items):,} items, {len(smaller.histories.items):,} events, "
        f"{smaller.fingerprint}, written to {out}",
        err=True,
    )
