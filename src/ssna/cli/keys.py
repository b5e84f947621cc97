"""``ssna keys``: who may ask a server, and what."""

from pathlib import Path
from typing import Annotated

import typer

from ssna.serving.keys import May

keys = typer.Typer(no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file of `ssna serve --keys FILE`.")]
Name = Annotated[str, typer.Option(metavar="NAME", help="Whose key it is; the server's log has the name.")]


@keys.command()
def add(
    file: File,
    name: Name,
    may: Annotated[May, typer.Option(help="read: recommend, search, explain; change: items and runs, too.")],
) -> None:
    """Make a key and print it once; FILE, made if need be, keeps its digest alone."""
    from ssna.serving.keys import add_key

    typer.echo(add_key(file, name, may))
    typer.echo(f"{name} may {may}; a server takes the key at its start, or at a SIGHUP", err=True)


@keys.command()
def remove(file: File, name: Name) -> None:
    """Take a key away."""
    from ssna.serving.keys import remove_key

    remove_key(file, name)
    typer.echo(f"{name} has no key any more; a server forgets it at its next start, or at a SIGHUP", err=True)


@keys.command("list")
def list_keys(file: File) -> None:
    """Names, rights, and when they were made."""
    from ssna.serving.keys import read_keys

    for key in read_keys(file):
        typer.echo(f"{key.name}\t{key.may}\t{key.made:%Y-%m-%d}")
