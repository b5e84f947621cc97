"""``ssna export``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ssna.core.errors import SsnaError


class Target(StrEnum):
    """Who is to read it."""

    faiss = "faiss"
    parquet = "parquet"
    onnx = "onnx"
    hub = "hub"


def export(
    run: Annotated[Path, typer.Argument(help="A folder that `ssna train` made.")],
    to: Annotated[Target, typer.Option("--to", help="faiss (extra ann), parquet, onnx (extra onnx), hub.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="The folder to write.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DATA", help="Of faiss: measure recall with the test histories of this data.")
    ] = None,
    repo: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Of hub: push the folder there, as a private repository.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Of hub: as a public one, where it is new.")] = False,
) -> None:
    """A run for other programs: an index, vectors, graphs, or a folder for a model hub."""
    if data is not None and to is not Target.faiss:
        raise SsnaError("--data belongs to --to faiss")
    if (repo is not None or public) and to is not Target.hub:
        raise SsnaError("--repo and --public belong to --to hub")
    from ssna.export import TARGETS, Source

    for line in TARGETS[to.value](Source(run, data, repo, private=not public), out):
        typer.echo(line, err=True)
    typer.echo(f"export: {out}", err=True)
