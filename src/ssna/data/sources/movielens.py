"""MovieLens of every size, as GroupLens publishes it (https://grouplens.org/datasets/movielens/).

=====================  =============================================  ================================================
100K                   ``u.data``: user, item, rating, time (tabs)    ``u.item``: id|title|dates|url|19 flags; u.genre
1M, 10M                ``ratings.dat``, with ``::`` between           ``movies.dat``: id::title::genre|genre
20M to 32M, latest     ``ratings.csv``, with a header                 ``movies.csv``: movieId,title,genres
=====================  =============================================  ================================================

The text of a film is its title and its genres. The smaller ones are written in Latin-1.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from ibis import Table

from ssna.core.errors import DataError
from ssna.data.engine import Engine, reading
from ssna.data.sources.attributes import attributes_of
from ssna.data.sources.delimited import open_headless
from ssna.data.sources.opening import open_file, open_table
from ssna.data.sources.packed import first_line
from ssna.data.sources.source import ITEM, RATING, USER, WHEN, Request, Source, require
from ssna.data.sources.tabular import TableFile
from ssna.data.sources.values import as_id, as_microseconds, as_number, as_text
from ssna.data.where import condition_columns, selected

_NO_GENRES = "(no genres listed)"
_COLUMNS = ("userId", "movieId", "rating", "timestamp")
_FILMS = pa.schema(
    [(ITEM, pa.string()), ("part_1", pa.string()), ("part_2", pa.string()), ("genres", pa.list_(pa.string()))]
)
_ATTRIBUTES = {"title": "part_1", "genres": "genres"}
_FLAGS = 5  # the place of the first of the genres in u.item


@dataclass(frozen=True)
class _Kind:
    ratings: str
    films: str
    open_ratings: Callable[[Engine, Path], TableFile]
    read_films: Callable[[Engine, Path], Table]


def recognises(path: Path) -> bool:
    """Whether ``path`` is, or is a folder with, the ratings of MovieLens beside its films."""
    found = _find(path)
    if found is None:
        return False
    folder, kind = found
    if kind.ratings != "ratings.csv":
        return True
    with reading(folder / kind.ratings):
        return first_line(folder / kind.ratings).split(",") == list(_COLUMNS)


def read(engine: Engine, request: Request) -> Source:
    """Read ratings and films.

    Raises:
        DataError: a file is not there or damaged.
    """
    items = request.items
    if items is not None and not (isinstance(items, Path) and items.name in {kind.films for kind in KINDS}):
        request.refuse("items")
    request.refuse_order()
    request.refuse(
        "header", "time_format", "item_id_col", "user_col", "item_col", "time_col", "text_cols", "rating_col"
    )
    found = _find(request.path)
    if found is None:
        names = ", or ".join(f"{kind.ratings} beside {kind.films}" for kind in KINDS)
        raise DataError(f"{request.logs} has no {names}; check the path, or name another format")
    folder, kind = found
    ratings, films = folder / kind.ratings, require(folder / kind.films, folder, kind.films)
    user, item, rating, time = _COLUMNS
    events = {USER: (user, as_text), ITEM: (item, as_text), WHEN: (time, as_microseconds)}
    if request.options.rated:
        events[RATING] = (rating, as_number)
    conditions = {new: (name, as_text) for new, name in condition_columns(request.options).items()}
    rows = kind.open_ratings(engine, ratings).select(events | conditions)
    described = kind.read_films(engine, films)
    return Source(
        events=rows.table.select(*events, **selected(rows.table, request.options)),
        parts=described.select(ITEM, "part_1", "part_2"),
        timed=True,
        unreadable=rows.unreadable,
        log_files=(ratings,),
        item_files=(films,),
        columns={"user": user, "item": item, "time": time, **({"rating": rating} if request.options.rated else {})},
        attributes=attributes_of(described, _ATTRIBUTES, request.options, films),
    )


def _find(path: Path) -> tuple[Path, _Kind] | None:
    for kind in KINDS:
        folder = path if path.is_dir() else path.parent
        named = path.is_dir() or path.name == kind.ratings
        if named and (folder / kind.ratings).is_file() and (folder / kind.films).is_file():
            return folder, kind
    return None


def _open_tabs(engine: Engine, path: Path) -> TableFile:
    return open_file(engine, path, lambda engine, path: open_headless(engine, path, _COLUMNS, "\t"))


def _open_colons(engine: Engine, path: Path) -> TableFile:
    return open_file(engine, path, lambda engine, path: open_headless(engine, path, _COLUMNS, "::"))


def _flagged_films(engine: Engine, path: Path) -> Table:
    genres = [name for name, *_ in _cells(require(path.with_name("u.genre"), path.parent, "u.genre"), "|", 2)]

    def film(cells: list[str]) -> tuple[str, str, list[str]]:
        flags = zip(genres, cells[_FLAGS:], strict=True)
        return cells[0], cells[1], [name for name, flag in flags if flag == "1" and name != "unknown"]

    return _table(engine, map(film, _cells(path, "|", _FLAGS + len(genres))))


def _listed_films(engine: Engine, path: Path) -> Table:
    return _table(engine, ((item, title, _genres(genres)) for item, title, genres in _cells(path, "::", 3)))


def _films_of_csv(engine: Engine, path: Path) -> Table:
    films = open_table(engine, path).select({name: (name, as_id) for name in ("movieId", "title", "genres")}).table
    rows = films.to_pyarrow().to_pylist()
    return _table(engine, ((row["movieId"], row["title"], _genres(row["genres"] or "")) for row in rows))


def _genres(text: str) -> list[str]:
    return [] if text == _NO_GENRES else text.split("|")


def _table(engine: Engine, films: Iterator[tuple[str, str, list[str]]]) -> Table:
    rows = [(item, title, ", ".join(genres), genres) for item, title, genres in films]
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    return engine.import_arrow(pa.table(list(columns), schema=_FILMS))


def _cells(path: Path, delimiter: str, count: int) -> Iterator[list[str]]:
    """The cells of every line that is not blank. Raises :class:`DataError` if there are not ``count``."""
    with reading(path):
        content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    for number, line in enumerate(text.split("\n"), start=1):
        cells = line.rstrip("\r").split(delimiter)
        if line.strip() and len(cells) != count:
            raise DataError(f"{path}, line {number}: {len(cells)} cells between {delimiter!r} instead of {count}")
        if line.strip():
            yield cells


KINDS = (
    _Kind("u.data", "u.item", _open_tabs, _flagged_films),
    _Kind("ratings.dat", "movies.dat", _open_colons, _listed_films),
    _Kind("ratings.csv", "movies.csv", open_table, _films_of_csv),
)
