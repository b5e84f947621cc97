"""Small logs and folders for the tests of the data layer, and what to expect of them."""

import csv
import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssna.data import Dataset, Histories, IdMap, prepare

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
COLUMNS = ("user", "item", "time", "title")

Row = Sequence[Any]


def square(users: int = 6, items: int = 6) -> list[tuple[str, str, int, str]]:
    """Every user takes every item, user ``u`` beginning with item ``u``: a log that meets the 5-core."""
    return [
        (f"u{user}", f"i{(user + step) % items}", 1_000 + step, f"Title {(user + step) % items}")
        for user in range(users)
        for step in range(items)
    ]


def ready(path: Path, **options: Any) -> Dataset:
    return prepare(path, quiet=True, **options)


def write_bytes(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def write_csv(path: Path, rows: Iterable[Row], columns: Sequence[str] = COLUMNS, delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([columns, *rows])
    return path


def log_bytes(folder: Path) -> bytes:
    """A CSV of a log that meets the 5-core."""
    return write_csv(folder / "good.csv", square()).read_bytes()


def write_parquet(path: Path, rows: Iterable[Row], columns: Sequence[str] = COLUMNS) -> Path:
    pq.write_table(pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))), path)
    return path


def write_json_lines(path: Path, rows: Iterable[Row], columns: Sequence[str] = COLUMNS) -> Path:
    path.write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows), encoding="utf-8")
    return path


def atomic(path: Path, rows: Iterable[Row], header: Row) -> None:
    """One of RecBole's files."""
    path.write_text("\n".join("\t".join(map(str, row)) for row in [header, *rows]) + "\n", encoding="utf-8")


def histories(dataset: Dataset) -> dict[str, list[str]]:
    """Outside ids throughout."""
    rows = dataset.histories.ragged
    return {user: dataset.items.ids(row) for user, row in zip(dataset.users.external, rows, strict=True)}


def texts(dataset: Dataset) -> dict[str, str]:
    return dict(zip(dataset.items.external, dataset.texts[1:], strict=True))


def times(dataset: Dataset) -> dict[str, list[int]] | None:
    """User -> seconds since 1970; None where there are no times."""
    stamps, offsets = dataset.histories.times, dataset.histories.offsets
    if stamps is None:
        return None
    rows = (stamps[start:stop].tolist() for start, stop in pairwise(offsets))
    return dict(zip(dataset.users.external, rows, strict=True))


def dropped(dataset: Dataset) -> dict[str, int]:
    """The reasons that occurred."""
    return {reason: count for reason, count in dataset.manifest["dropped"].items() if count}


def timed(rows: Sequence[Sequence[tuple[int, int]]], max_history: int = 50, protocol: Any = "time") -> Dataset:
    """Users ``u0``, ...: each a list of (item row, second)."""
    items, times = np.array([event for row in rows for event in row], dtype=np.int64).reshape(-1, 2).T
    names = tuple(f"i{row}" for row in range(1, int(items.max(initial=0)) + 1))
    return Dataset(
        users=IdMap(tuple(f"u{user}" for user in range(len(rows)))),
        items=IdMap(names),
        texts=("", *(f"text of {name}" for name in names)),
        histories=Histories(items.astype(np.int32), times, np.cumsum([0, *map(len, rows)])),
        max_history=max_history,
        protocol=protocol,
    )
