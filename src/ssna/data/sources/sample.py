"""The first rows of a file, read in Python: what is guessed of a file is guessed alike for every engine."""

import csv
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ssna.data.sources.literals import as_json, is_literal
from ssna.data.sources.packed import byte_lines

ROWS = 1_000

Sample = list[Mapping[str, Any]]
"""Column -> value; a row that cannot be taken apart is not there."""


def first_lines(path: Path, count: int = ROWS) -> list[str]:
    """At most ``count`` lines that are not blank, without their ends; what is not UTF-8 is replaced."""
    lines = (
        line.decode("utf-8-sig" if place == 0 else "utf-8", "replace") for place, line in enumerate(byte_lines(path))
    )
    return list(islice((line.rstrip("\r\n") for line in lines if line.strip()), count))


def of_cells(path: Path, names: tuple[str, ...], delimiter: str, quote: str, skip: int) -> Sample:
    """Rows of text; ``skip`` lines stand before the first."""
    return [
        dict(zip(names, row, strict=True))
        for row in _rows(first_lines(path)[skip:], delimiter, quote)
        if len(row) == len(names)
    ]


def of_objects(path: Path) -> Sample:
    """Rows of JSON lines, or of Python's dictionaries."""
    return list(_objects(first_lines(path)))


def of_parquet(path: Path) -> Sample:
    """Rows of Parquet."""
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=ROWS), None)
    try:
        return [] if batch is None else batch.to_pylist()
    except (UnicodeDecodeError, ValueError, OverflowError):  # the engine says what is wrong, if it needs that column
        return []


def _rows(lines: list[str], delimiter: str, quote: str) -> Iterator[list[str]]:
    if len(delimiter) > 1 or not quote:
        yield from (line.split(delimiter) for line in lines)
        return
    try:
        yield from csv.reader(lines, delimiter=delimiter, quotechar=quote)
    except csv.Error:
        return


def _objects(lines: list[str]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            value = json.loads(as_json(line) if is_literal(line) else line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
