"""Run folders as training leaves them, without training; and what tables made of them say."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssna.core.files import write_json
from ssna.core.settings import merge
from ssna.evaluation.metrics import summary
from ssna.report import ResultGroup, Table, find, result_groups
from ssna.report.cells import METRICS
from ssna.report.groups import RunFolder
from ssna.report.table import Figure
from ssna.runs import RunRecord
from ssna.runs.record import RANKS
from ssna.training import RunSettings

SCIENTIFIC = {"users": 8442, "items": 4385, "interactions": 59427}
POLICIES = ("exclude_seen", "include_seen")
MODEL = "org/distilbert-base-uncased"


def an_epoch(number: int, loss: float, seconds: float, batches: int, recall: float) -> dict[str, Any]:
    """As a record has it; ``recall`` is R@10 on validation."""
    state = {"distilled": False, "restarted": False}
    return {
        "number": number, "loss": loss, "seconds": seconds, "batches": batches, "valid": {"R@10": recall}, **state
    }  # fmt: skip


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
    """A run of ``epochs`` epochs whose best is the last but one, and its test ranks; ``level`` is its accuracy.

    ``settings`` are merged into the method's defaults.
    """
    defaults = RunSettings.parse({"method": {"name": method}, "seed": seed}).tree()
    rng = np.random.default_rng(seed)
    items = 50
    test = np.array(ranks) if ranks else rng.integers(1, items + 2, users)
    users = len(test)
    means = {policy: summary(test, items) | {"R@10": level, "N@10": level / 2} for policy in POLICIES}
    valid = [level * min(n, epochs - 1) / max(epochs - 1, 1) for n in range(1, epochs + 1)]
    values: dict[str, Any] = {
        "method": method,
        "settings": merge(defaults, settings or {}),
        "seed": seed,
        "fingerprint": "f00d",
        "data": {"name": "scientific", "split": "leave-one-out", **SCIENTIFIC} | (data or {}),
        "cache": None if model is None else {"model": model, "revision": "0" * 40, "pooling": "mean"},
        "epochs": [an_epoch(n, 5 / n, 2.0, 7, valid[n - 1]) for n in range(1, epochs + 1)],
        "batches": 7,
        "best_epoch": max(1, epochs - 1) if epochs else None,
        "ensemble": None,
        "trainable_parameters": 1000,
        "seconds": 2.5 * epochs + 0.3,
        "peak_memory_bytes": 2**28,
        "users": users,
        "items": items,
        "valid": means,
        "test": means,
        "beyond": {policy: {"coverage@10": 0.5, "novelty@10": 9.0, "popular@10": 0.2} for policy in means},
        "machine": {"processor": "a processor", "threads": 1, "device": "cpu"},
        "versions": {"python": "3.11", "ssna": "0.2.0"},
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
        **{f"rank_{policy}": test.tolist() for policy in means},
    }
    pq.write_table(pa.table(table), folder / RANKS)
    return RunFolder(folder, record)


def figures(level: float) -> dict[str, dict[str, float]]:
    """The same for every metric, under both policies."""
    return {policy: dict.fromkeys(METRICS, level) for policy in POLICIES}


def of_grid(entry: str, **configuration: Any) -> dict[str, Any]:
    """What makes a run one of a grid."""
    return {"grid": {"data": "scientific", "entry": entry, "configuration": configuration}}


def group_of(folder: Path) -> ResultGroup:
    """The only one in ``folder``."""
    (found,) = result_groups(find([folder]))
    return found


def values(table: Table, name: str) -> list[Any]:
    """The row of a method, figures as bare numbers."""
    row = next(row for row in table.rows if row[0] == name)
    return [cell.value if isinstance(cell, Figure) else cell for cell in row[table.labels :]]


def column(table: Table, head: str) -> list[Any]:
    """The column below a heading, figures as bare numbers."""
    cells = [row[table.head.index(head)] for row in table.rows]
    return [cell.value if isinstance(cell, Figure) else cell for cell in cells]


def notes_of(table: Table) -> str:
    """All notes, a line each."""
    return "\n".join(table.notes)
