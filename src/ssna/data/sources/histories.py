"""Files with a history a line, or a history a key: whether a file is one, and what it holds."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ssna.core.errors import DataError
from ssna.data.sources.columns import is_known
from ssna.data.sources.lines import read_lines
from ssna.data.sources.packed import open_binary, plain_name
from ssna.data.sources.sample import first_lines

History = tuple[str, list[str]]

_SUFFIXES = (".txt", ".tsv", ".csv", ".dat", ".data", ".seq")
_OF_TABLES = ",;|"  # delimiters that no file of histories has
_WIDE = 4  # cells of a row; narrower rows of one length are a table
_MOST = 0.5
_KEYED_LISTS = re.compile(rb'\s*\{\s*"[^"]*"\s*:\s*\[')
_LARGEST = 1 << 31  # bytes of JSON that is read at once


def is_file_of_lines(path: Path) -> bool:
    """Whether the first lines of ``path`` are ``user item item ...``, or a user, a tab and items."""
    if not path.is_file() or not plain_name(path).endswith(_SUFFIXES):
        return False
    lines = [line.strip() for line in first_lines(path)]
    if not lines or any(letter in line for line in lines for letter in _OF_TABLES):
        return False
    tabs = {line.count("\t") for line in lines}
    if tabs == {1}:
        return not _is_header(lines[0]) and _are_lists([line.split("\t")[1].split() for line in lines])
    return tabs == {0} and not _is_header(lines[0]) and _are_rows([line.split() for line in lines])


def of_lines(path: Path) -> Iterator[History]:
    """Users and their items, oldest first. Raises :class:`DataError` for a user on two lines."""
    line_of: dict[str, int] = {}
    for number, line in read_lines(path):
        user, items = (
            line.split("\t") if line.count("\t") == 1 else line.split(maxsplit=1) if " " in line else (line, "")
        )
        user = user.strip()
        if user in line_of:
            raise DataError(f"{path}: user {user} stands on lines {line_of[user]} and {number}; keep one line a user")
        line_of[user] = number
        yield user, items.split()


def is_keyed(path: Path) -> bool:
    """Whether ``path`` is one JSON object of lists, ``{user: [item, ...]}``, and not an object a line."""
    if not path.is_file() or not plain_name(path).endswith(".json"):
        return False
    with open_binary(path) as file:
        if not _KEYED_LISTS.match(file.read(1 << 16)):
            return False
    lines = first_lines(path, 2)
    if len(lines) == 2 and lines[1].startswith("{"):
        return False
    return not any(is_known(key) for key in re.findall(r'"([^"]*)"\s*:', lines[0])[:20])


def of_object(path: Path) -> Iterator[History]:
    """Users and their items, oldest first. Raises :class:`DataError` if a value is no list of ids."""
    for user, items in load_object(path).items():
        if not isinstance(items, list) or any(isinstance(item, list | dict) for item in items):
            raise DataError(f"{path}: user {user} has {str(items)[:40]!r} in the place of a list of items")
        yield user, [str(item) for item in items if item is not None]


def load_object(path: Path) -> dict[str, Any]:
    """One JSON object. Raises :class:`DataError` if it is none."""
    if path.stat().st_size > _LARGEST:
        raise DataError(f"{path} is one JSON object of more than {_LARGEST >> 30} GiB; write one object a line")
    try:
        with open_binary(path) as file:
            found = json.loads(file.read())
    except (ValueError, RecursionError) as cause:
        raise DataError(f"{path} is no JSON: {cause}; get the file anew") from None
    if not isinstance(found, dict):
        raise DataError(f"{path} is no JSON object; it must be one, with ids as keys")
    return found


def _is_header(line: str) -> bool:
    return any(map(is_known, re.split(r"[ \t]+", line)))


def _are_lists(rows: Sequence[Sequence[str]]) -> bool:
    return sum(len(row) > 1 for row in rows) > _MOST * len(rows)


def _are_rows(rows: Sequence[Sequence[str]]) -> bool:
    """Rows of many lengths; or of one, if the items of one column stand in the others as well."""
    lengths = {len(row) for row in rows}
    if min(lengths) < 2:
        return False
    if len(lengths) > 1:
        return True
    (width,) = lengths
    columns = [{row[place] for row in rows} for place in range(1, width)]
    return width >= _WIDE and all(_overlap(columns, place) >= _MOST for place in range(len(columns)))


def _overlap(columns: Sequence[set[str]], place: int) -> float:
    others = set().union(*(column for other, column in enumerate(columns) if other != place))
    return len(columns[place] & others) / len(columns[place])
