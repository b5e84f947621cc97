"""Small text files, read line by line."""

from collections.abc import Iterator
from pathlib import Path

from ssna.core.errors import DataError
from ssna.data.engine import reading


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers from 1 and lines, blank ones left out. Raises :class:`DataError` if ``path`` cannot be read."""
    with reading(path):
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, line.rstrip("\r")


def read_fields(path: Path, header: tuple[str, ...] | None, count: int) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and ``count`` tab-separated fields, under the ``header`` if there is to be one.

    Raises:
        DataError: the header or the number of fields is another.
    """
    lines = read_lines(path)
    if header is not None and tuple(next(lines, (0, ""))[1].split("\t")) != header:
        raise DataError(f"{path}: the first line must be {' '.join(header)}, with tabs between")
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) != count:
            raise DataError(f"{path}, line {number}: {len(fields)} fields between tabs instead of {count}")
        yield number, fields
