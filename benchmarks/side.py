"""What the scripts here share: rounds side by side, the machine's matrix-product rate, and what figures depend on."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssna.compute.device import choose_device
from ssna.core.files import write_json
from ssna.runs.record import commit, machine, versions

Rounds = dict[str, list[float]]


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock seconds of one call, the GPU's work included."""
    start = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


@contextmanager
def load(processes: int) -> Iterator[None]:
    """That many processes that do nothing but compute."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def alternate(actions: Mapping[str, Callable[[], float]], rounds: int) -> Rounds:
    """One action after the other, ``rounds`` times: what slows the machine for a while slows all of them."""
    found: Rounds = {name: [] for name in actions}
    for number in range(rounds):
        for name, action in actions.items():
            found[name].append(action())
        say(
            f"round {number + 1} of {rounds}: "
            + "  ".join(f"{name} {values[-1]:.4g}" for name, values in found.items())
        )
    return found


def ratio(rounds: Rounds, name: str, to: str) -> float:
    """The median over rounds of ``name`` against ``to`` in the same round."""
    return statistics.median(a / b for a, b in zip(rounds[name], rounds[to], strict=True))


def product_rate(dtype: torch.dtype, size: int = 2048, repeats: int = 8) -> float:
    """Floating-point operations a second of a square matrix product, the fastest of several: what there is to reach."""
    device = choose_device("auto")
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    a @ b
    return 2 * size**3 / min(seconds(lambda: a @ b) for _ in range(repeats))


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Of a straight line through the logarithms: 1 for what grows as its cause does, 0 for what does not grow."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)[0])


def in_child(script: str, arguments: list[str], environment: Mapping[str, str] | None = None) -> Any:
    """What ``script`` prints last, as JSON: a process of its own has a memory of its own."""
    command = [sys.executable, script, *arguments]
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=variables)
    return json.loads(done.stdout.splitlines()[-1])


def conditions(script: str) -> dict[str, Any]:
    """What figures depend on besides the code measured. Taken before measuring: the load is that of others."""
    return {
        "script": Path(script).name,
        "commit": commit(),
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2),
        "machine": machine(str(choose_device("auto"))),
        "versions": versions(),
    }


def keep(out: Path | None, found: dict[str, Any]) -> None:
    """As JSON, if there is a file to keep it in."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, found)
        say(f"kept in {out}")
