"""Whole histories, oldest first, as published code keeps them.

============================================  ===========================================  ==========================
events                                        items                                        of
============================================  ===========================================  ==========================
``sequences.txt``: ``user item item ...``     ``items.tsv``, with a header                 ssna
any file of such lines, or with one tab       any table; two columns need no header        P5, TIGER, MoRec, MicroLens
``{user: [item, ...]}`` in one JSON object    ``{item: {title: ...}}``                     LC-Rec, LETTER
``train.json``, ``val.json``, ``test.json``   ``meta_data.json``, and two maps of indices  RecFormer
============================================  ===========================================  ==========================
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa

from ssna.core.errors import DataError
from ssna.data.engine import Engine, reading
from ssna.data.sources.attributes import attribute_rows, wanted
from ssna.data.sources.catalogue import open_catalogue
from ssna.data.sources.columns import text_names
from ssna.data.sources.histories import History, is_file_of_lines, is_keyed, load_object, of_lines, of_object
from ssna.data.sources.opening import open_tsv
from ssna.data.sources.source import ITEM, USER, WHEN, Request, Source, unreadable_items
from ssna.data.sources.tabular import TableFile
from ssna.data.sources.values import as_id, as_text

_SEQUENCES, _ITEMS = "sequences.txt", "items.tsv"
_PARTS, _USERS, _INDEX, _META = ("train.json", "val.json", "test.json"), "umap.json", "smap.json", "meta_data.json"
_NOT_TEXT = ("item", "asin")


def recognises(path: Path) -> bool:
    """Whether ``path`` is a file of histories, or a folder with those of a known name."""
    if (path / _SEQUENCES).is_file() or path.name == _SEQUENCES or _is_indexed(path):
        return path.exists()
    with reading(path):
        return is_keyed(path) or is_file_of_lines(path)


def read(engine: Engine, request: Request) -> Source:
    """Read events and items. Text is every column of ``items.tsv`` but the ids, the usual columns of another table, or
    the columns named.

    Raises:
        DataError: a file or a column is not there, or a user stands on two lines.
    """
    request.refuse("user_col", "item_col", "time_col", "time_format", "header")
    request.refuse_ratings()
    histories, files, beside = _open(request.path)
    events = request.marked(engine.import_arrow(events_of(histories)))
    if request.items is not None or beside is None:
        catalogue = None if request.items is None else open_catalogue(engine, request.items)
        names = () if catalogue is None else request.options.text_cols or text_names(catalogue.names)
    else:
        catalogue = open_tsv(engine, beside) if beside.name == _ITEMS else open_catalogue(engine, beside)
        names = request.options.text_cols or _names_beside(catalogue)
    if catalogue is None:
        return Source(events=events, parts=None, timed=False, unreadable=0, log_files=files)
    texts = {f"part_{place}": (name, as_text) for place, name in enumerate(names, start=1)}
    item = request.options.item_id_col or catalogue.names[0]
    shelf = catalogue.select({ITEM: (item, as_id)} | texts | wanted(catalogue, request.options))
    return Source(
        events=events,
        parts=shelf.table.select(ITEM, *texts) if texts else None,
        timed=False,
        unreadable=0,
        log_files=files,
        item_files=catalogue.files,
        columns={"text": list(names)},
        attributes=attribute_rows(catalogue, request.options, shelf.table),
        notes=unreadable_items(catalogue.path, shelf),
    )


def events_of(histories: Iterable[History]) -> pa.Table:
    """User, item, and the place in the history."""
    users: list[str] = []
    items: list[str] = []
    places: list[int] = []
    for user, history in histories:
        users += [user] * len(history)
        items += history
        places += range(len(history))
    return pa.table(
        {USER: users, ITEM: items, WHEN: places},
        schema=pa.schema({USER: pa.string(), ITEM: pa.string(), WHEN: pa.int64()}),
    )


def _open(path: Path) -> tuple[Iterator[History], tuple[Path, ...], Path | None]:
    """Histories, the files that they are in, and the items' file that stands beside them."""
    if _is_indexed(path):
        meta = path / _META
        return _of_parts(path), tuple(path / name for name in _PARTS), meta if meta.is_file() else None
    file = path / _SEQUENCES if path.is_dir() else path
    if not file.is_file():
        raise DataError(f"{path} has no {_SEQUENCES}; check the path, or name another format")
    items = file.with_name(_ITEMS)
    beside = items if file.name == _SEQUENCES and items.is_file() else None
    with reading(file):
        return of_object(file) if is_keyed(file) else of_lines(file), (file,), beside


def _is_indexed(path: Path) -> bool:
    return all((path / name).is_file() for name in (*_PARTS, _INDEX))


def _of_parts(folder: Path) -> Iterator[History]:
    """RecFormer's histories, cut into training, validation and test; indices become ids by their maps."""
    parts = [dict(of_object(folder / name)) for name in _PARTS]
    items = {str(index): item for item, index in load_object(folder / _INDEX).items()}
    users: dict[str, str] = {}
    if (folder / _USERS).is_file():
        users = {str(index): user for user, index in load_object(folder / _USERS).items()}
    for user in parts[0]:
        history = chain.from_iterable(part.get(user, ()) for part in parts)
        yield users.get(user, user), [items.get(item, item) for item in history]


def _names_beside(catalogue: TableFile) -> tuple[str, ...]:
    if not isinstance(catalogue.path, Path) or catalogue.path.name != _ITEMS:
        return text_names(catalogue.names)
    return tuple(name for name in catalogue.names if name.lower() not in _NOT_TEXT)
