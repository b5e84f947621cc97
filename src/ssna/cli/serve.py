"""``ssna serve``."""

import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ssna.core.errors import SsnaError

NEEDED = ("fastapi", "uvicorn", "prometheus_client")


def serve(
    run: Annotated[Path, typer.Argument(help="A folder that `ssna train` made.")],
    host: Annotated[str, typer.Option(help="0.0.0.0 to be reached from other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="SSNA_API_KEY", help="Needed in X-API-Key for changes; without one there are none."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keys of `ssna keys add`, read again at SIGHUP; with them, reading needs one, too."
        ),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Where added items, users and events are kept; default: .RUN.state beside the run. Or "
            "postgresql://USER@HOST/NAME, for several machines.",
        ),
    ] = None,
    users: Annotated[
        Path | None, typer.Option(metavar="DATA", help="A data folder: users begin with its histories.")
    ] = None,
    compare_with: Annotated[
        list[Path] | None, typer.Option(metavar="RUN", help="A run to compare with in the explorer; may be repeated.")
    ] = None,
    runs: Annotated[Path | None, typer.Option(metavar="DIR", help="POST /reload may load runs below it, too.")] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name that clients address the server by, besides those of this machine; '*' is any. May be "
            "repeated; needed where --host is every address.",
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Pages of this origin may read answers (CORS); may be repeated."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Requests a second that one client may make; no limit by default.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where the language model lies now, if it moved since training.")
    ] = None,
) -> None:
    """Recommendations over HTTP, new items by their texts, and a page to explore them."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise SsnaError(f"serving needs {missing[0]}, which is not installed\npip install 'ssna[serve]'")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nothing was read yet that could be read again
    from ssna.serving.server import serve as serve_run

    serve_run(
        run, host=host, port=port, api_key=api_key, keys=keys, state=state, runs=runs, compare_with=compare_with or [],
        allowed_host=allowed_host or [], allow_origin=allow_origin or [], rate=rate, model=model, users=users,
    )  # fmt: skip
