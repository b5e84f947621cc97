"""What the documented commands find: a shop, and the demo as ``make demo`` leaves it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from documented import WHEEL

import shop
import ssna
from ssna.data import save
from ssna.data.holdout import holdout_items
from ssna.runs import demo


@pytest.fixture(scope="session")
def prepared(once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A folder with ``shop/`` and, as ``make demo`` leaves it, ``demo/``; its models are small and learned a little."""
    return once("documented", prepare)


def prepare(folder: Path) -> None:
    shop.write(folder / "shop", customers=260, products=150)
    if not WHEEL.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", WHEEL.parent, "recbole==1.2.1"],
            check=True,
        )
    raw = demo.unpack(WHEEL, folder / "demo")
    films = ssna.prepare(raw, format="recbole", out=folder / "demo" / "films", quiet=True)
    cache = ssna.encode(films, "minilm", folder / "demo" / "cache", quiet=True)
    data, _ = holdout_items(films, demo.HELD_OUT, np.random.default_rng(0))
    save(data, folder / "demo" / "data")
    short = ["training.epochs=1", "training.limit_train_batches=4", "dim=64", "sequence.ffn_dim=64"]
    for name, how in {"best": {"recipe": "best", "settings": short}, "cease": {"method": "cease"}}.items():
        ssna.train(data, cache, out=folder / "demo" / "runs" / name, name="data", quiet=True, **how)
