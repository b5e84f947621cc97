"""Seconds and memory as users, items, histories, layers and width grow: synthetic data, and the slope of each.

python benchmarks/scaling.py -o benchmarks/results/scaling.json [--short] [--only items]

Each point is measured in a process of its own: the paper's configuration (a = 3, eight experts, GRU, width 256,
autoregressive, 256 targets a step, bf16), random states of width 384, one dimension varied. ``step``: the median of
some optimizer steps. ``epoch``: that times its steps. ``rank``: validation of 512 users over all items. ``full``:
forward and backward of the whole-catalogue softmax, with vectors of the items' own (``ids``: one matrix, one
gradient) and with SSNA (neither). Memory is the peak above the loaded model; ``beyond`` leaves the gradients of
``full`` out too. In the processes of ``full`` glibc gives what is freed back at once, so that the peak is that of
what is held: its own habit of keeping holes in the heap added 300 MB at a million items in one trial. It costs them
some seconds.
A slope is that of the logarithms over the last three sizes: 1 is linear, 0 does not grow.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side import conditions, in_child, keep, say, seconds, slope
from train import paper_settings

from ssna.compute.device import choose_device
from ssna.compute.memory import MemoryMeter
from ssna.core.ragged import Ragged
from ssna.data.dataset import Split
from ssna.evaluation import ranks
from ssna.methods.ids import Ids
from ssna.methods.ssna import SSNASettings, over_states
from ssna.nn.losses import LOSSES, Loss
from ssna.nn.sasrec import SASRec
from ssna.scoring import VectorScorer
from ssna.training.batches import Batches
from ssna.training.trainer import Model, Trainer, autocast

BASE = {"users": 10_000, "items": 10_000, "history": 10, "layers": 3, "width": 384}
AXES: dict[str, tuple[list[int], list[str]]] = {  # what grows, how far, and what is measured
    "users": ([1_000, 10_000, 100_000, 1_000_000], ["epoch"]),
    "items": ([1_000, 10_000, 100_000, 1_000_000], ["step", "rank", "full ids", "full ssna"]),
    "history": ([5, 10, 20, 50, 100, 200], ["step"]),
    "layers": ([1, 2, 3, 6, 12], ["step"]),
    "width": ([128, 256, 384, 768, 1536], ["step"]),
}
SHORT = {"users": 3, "items": 3, "history": 3, "layers": 2, "width": 2}  # points of each axis
STEPS, EVALUATED = 15, 512
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "100000", "MALLOC_TRIM_THRESHOLD_": "100000"}


def histories(users: int, items: int, length: int) -> Ragged:
    """Random events of a popularity that falls as 1 / rank; ``length`` of each user, on average, at least 2."""
    rng = np.random.default_rng(0)
    lengths = np.maximum(rng.geometric(1 / length, users), 2)
    values = np.minimum(items ** rng.random(lengths.sum()), items).astype(np.int64)
    return Ragged(np.maximum(values, 1), np.concatenate([[0], np.cumsum(lengths)]))


def built(point: dict[str, int], kind: str = "ssna") -> Model:
    """SSNA over random states, or vectors of the items' own."""
    settings = paper_settings("training.precision=bf16")
    torch.manual_seed(0)
    if kind == "ids":
        encoder: Any = Ids(point["items"], settings.dim)
    else:
        states = torch.empty(point["layers"], point["items"] + 1, point["width"], dtype=torch.float16)
        for layer in states:
            layer.copy_(torch.randn(point["width"]).half() * torch.linspace(-1, 1, point["items"] + 1).half()[:, None])
        states[:, 0] = 0
        encoder = over_states(states, settings.dim, SSNASettings(layers=point["layers"]))
    length = max(50, point["history"])
    return Model(encoder, SASRec(settings.dim, length, **settings.sequence.model_dump())).to(choose_device("auto"))


def batches_of(point: dict[str, int]) -> Batches:
    return Batches(
        histories(point["users"], point["items"], point["history"]),
        point["items"],
        objective="autoregressive",
        max_history=max(50, point["history"]),
        batch_size=256,
        num_negatives=0,
        rng=np.random.default_rng(0),
    )


def step(point: dict[str, int]) -> dict[str, float]:
    """An optimizer step, and the epoch that so many make."""
    batches, model = batches_of(point), built(point)
    settings = paper_settings("training.precision=bf16")
    loss = Loss(settings.loss.name, settings.loss.temperature, settings.distillation.weight)
    trainer = Trainer(model, settings.training, loss, total_steps=1000)
    meter = MemoryMeter(choose_device("auto"))
    forever = trainer.steps((batch for _ in iter(int, 1) for batch in batches), lambda loss: None)
    next(forever)
    took = [seconds(lambda: next(forever)) for _ in range(STEPS)]
    return {"seconds": statistics.median(took), "steps": len(batches), "peak_memory_bytes": meter.peak}


def epoch(point: dict[str, int]) -> dict[str, float]:
    found = step(point)
    return found | {"seconds": found["seconds"] * found["steps"]}


def rank(point: dict[str, int]) -> dict[str, float]:
    """Validation of ``EVALUATED`` users over the whole catalogue."""
    torch.manual_seed(0)
    settings = paper_settings()
    sequence = SASRec(settings.dim, 50, **settings.sequence.model_dump())
    scorer = VectorScorer(torch.randn(point["items"] + 1, settings.dim), sequence, 50)
    users = histories(EVALUATED, point["items"], point["history"])
    split = Split("valid", np.arange(EVALUATED), users.last(50), users, np.arange(1, EVALUATED + 1))
    ranks(scorer, split.take(slice(0, 8)))
    meter = MemoryMeter(torch.device("cpu"))
    took = seconds(lambda: ranks(scorer, split))
    return {"seconds": took, "peak_memory_bytes": meter.peak}


def full(point: dict[str, int], kind: str) -> dict[str, float]:
    """One forward and backward of the softmax over the whole catalogue; memory beyond the gradient."""
    model, batch = built(point, kind), next(iter(batches_of(point)))
    meter = MemoryMeter(choose_device("auto"))

    def forward_and_backward() -> None:
        with autocast("bf16", choose_device("auto").type):
            loss = LOSSES["full"](model(batch.to(choose_device("auto"))), 0.07)
        loss.backward()

    took = seconds(forward_and_backward)
    gradients = sum(p.grad.numel() * p.grad.element_size() for p in model.parameters() if p.grad is not None)
    return {
        "seconds": took,
        "peak_memory_bytes": meter.peak,
        "gradient_bytes": gradients,
        "beyond_bytes": max(meter.peak - gradients, 0),
    }


MEASURES: dict[str, Callable[[dict[str, int]], dict[str, float]]] = {
    "step": step,
    "epoch": epoch,
    "rank": rank,
    "full ids": lambda point: full(point, "ids"),
    "full ssna": lambda point: full(point, "ssna"),
}


def measured(axis: str, sizes: list[int], what: str) -> dict[str, Any]:
    """A measure along an axis, and its slopes."""
    points = []
    for size in sizes:
        point = {**BASE, axis: size}
        environment = GIVEN_BACK if what.startswith("full") else None
        points.append(in_child(__file__, ["--point", json.dumps(point), "--measure", what], environment))
        say(f"{axis} {size:,}: {what} {points[-1]['seconds']:.4f} s, {points[-1]['peak_memory_bytes'] / 1e6:.0f} MB")
    kinds = [kind for kind in ("seconds", "peak_memory_bytes", "beyond_bytes") if kind in points[0]]
    last = slice(-min(len(sizes), 3), None)  # small sizes measure what does not grow
    slopes = {kind: slope(sizes[last], [point[kind] for point in points][last]) for kind in kinds}
    return {"axis": axis, "sizes": sizes, "measure": what, "points": points, "slopes": slopes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--short", action="store_true", help="The small sizes only.")
    parser.add_argument("--only", choices=list(AXES), action="append", help="These axes only.")
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--measure", choices=list(MEASURES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        print(json.dumps(MEASURES[arguments.measure](arguments.point)))
        return
    found: dict[str, Any] = {**conditions(__file__), "base": BASE, "measures": []}
    for axis in arguments.only or AXES:
        sizes, measures = AXES[axis]
        sizes = sizes[: SHORT[axis]] if arguments.short else sizes
        found["measures"] += [measured(axis, sizes, what) for what in measures]
    for one in found["measures"]:
        slopes = ", ".join(f"{kind} {value:.2f}" for kind, value in one["slopes"].items())
        print(f"{one['measure']:10} as {one['axis']} grow to {one['sizes'][-1]:,}: slopes {slopes}")
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
