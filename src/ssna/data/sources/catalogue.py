"""The items' own file: any table, one without a header, or one JSON object with an item a key."""

import json
import re
from pathlib import Path

from ssna.data.engine import Engine, reading
from ssna.data.sources.columns import is_known
from ssna.data.sources.delimited import open_headless
from ssna.data.sources.histories import load_object
from ssna.data.sources.json_lines import open_json_lines
from ssna.data.sources.opening import open_file, open_table
from ssna.data.sources.packed import open_binary, plain_name
from ssna.data.sources.place import Place
from ssna.data.sources.sample import first_lines
from ssna.data.sources.tabular import TableFile

_PAIR = ("item", "title")
_KEYED_OBJECTS = re.compile(rb'\s*\{\s*"[^"]*"\s*:\s*\{')


def open_catalogue(engine: Engine, path: Place) -> TableFile:
    """The table of items at ``path``. Raises :class:`ssna.core.errors.DataError` if it is none."""
    if isinstance(path, Path) and path.is_file():
        with reading(path):
            if _is_keyed(path):
                return _open_keyed(engine, path)
            if _is_pair(path):
                return open_file(engine, path, lambda engine, path: open_headless(engine, path, _PAIR, "\t"))
    return open_table(engine, path)


def _is_keyed(path: Path) -> bool:
    """Whether it is ``{item: {title: ...}}``, and not an object a line."""
    if not plain_name(path).endswith(".json"):
        return False
    with open_binary(path) as file:
        if not _KEYED_OBJECTS.match(file.read(1 << 16)):
            return False
    lines = first_lines(path, 2)
    return len(lines) < 2 or not lines[1].startswith("{")


def _open_keyed(engine: Engine, path: Path) -> TableFile:
    rewritten = engine.folder / f"{engine.new_name()}.jsonl"
    with rewritten.open("w", encoding="utf-8") as file:
        for item, described in load_object(path).items():
            row = described if isinstance(described, dict) else {"title": described}
            file.write(json.dumps({"item": item, **{key: value for key, value in row.items() if key != "item"}}) + "\n")
    found = open_json_lines(engine, rewritten)
    names = ("item", *(name for name in found.names if name != "item"))
    return TableFile(path, names, found.read, files=(path,), sample=found.sample, looks=True)


def _is_pair(path: Path) -> bool:
    """Whether it has two columns, tabs between, and a first line that names neither."""
    if not plain_name(path).endswith((".tsv", ".txt")):
        return False
    lines = first_lines(path)
    return bool(lines) and {line.count("\t") for line in lines} == {1} and not any(map(is_known, lines[0].split("\t")))
