"""A log of any size for ``prepare.py``: items by Zipf's law, log-normal activity of users, baskets that share a second,
gaps. The same rows for the same size and seed; written a million at a time, so that memory stays small.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

ROWS_A_USER, ROWS_AN_ITEM = 12, 50
SPREAD = 1.2  # sigma of the logarithm of users' activity
BASKET = 0.15  # share of rows that have user and second of the row before
GAPS = 0.002  # share of rows without a user, and of those without a time
UNTITLED = 0.01  # share of items
FIRST, LAST = 1_420_070_400, 1_735_689_600  # 2015 to 2024, in seconds since 1970
CHUNK = 1_000_000

LOG_SCHEMA = pa.schema({"user": pa.string(), "item": pa.string(), "time": pa.int64()})


def write_log(folder: Path, rows: int, kind: str, seed: int) -> tuple[Path, Path]:
    """``log.KIND`` (user, item, time in seconds; by time) and ``items.KIND`` (item, title) in ``folder``."""
    rng = np.random.default_rng(seed)
    users = _ids("A", max(rows // ROWS_A_USER, 20), rng)
    items = _ids("B", max(rows // ROWS_AN_ITEM, 20), rng)
    log, catalogue = folder / f"log.{kind}", folder / f"items.{kind}"
    _write(catalogue, iter([_catalogue(items, rng)]))
    _write(log, _chunks(users, items, rows, rng))
    return log, catalogue


def _ids(letter: str, count: int, rng: np.random.Generator) -> pa.Array:
    """Distinct ids such as ``A004711002342``, in no order."""
    numbers = pa.array(rng.permutation(count) * 7919 + 2342)
    padded = pa.compute.utf8_lpad(numbers.cast(pa.string()), width=12, padding="0")
    return pa.compute.binary_join_element_wise(letter, padded, "")


def _catalogue(items: pa.Array, rng: np.random.Generator) -> pa.Table:
    words = pa.array(["steel", "cotton", "small", "blue", "garden", "lamp", "cable", "brush", "mug", "kit"])
    columns = [words.take(pa.array(rng.integers(len(words), size=len(items)))) for _ in range(4)]
    titles = pa.compute.binary_join_element_wise(*columns, items, " ")
    titled = pa.array(rng.random(len(items)) >= UNTITLED)
    return pa.table({"item": items, "title": pa.compute.if_else(titled, titles, None)})


def _chunks(users: pa.Array, items: pa.Array, rows: int, rng: np.random.Generator) -> Iterator[pa.Table]:
    activity = np.cumsum(rng.lognormal(sigma=SPREAD, size=len(users)))
    popularity = np.cumsum(1 / np.arange(5, len(items) + 5))
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        begin, end = (FIRST + (LAST - FIRST) * place // rows for place in (start, start + count))
        user = _draw(activity, count, rng)
        time = np.sort(rng.integers(begin, end, size=count))
        before = np.maximum.accumulate(np.where(rng.random(count) < BASKET, 0, np.arange(count)))
        yield pa.table(
            {
                "user": _with_gaps(users.take(pa.array(user[before])), rng),
                "item": items.take(pa.array(_draw(popularity, count, rng))),
                "time": _with_gaps(pa.array(time[before]), rng),
            },
            schema=LOG_SCHEMA,
        )


def _draw(cumulative: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    drawn: NDArray[np.int64] = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
    return drawn


def _with_gaps(column: pa.Array, rng: np.random.Generator) -> pa.Array:
    return pa.compute.if_else(pa.array(rng.random(len(column)) >= GAPS), column, None)


def _write(path: Path, tables: Iterator[pa.Table]) -> None:
    first = next(tables)
    opened = pyarrow.csv.CSVWriter if path.suffix == ".csv" else pq.ParquetWriter
    with opened(path, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
