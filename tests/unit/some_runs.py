"""Run folders as training leaves them, without training."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssna.core.files import write_json
from ssna.evaluation.metrics import summary
from ssna.report.groups import RunFolder
from ssna.runs import RunRecord
from ssna.runs.record import RANKS

SCIENTIFIC = {"users": 8442, "items": 4385, "interactions": 59427}
SSNA = {"layers": 2, "integrate": "gru", "ids": False}
MODEL = "org/distilbert-base-uncased"


def make_run(
    folder: Path,
    *,
    method: str = "ssna",
    seed: int = 0,
    level: float = 0.1,
    epochs: int = 3,
    settings: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    model: str | None = MODEL,
    users: int = 40,
    events: list[int] | None = None,
    history: list[int] | None = None,
    ranks: list[int] | None = None,
    **changes: Any,
) -> RunFolder:
    """A run of ``epochs`` epochs whose best is the last but one, and its test ranks; ``level`` is its accuracy."""
    rng = np.random.default_rng(seed)
    items = 50
    test = np.array(ranks) if ranks else rng.integers(1, items + 2, users)
    users = len(test)
    figures = {policy: summary(test, items) | {"R@10": level, "N@10": level / 2} for policy in
               ("exclude_seen", "include_seen")}  # fmt: skip
    valid = [level * min(n, epochs - 1) / max(epochs - 1, 1) for n in range(1, epochs + 1)]
    values: dict[str, Any] = {
        "method": method,
        "settings": {"method": {"name": method} | (SSNA if method == "ssna" else {}), "seed": seed} | (settings or {}),
        "seed": seed,
        "fingerprint": "f00d",
        "data": {"name": "scientific", "split": "leave-one-out", **SCIENTIFIC} | (data or {}),
        "cache": None if model is None else {"model": model, "revision": "0" * 40, "pooling": "mean"},
        "epochs": [
            {"number": n, "loss": 5 / n, "seconds": 2.0, "batches": 7, "valid": {"R@10": valid[n - 1]}}
            for n in range(1, epochs + 1)
        ],
        "batches": 7,
        "best_epoch": max(1, epochs - 1) if epochs else None,
        "join": None,
        "trainable_parameters": 1000,
        "seconds": 2.5 * epochs + 0.3,
        "peak_memory_bytes": 2**28,
        "users": users,
        "items": items,
        "valid": figures,
        "test": figures,
        "beyond": {policy: {"coverage@10": 0.5, "novelty@10": 9.0, "popular@10": 0.2} for policy in figures},
        "machine": {"processor": "a processor", "threads": 1, "device": "cpu"},
        "versions": {"python": "3.11", "ssna": "0.1.0"},
        "commit": "c0ffee",
    }
    record = RunRecord(**values | changes)
    folder.mkdir(parents=True)
    write_json(folder / "record.json", asdict(record))
    table = {
        "split": ["test"] * users,
        "items": [items] * users,
        "history": history or rng.integers(2, 30, users).tolist(),
        "events": events or rng.integers(0, 80, users).tolist(),
        **{f"rank_{policy}": test.tolist() for policy in figures},
    }
    pq.write_table(pa.table(table), folder / RANKS)
    return RunFolder(folder, record)
