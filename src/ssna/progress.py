"""Progress of long work, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[float, str], None]


@contextmanager
def progress(task: str, total: float, quiet: bool = False) -> Iterator[Advance]:
    """A bar with the time left. Yields ``advance(amount, note)``; the note stands behind the bar.

    Nothing is drawn when ``quiet``, nor in a file or a pipe; what fails takes its bar along.
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
    console = Console(stderr=True)
    shown = not quiet and (console.is_terminal or console.is_jupyter)
    with Progress(*columns, console=console, disable=not shown) as bar:
        handle = bar.add_task(task, total=total, note="")

        def advance(amount: float, note: str) -> None:
            bar.update(handle, advance=amount, note=note)

        try:
            yield advance
        except BaseException:
            bar.live.transient = True
            raise
