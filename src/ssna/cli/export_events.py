"""``ssna export-events``."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ssna.core.errors import SsnaError


def export_events(
    state: Annotated[
        str, typer.Argument(metavar="STATE", help="What `ssna serve --state` names; a server may run meanwhile.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The Parquet file to write.")],
    after: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Only what came after event N: the number that was printed last time."),
    ] = 0,
    kind_col: Annotated[
        str, typer.Option(metavar="NAME", help="How the column of kinds is called, for conditions of `prepare`.")
    ] = "kind",
    items: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write ids and texts of added items, for `prepare --items`."),
    ] = None,
) -> None:
    """Events that were posted to a server, as logs for `prepare --append`; the last one's number is printed."""
    if find_spec("fastapi") is None:
        raise SsnaError("serving needs fastapi, which is not installed\npip install 'ssna[serve]'")
    from ssna.serving.events_export import export_events as export

    found = export(state, out, after, kind_col, items)
    also = "" if items is None else f" and {found.items:,} items to {items}"
    when = "" if found.timed else ", without times, as in the data folder that users began with"
    typer.echo(f"{found.events:,} events written to {out}{when}{also}", err=True)
    typer.echo(str(found.last))
