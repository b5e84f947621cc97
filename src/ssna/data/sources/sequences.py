"""A folder with ``sequences.txt`` (a line a user: ``user item item ...``, oldest first) and ``items.tsv``."""

from pathlib import Path

import pyarrow as pa

from ssna.core.errors import DataError
from ssna.data.engine import Engine
from ssna.data.sources.lines import read_lines
from ssna.data.sources.opening import open_tsv
from ssna.data.sources.source import ITEM, USER, WHEN, Request, Source, require
from ssna.data.sources.values import as_id, as_text

_SEQUENCES = "sequences.txt"
_ITEMS = "items.tsv"
_NOT_TEXT = ("item", "asin")


def recognises(path: Path) -> bool:
    """Whether ``path`` is ``sequences.txt`` or a folder that holds it."""
    return (path / _SEQUENCES).is_file() or (path.name == _SEQUENCES and path.is_file())


def read(engine: Engine, request: Request) -> Source:
    """Read both files. Text is every column of the items but the ids, or the columns named.

    Raises:
        DataError: a file or a column is not there, or a user stands on two lines.
    """
    request.refuse("items", "user_col", "item_col", "time_col")
    request.refuse_ratings()
    folder = request.path if request.path.is_dir() else request.path.parent
    sequences = require(folder / _SEQUENCES, folder, _SEQUENCES)
    catalogue = open_tsv(engine, require(folder / _ITEMS, folder, _ITEMS))
    names = request.options.text_cols
    if names is None:
        names = tuple(name for name in catalogue.names if name.lower() not in _NOT_TEXT)
    texts = {f"part_{place}": (name, as_text) for place, name in enumerate(names, start=1)}
    return Source(
        events=engine.import_arrow(_events(sequences)),
        parts=catalogue.select({ITEM: ("item", as_id)} | texts).table if texts else None,
        timed=False,
        unreadable=0,
        log_files=(sequences,),
        item_files=catalogue.files,
    )


def _events(path: Path) -> pa.Table:
    line_of: dict[str, int] = {}
    users: list[str] = []
    items: list[str] = []
    places: list[int] = []
    for number, line in read_lines(path):
        user, *history = line.split()
        if user in line_of:
            raise DataError(f"{path}: user {user} stands on lines {line_of[user]} and {number}; keep one line a user")
        line_of[user] = number
        users += [user] * len(history)
        items += history
        places += range(len(history))
    return pa.table(
        {USER: users, ITEM: items, WHEN: places},
        schema=pa.schema({USER: pa.string(), ITEM: pa.string(), WHEN: pa.int64()}),
    )
