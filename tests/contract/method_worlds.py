"""Logs with patterns for the contract of methods, and runs on them."""

from dataclasses import dataclass

import numpy as np
import torch

from ssna.data.dataset import Dataset
from ssna.methods import METHODS, TrainedMethod
from ssna.runs import Run, resolve, train
from ssna.text import LayerCache
from ssna.training import RunSettings

ITEMS, DIM = 40, 16
SMALL = [
    f"dim={DIM}",
    "sequence.ffn_dim=16",
    "sequence.dropout=0",
    "loss.name=sampled",
    "training.batch_size=64",
    "training.learning_rate=5e-3",
    "training.precision=fp32",
]
TRAINED = [name for name, method in METHODS.items() if isinstance(method, TrainedMethod)]
READERS = [name for name, method in METHODS.items() if method.needs_text]
PATTERNS = {"popularity": "few items", "text-knn": "like texts"}  # what it can learn; all others: what follows what

GENTLY = ("training.epochs=60", "training.learning_rate=2e-3")
LEARN = {
    "tmlp": ("training.epochs=60",),
    "tmoe": ("training.epochs=60",),
    "lora": GENTLY,
    "adalora": GENTLY,
    "full": GENTLY,
}  # what it takes


def pattern_of(method: str) -> str:
    return PATTERNS.get(method, "what follows what")


@dataclass(frozen=True)
class World:
    """Logs with a pattern, and the states of their items."""

    data: Dataset
    cache: LayerCache


def chain(rng: np.random.Generator) -> list[int]:
    """Item ``i + 1`` always follows item ``i``, and the last one the first."""
    start = rng.integers(ITEMS)
    return [int(step) % ITEMS + 1 for step in range(start, start + rng.integers(6, 10))]


def like_texts(rng: np.random.Generator) -> list[int]:
    """Items of one group of five; their texts begin alike."""
    return (5 * rng.integers(ITEMS // 5) + 1 + rng.permutation(5)).tolist()


def few_items(rng: np.random.Generator) -> list[int]:
    """Everybody takes some of the same eight items."""
    return (1 + rng.permutation(8)[:6]).tolist()


def settings_of(method: str, *assignments: str) -> RunSettings:
    return resolve(method=method, settings=[*SMALL, *assignments])


def run_of(method: str, world: World, *assignments: str, seed: int = 0) -> Run:
    return train(world.data, world.cache, method=method, settings=[*SMALL, *assignments], seed=seed, quiet=True)


SOME_ITEMS = torch.tensor([7, 3, 39, 40, 1, 12])
