"""RecTools' UniSRecModel and ours to the same validation N@10, both scored by our evaluation.

`train.py --against rectools` runs it. RecTools has an environment of its own (``rectools/setup.sh``); it reads one text
vector an item and is 256 wide, with 2 layers, 2 heads, 50 positions, 64 users a batch and the softmax over the whole
catalogue; its other settings are as they come. After every epoch it hands over item and user vectors; it ends
``PATIENCE`` epochs after its best. Ours then trains until its N@10 reaches RecTools' best: the recipe ``best`` without
the ensemble, at a constant learning rate. Neither clock runs while vectors are scored.
"""

import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from side import say
from torch import Tensor

from ssna.compute.memory import MemoryMeter
from ssna.core.ragged import Ragged
from ssna.data import Dataset
from ssna.data.dataset import Split
from ssna.evaluation import evaluate
from ssna.methods import METHODS
from ssna.runs.fitting import fit_teacher
from ssna.runs.recipes import resolve
from ssna.scoring import ScoreFn, Scorer
from ssna.text import LayerCache
from ssna.training import fit

RUN = Path(__file__).parent / "rectools" / "run.py"
PATIENCE = 10
METRIC = "N@10"


class ReachedError(Exception):
    """Ours has got as far as RecTools."""


class Exported(Scorer):
    """Dot products of vectors made elsewhere. It reads the histories of one split, in their order, once."""

    kind, layers = "exported", 0

    def __init__(self, vectors: Tensor, user_embeddings: Tensor) -> None:
        self.vectors, self.user_embeddings, self.read_so_far = vectors, user_embeddings, 0

    @property
    def num_rows(self) -> int:
        return len(self.vectors)

    def prepare(self, histories: Ragged) -> ScoreFn:
        user_embeddings = self.user_embeddings[self.read_so_far : self.read_so_far + len(histories)]
        self.read_so_far += len(histories)
        return lambda items: user_embeddings @ self.vectors[items].T


def race(data: Dataset, cache: LayerCache, arguments: Any) -> dict[str, Any]:
    """Seconds and memory of both, and RecTools' figures epoch by epoch."""
    text = cache if arguments.text is None else LayerCache.open(arguments.text, data.texts)
    theirs = rectools(data, text, arguments.rectools, arguments.epochs)
    best = max(theirs["epochs"], key=lambda epoch: epoch["valid"]["exclude_seen"][METRIC])
    goal = best["valid"]["exclude_seen"][METRIC]
    say(f"RecTools' best: epoch {best['epoch']}, {METRIC} {goal:.4f}")
    ours = until(data, cache, goal, arguments.epochs)
    reached = ours["epochs"][-1]["valid"][METRIC] >= goal
    theirs_total = sum(epoch["seconds"] for epoch in theirs["epochs"][: best["epoch"]])
    ours_total = sum(epoch["seconds"] for epoch in ours["epochs"])
    per_epoch = [statistics.median(epoch["seconds"] for epoch in one["epochs"]) for one in (theirs, ours)]
    ratio = theirs_total / ours_total
    words = f"{ratio:.1f} times as long" if reached else "ours did not get there"
    return {
        "theirs": theirs,
        "ours": ours,
        "best_epoch": best["epoch"],
        "goal": goal,
        "reached": reached,
        "seconds": {"theirs": theirs_total, "ours": ours_total},
        "ratio": ratio,
        "seconds_an_epoch": {"theirs": per_epoch[0], "ours": per_epoch[1]},
        "ratio_an_epoch": per_epoch[0] / per_epoch[1],
        "peak_memory_bytes": {"theirs": theirs["peak_memory_bytes"], "ours": ours["peak_memory_bytes"]},
        "in_words": (
            f"RecTools to its best {METRIC} {goal:.4f} (epoch {best['epoch']}): {theirs_total:.0f} s; ours: "
            f"{ours_total:.0f} s; {words}; an epoch {per_epoch[0]:.1f} s against {per_epoch[1]:.1f} s"
        ),
    }


def rectools(data: Dataset, text: LayerCache, python: Path | None, epochs: int) -> dict[str, Any]:
    """Its epochs: seconds, and validation figures under both policies."""
    if python is None:
        raise SystemExit("name the Python of RecTools' environment: --rectools .venv-rectools/bin/python")
    with TemporaryDirectory() as name:
        folder = Path(name)
        hand_over(data, text, folder)
        command = [str(python), str(RUN), str(folder), "--epochs", str(epochs)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            found = list(_epochs(child, data.valid, folder))
        if child.returncode or len(found) < 2:
            raise SystemExit("RecTools failed; what it said stands above")
    start, *all_epochs = found
    peak = max(epoch.pop("peak_rss") for epoch in all_epochs)
    return {"epochs": all_epochs, "peak_memory_bytes": peak - start["loaded"], "threads": start["threads"]}


def _epochs(child: "subprocess.Popen[str]", split: Split, folder: Path) -> Iterator[dict[str, Any]]:
    assert child.stdout is not None
    assert child.stdin is not None
    best, waited = -1.0, 0
    for line in child.stdout:
        if not line.startswith("{"):
            continue
        said = json.loads(line)
        if "epoch" in said:
            vectors, user_embeddings = (
                torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("vectors", "user_embeddings")
            )
            said["valid"] = evaluate(Exported(vectors, user_embeddings), split).metrics()  # type: ignore[abstract]  # only ranks
            value = said["valid"]["exclude_seen"][METRIC]
            best, waited = (value, 0) if value > best else (best, waited + 1)
            say(f"RecTools epoch {said['epoch']}: {said['seconds']:.1f} s, {METRIC} {value:.4f}")
            child.stdin.write("stop\n" if waited >= PATIENCE else "go\n")
            child.stdin.flush()
        yield said


def hand_over(data: Dataset, text: LayerCache, folder: Path) -> None:
    """What ``rectools/run.py`` reads."""
    train, valid = data.train, data.valid.histories
    histories = np.zeros((len(valid), data.max_history), dtype=np.int64)
    histories[valid.row_of_value, valid.position_of_value + data.max_history - valid.lengths[valid.row_of_value]] = (
        valid.values
    )
    arrays = {
        "text": text.top(1)[0],
        "users": train.row_of_value,
        "items": train.values.astype(np.int64),
        "times": train.position_of_value,
        "histories": histories,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def until(data: Dataset, cache: LayerCache, goal: float, epochs: int) -> dict[str, Any]:
    """Ours, epoch after epoch, until its validation N@10 (seen excluded) reaches ``goal``."""
    changes = [
        "ensemble.members=[]",
        f"text.pooling={cache.pooling}",
        "training.early_stopping_patience=1000",
        "training.lr_schedule=constant",
    ]
    settings = resolve("best", None, None, [*changes, f"training.epochs={epochs}"], 0)
    torch.manual_seed(0)
    encoder = METHODS["ssna"].build(settings.method, data, cache, settings.dim)  # type: ignore[union-attr]
    meter, found, begun = MemoryMeter(torch.device("cpu")), [], time.perf_counter()
    teacher = fit_teacher(data, cache, settings)
    fitting = time.perf_counter() - begun  # counted with the first epoch

    def on_epoch(epoch: Any, weights: Any) -> None:
        seconds = epoch.seconds + (fitting if epoch.number == 1 else 0.0)
        found.append({"epoch": epoch.number, "seconds": seconds, "valid": epoch.valid})
        say(f"ours epoch {epoch.number}: {seconds:.1f} s, {METRIC} {epoch.valid[METRIC]:.4f}")
        if epoch.valid[METRIC] >= goal:
            raise ReachedError

    with suppress(ReachedError):
        fit(encoder, data, settings, on_epoch, teacher=teacher)
    threads = torch.get_num_threads()
    return {"epochs": found, "peak_memory_bytes": meter.peak, "settings": settings.tree(), "threads": threads}
