"""Progress of long work, on standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

Advance = Callable[[float, str], None]
MINUTE = 60.0  # between two lines, where no bar can be drawn


def drawn() -> bool:
    """Whether standard error is where bars can be drawn: a terminal, or a notebook with ipywidgets."""
    from rich.console import Console

    console = Console(stderr=True)
    return find_spec("ipywidgets") is not None if console.is_jupyter else console.is_terminal


@contextmanager
def progress(task: str, total: float, quiet: bool = False, transient: bool = False) -> Iterator[Advance]:
    """A bar with the time left. Yields ``advance(amount, note)``; the note stands behind the bar.

    Nothing is drawn when ``quiet``; what fails takes its bar along, and so does all that is ``transient``. A file, a
    pipe or a notebook without ipywidgets gets a line a minute.
    """
    if quiet or not drawn():
        yield _lines(task, total, quiet)
        return
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
    bar = Progress(*columns, console=console, transient=transient)
    try:
        if console.is_jupyter:
            bar.live.ipy_widget = _widget()
        bar.start()  # in here: where an interrupt comes as it starts, what it did to standard error is undone, too
        handle = bar.add_task(task, total=total, note="")

        def advance(amount: float, note: str) -> None:
            bar.update(handle, advance=amount, note=note)

        yield advance
    except BaseException:
        bar.live.transient = True
        raise
    finally:
        bar.stop()


def _widget() -> Any:
    """Where a notebook draws a bar. ipywidgets' own swallows what is raised while it draws, and so an interrupt."""
    from IPython.display import display
    from ipywidgets import Output

    class Raising(Output):  # type: ignore[misc]  # ipywidgets is not typed
        def __exit__(self, *_: object) -> None:
            super().__exit__(None, None, None)

    widget = Raising()
    display(widget)
    return widget


def _lines(task: str, total: float, quiet: bool) -> Advance:
    done, told = 0.0, time.monotonic()

    def advance(amount: float, note: str) -> None:
        nonlocal done, told
        done += amount
        if not quiet and time.monotonic() - told >= MINUTE:
            told = time.monotonic()
            print(f"{task} {done / max(total, 1e-9):.0%} {note}".rstrip(), file=sys.stderr, flush=True)

    return advance
