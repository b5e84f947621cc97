"""How much of what the machine's matrix products can do reaches the necessary operations of an epoch.

python benchmarks/roofline.py DATA CACHE -o benchmarks/results/roofline.json [--width 384 --width 768]

The operations are the closed formula of ``operations.py``; the rate is that of a square product at the trainer's
precision, measured in every round beside the steps. Widths other than the cache's take random states.
"""

import argparse
import statistics
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from operations import Shape, operations
from side import alternate, conditions, keep, product_rate
from train import TARGETS, ours, paper_settings

from ssna.data import Dataset, load
from ssna.text import LayerCache
from ssna.training.loop import batches_of
from ssna.training.trainer import autocast

STEPS = 40


def precision(setting: str) -> torch.dtype:
    """What matrix products are computed in under the trainer's ``auto``."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with autocast(setting, device):
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32


def necessary(data: Dataset, width: int) -> dict[str, float]:
    """Operations of an epoch, by part."""
    settings = paper_settings()
    method, sequence = settings.method.tree(), settings.sequence
    shape = Shape(method["layers"], width, method["num_experts"], settings.dim, sequence.num_layers, sequence.ffn_dim)
    total: dict[str, float] = {}
    for batch in batches_of(data, settings):
        for part, count in operations(batch, shape).items():
            total[part] = total.get(part, 0.0) + count
    return total


def measure(data: Dataset, cache: LayerCache, width: int, rounds: int) -> dict[str, Any]:
    steps, each_epoch = ours(data, cache, None if width == cache.width else width)
    dtype = precision(paper_settings().training.precision)
    for _ in range(3):
        next(steps)
    found = alternate(
        {
            "step": lambda: statistics.fmean(islice(steps, STEPS)),
            "product": lambda: product_rate(dtype),
        },
        rounds,
    )
    parts = necessary(data, width)
    shares = [
        sum(parts.values()) / (step * each_epoch) / rate
        for step, rate in zip(found["step"], found["product"], strict=True)
    ]
    return {
        "width": width,
        "precision": str(dtype).removeprefix("torch."),
        "steps_an_epoch": each_epoch,
        "seconds_a_step": found["step"],
        "seconds_an_epoch": statistics.median(found["step"]) * each_epoch,
        "product_rate": found["product"],
        "operations": parts,
        "share": statistics.median(shares),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    data = load(arguments.data)
    cache = LayerCache.open(arguments.cache, data.texts)
    found = {
        **conditions(__file__),
        "data": {"name": arguments.data.name, "fingerprint": data.fingerprint},
        "targets_a_step": TARGETS,
        "widths": [measure(data, cache, width, arguments.rounds) for width in arguments.width or [384, 768]],
    }
    for one in found["widths"]:
        print(
            f"width {one['width']}: {one['seconds_an_epoch']:.2f} s an epoch, "
            f"{sum(one['operations'].values()) / 1e12:.2f}e12 operations, {one['share']:.0%} of the "
            f"{one['precision']} product rate ({statistics.median(one['product_rate']) / 1e9:.0f}e9 a second)"
        )
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
