"""What a run says while it trains: a line an epoch on standard error, and curves for TensorBoard."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssna.experiments.fitting import Report
from ssna.training import Epoch

EVENTS = "events"  # TensorBoard's folder within a run folder


@contextmanager
def epoch_reports(folder: Path | None, quiet: bool, pause: float) -> Iterator[Report]:
    """Says each epoch on standard error, and to TensorBoard where it is installed and there is a folder.

    Args:
        folder: of a run that has epochs.
        pause: seconds, at least, between two lines.
    """
    writer = None if folder is None else _tensorboard(folder / EVENTS)
    said = time.perf_counter()

    def report(epoch: Epoch, better: bool) -> None:
        nonlocal said
        figures = "  ".join(f"{name} {value:.4f}" for name, value in epoch.valid.items())
        if not quiet and (now := time.perf_counter()) - said >= pause:
            said = now
            line = f"epoch {epoch.number:3d}  loss {epoch.loss:.4f}  {epoch.seconds:6.1f} s  valid {figures}"
            notes = {"begun again": epoch.again, "taught": epoch.taught, "best so far": better}
            print(line, *(note for note, holds in notes.items() if holds), sep="  ", file=sys.stderr, flush=True)
        if writer is not None:
            writer.add_scalar("train/loss", epoch.loss, epoch.number)
            for name, value in epoch.valid.items():
                writer.add_scalar(f"valid/{name}", value, epoch.number)

    try:
        yield report
    finally:
        if writer is not None:
            writer.close()


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
