"""Seconds an epoch, side by side in one run: ours, the paper read to the letter, and LoRA and AdaLoRA in our trainer.

python benchmarks/train.py DATA CACHE -o benchmarks/results/train.json [--width 768] [--against literal --against lora]

A round times some optimizer steps of each, one method after the other; an epoch is extrapolated from the median over
rounds of a step's seconds. All have 256 targets a step. ``literal`` is fp32 (see ``literal.py``), the others run at the
trainer's precision. ``--width`` puts random states of that width in the place of the cache's, for methods over states.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from literal import Literal, padded

from ssna.data import Dataset, load
from ssna.device import choose_device
from ssna.experiments.recipes import resolve
from ssna.experiments.record import machine, versions
from ssna.files import write_json
from ssna.methods import METHODS
from ssna.methods.ssna import SSNASettings, over
from ssna.nn.sasrec import SASRec
from ssna.text import LayerCache
from ssna.training import RunSettings
from ssna.training.batches import prefixes
from ssna.training.loop import Model, Trainer, batches_of

TARGETS = 256
TUNED = {"batch_size": 32, "accumulate": 8}  # the paper's grouping
STEPS = {"ours": 40, "literal": 2, "lora": 1, "adalora": 1}  # optimizer steps a round


def ours(data: Dataset, cache: LayerCache, width: int | None) -> tuple[Iterator[float], int]:
    """Seconds of one step after the other, and the steps of an epoch."""
    settings = resolve("paper", None, None, ["batches.formulation=causal", f"training.batch_size={TARGETS}"], 0)
    if width is None:
        return _trained(data, cache, settings)
    encoder = over(_random_states(data, width), settings.dim, SSNASettings())
    return _steps(data, encoder, settings)


def tuned(data: Dataset, cache: LayerCache, name: str) -> tuple[Iterator[float], int]:
    """As :func:`ours`, for a method that tunes the language model."""
    changes = [f"training.{key}={value}" for key, value in TUNED.items()]
    return _trained(data, cache, resolve("paper", name, None, ["batches.formulation=causal", *changes], 0))


def literal(data: Dataset, cache: LayerCache, width: int | None) -> tuple[Iterator[float], int]:
    """As :func:`ours`, for ``literal.py``."""
    settings = resolve("paper", None, None, [], 0)
    states = torch.from_numpy(cache.top(3)) if width is None else _random_states(data, width)
    encoder = over(states, settings.dim, SSNASettings())
    sequence = SASRec(settings.dim, data.max_history, **settings.sequence.model_dump())
    model = Literal(encoder.states, encoder.text, sequence).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.training.learning_rate)
    targets = len(prefixes(data.train, data.max_history).user)
    rng = np.random.default_rng(0)

    def step() -> None:
        optimizer.zero_grad()
        chosen = rng.choice(targets, TARGETS, replace=False)
        model.loss(*padded(data.train, data.max_history, chosen), settings.loss.temperature).backward()
        optimizer.step()

    return _timed(step), -(-targets // TARGETS)


def _trained(data: Dataset, cache: LayerCache, settings: RunSettings) -> tuple[Iterator[float], int]:
    torch.manual_seed(0)
    return _steps(data, METHODS[settings.method.name].build(settings.method, data, cache, settings.dim), settings)


def _steps(data: Dataset, encoder: Any, settings: RunSettings) -> tuple[Iterator[float], int]:
    batches = batches_of(data, settings)
    model = Model(encoder, SASRec(settings.dim, data.max_history, **settings.sequence.model_dump()))
    model.to(choose_device(settings.training.device))
    steps = -(-len(batches) // settings.training.accumulate)
    trainer = Trainer(model, settings, total_steps=steps * 200)
    forever = trainer.steps((batch for _ in cycle([None]) for batch in batches), lambda loss: None)
    return _timed(lambda: next(forever)), steps


def _timed(step: Callable[[], object]) -> Iterator[float]:
    while True:
        start = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        yield time.perf_counter() - start


def _random_states(data: Dataset, width: int) -> torch.Tensor:
    states = torch.randn(3, len(data.items) + 1, width, generator=torch.Generator().manual_seed(0)).half()
    states[:, 0] = 0
    return states


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--width", type=int)
    parser.add_argument("--against", action="append", choices=["literal", "lora", "adalora"], default=[])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = load(arguments.data)
    cache = LayerCache.open(arguments.cache, data.texts)
    runs = {"ours": ours(data, cache, arguments.width)}
    for name in arguments.against:
        made = literal(data, cache, arguments.width) if name == "literal" else tuned(data, cache, name)
        runs[name] = made
    for steps, _ in runs.values():
        next(steps)  # the first one sets up what the others keep
    rounds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(arguments.rounds):
        for name, (steps, _) in runs.items():
            rounds[name].append(statistics.fmean(islice(steps, STEPS[name])))
        print(f"round {number + 1}: " + "  ".join(f"{name} {r[-1]:.4f} s a step" for name, r in rounds.items()))
    epochs = {name: statistics.median(seconds) * runs[name][1] for name, seconds in rounds.items()}
    for name, seconds in epochs.items():
        print(f"{name:8} {seconds:10.1f} s an epoch  {seconds / epochs['ours']:8.1f} times ours")
    if arguments.out:
        found = {
            "command": "benchmarks/train.py",
            "data": {"name": arguments.data.name, "fingerprint": data.fingerprint},
            "width": arguments.width or cache.encoding.width,
            "targets_a_step": TARGETS,
            "steps_an_epoch": {name: steps for name, (_, steps) in runs.items()},
            "seconds_a_step": rounds,
            "seconds_an_epoch": epochs,
            "ratio": {name: seconds / epochs["ours"] for name, seconds in epochs.items()},
            "threads": torch.get_num_threads(),
            "load_before": os.getloadavg()[0],
            "machine": machine(str(choose_device("auto"))),
            "versions": versions(),
        }
        write_json(arguments.out, found)


if __name__ == "__main__":
    main()
