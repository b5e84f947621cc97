"""What a run says while it trains: a line an epoch on standard error, how far it is, and curves for TensorBoard."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssna.compute import distributed
from ssna.core.progress import MINUTE, Advance, drawn, progress
from ssna.runs.fitting import Report
from ssna.training import Epoch, Step

OnEpoch = Callable[[Epoch], object]

EVENTS = "events"  # TensorBoard's folder within a run folder


@contextmanager
def epoch_reports(
    folder: Path | None, epochs: int, quiet: bool, pause: float, callback: OnEpoch | None = None
) -> Iterator[Report]:
    """Says each epoch on standard error, and to TensorBoard where it is installed and there is a folder. A terminal has
    a bar beside; a file or a pipe gets a line a minute while an epoch lasts.

    Args:
        folder: of the run, if it is kept and has epochs.
        epochs: how many it has at most, unless training restarts; 0 if it has none.
        quiet: only TensorBoard is told.
        pause: seconds, at least, between two lines about whole epochs.
        callback: gets every epoch as well, in the first of several processes.
    """
    writer = None if folder is None else _tensorboard(folder / EVENTS)
    try:
        bar = epochs > 0 and not quiet and drawn()
        with progress("train", total=epochs, quiet=not bar, transient=True) as advance:
            yield _Epochs(advance if bar else None, writer, quiet, pause, callback if distributed.is_main() else None)
    finally:
        if writer is not None:
            writer.close()


class _Epochs:
    def __init__(
        self, advance: Advance | None, writer: Any, quiet: bool, pause: float, callback: OnEpoch | None
    ) -> None:
        self.advance, self.writer, self.quiet, self.pause, self.callback = advance, writer, quiet, pause, callback
        self.said = self.said_epoch = time.perf_counter()
        self.epochs_done = 0.0

    def step(self, step: Step) -> None:
        if self.advance is None:
            if time.perf_counter() - self.said >= MINUTE:
                self._say(f"epoch {step.epoch:3d}  {step.done / step.batches:.0%}")
        else:
            self.advance(step.epochs_done - self.epochs_done, f"epoch {step.epoch}")
            self.epochs_done = step.epochs_done

    def epoch(self, epoch: Epoch, better: bool) -> None:
        if (now := time.perf_counter()) - self.said_epoch >= self.pause:
            self.said_epoch = now
            self._say(_line(epoch, better))
        if self.callback is not None:
            self.callback(epoch)
        if self.writer is not None:
            self.writer.add_scalar("train/loss", epoch.loss, epoch.number)
            for name, value in epoch.valid.items():
                self.writer.add_scalar(f"valid/{name}", value, epoch.number)

    def _say(self, line: str) -> None:
        self.said = time.perf_counter()
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)


def _line(epoch: Epoch, better: bool) -> str:
    figures = "  ".join(f"{name} {value:.4f}" for name, value in epoch.valid.items())
    validated = f"valid {figures}" if figures else "on all events"
    line = f"epoch {epoch.number:3d}  loss {epoch.loss:.4f}  {epoch.seconds:6.1f} s  {validated}"
    notes = {"restarted": epoch.restarted, "distilled": epoch.distilled, "best so far": better}
    return "  ".join([line, *(note for note, holds in notes.items() if holds)])


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
