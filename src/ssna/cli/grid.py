"""``ssna grid``."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer


def grid(
    spec: Annotated[Path, typer.Argument(metavar="GRID.toml", help="Entries over data sets.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="RUNS", help="Where run folders go, or stand already.")],
    root: Annotated[Path, typer.Option(help="Where the grid's data and cache folders lie.")] = Path(),
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This data set or entry alone; may be given several times.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option(help="Cut every run short as the file says; tables will say so too.")
    ] = False,
    plan: Annotated[
        bool, typer.Option(help="Print every run and its state, check data and caches, and run none.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no line a run.")] = False,
) -> None:
    """Run what is not finished; start it again after a crash, or in several processes at once."""
    from ssna.grid.runner import run_grid, survey
    from ssna.grid.spec import GridSpec

    wanted = GridSpec.read(spec).only(only or ())
    if plan:
        found = survey(wanted, out, root, dry_run)
        for task, state in found.runs:
            typer.echo(f"{state:8}{task.folder}")
        for problem in found.problems:
            typer.echo(f"problem: {problem}", err=True)
        states = Counter(state for _, state in found.runs)
        later = f", {found.later} more when best configurations are known" if found.later else ""
        typer.echo(", ".join(f"{states[state]} {state}" for state in ("done", "running", "to do")) + later, err=True)
        return

    folders = run_grid(wanted, out, root, dry_run, quiet)
    if not quiet:
        typer.echo(f"{len(folders)} runs in {out}; see them with: ssna compare {out}", err=True)
