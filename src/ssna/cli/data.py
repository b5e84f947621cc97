"""``ssna data``: what is in a data folder, and a part of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ssna.data import Dataset

data = typer.Typer(no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DATA", help="A folder that `ssna prepare` made.")]


@data.command()
def describe(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: the manifest, and statistics.")] = False,
) -> None:
    """All that `prepare --check` prints, of a folder."""
    from ssna.core.errors import for_shell
    from ssna.data import load
    from ssna.data.checks import described
    from ssna.data.summary import everything

    found = described(load(folder))
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else for_shell("\n".join(everything(found))))


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
    _report(smaller, out)


@data.command()
def holdout_items(
    folder: Folder,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DATA", help="The data folder to write.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the items, at random.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Another seed chooses others.")] = 0,
) -> None:
    """The data without some items, held out; runs on it say how well these are ranked by their texts alone."""
    import numpy as np

    from ssna.data import load, save
    from ssna.data.holdout import holdout_items as hold_out

    rest, held_out = hold_out(load(folder), share, np.random.default_rng(seed))
    save(rest, out)
    _report(rest, out)
    typer.echo(f"{len(held_out.texts):,} items held out, {len(held_out.targets):,} questions about them", err=True)


def _report(smaller: "Dataset", out: Path) -> None:
    typer.echo(
        f"{len(smaller.users):,} users, {len(smaller.items):,} items, {len(smaller.histories.items):,} events, "
        f"{smaller.fingerprint}, written to {out}",
        err=True,
    )
