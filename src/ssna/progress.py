"""Progress of long work, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[float, str], None]


@contextmanager
def progress(task: str, total: float, quiet: bool = False) -> Iterator[Advance]:
    """A bar with the time left. Yields ``advance(amount, note)``; the note stands behind the bar.

    Nothing is drawn when ``quiet``; a line at the end is all that a file or a pipe gets.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        handle = bar.add_task(task, total=total, note="")

        def advance(amount: float, note: str) -> None:
            bar.update(handle, advance=amount, note=note)

        yield advance
