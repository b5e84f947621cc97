"""MIND's news (https://msnews.github.io): ``behaviors.tsv`` and ``news.tsv``, tabs between, no headers.

A row of behaviours is an impression: its id, the user, a time such as ``11/15/2019 8:55:22 AM``, the articles that the
user had clicked before, and those shown, with ``-1`` behind what was clicked. The history before has no times, so
events are in order, and have none.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from ssna.core.errors import DataError
from ssna.data.engine import Engine
from ssna.data.sources.attributes import attributes_of
from ssna.data.sources.histories import History
from ssna.data.sources.lines import read_lines
from ssna.data.sources.sequences import events_of
from ssna.data.sources.source import ITEM, Request, Source, require

_BEHAVIORS, _NEWS = "behaviors.tsv", "news.tsv"
_CELLS, _NEWS_CELLS = 5, 8
_COLUMNS = {"title": 3, "abstract": 4, "category": 1, "subcategory": 2}  # and their places


def recognises(path: Path) -> bool:
    """Whether ``path`` is, or is the folder of, ``behaviors.tsv`` beside ``news.tsv``."""
    folder = path if path.is_dir() else path.parent
    return path.name in (folder.name, _BEHAVIORS) and (folder / _BEHAVIORS).is_file() and (folder / _NEWS).is_file()


def read(engine: Engine, request: Request) -> Source:
    """A user's longest history before, then what was clicked, by time. Text is title, abstract and categories.

    Raises:
        DataError: a file is not there or damaged.
    """
    request.refuse("items", "user_col", "item_col", "item_id_col", "time_col", "time_format", "header")
    request.refuse_ratings()
    folder = request.path if request.path.is_dir() else request.path.parent
    behaviors, news = (require(folder / name, folder, name) for name in (_BEHAVIORS, _NEWS))
    names = request.options.text_cols or tuple(_COLUMNS)
    for name in names:
        if name not in _COLUMNS:
            raise DataError(f"{news} has no column {name!r}; it has: {', '.join(_COLUMNS)}")
    rows = [[cells[0], *(cells[place] for place in _COLUMNS.values())] for cells in _rows(news, _NEWS_CELLS)]
    columns = list(zip(*rows, strict=True)) or [()] * (len(_COLUMNS) + 1)
    table = pa.table([pa.array(column, pa.string()) for column in columns], names=[ITEM, *_COLUMNS])
    articles = engine.import_arrow(table)
    return Source(
        events=request.marked(engine.import_arrow(events_of(_histories(behaviors)))),
        parts=articles.select(ITEM, **{f"part_{place}": articles[name] for place, name in enumerate(names, start=1)}),
        timed=False,
        unreadable=0,
        log_files=(behaviors,),
        item_files=(news,),
        columns={"text": list(names)},
        attributes=attributes_of(articles, {name: name for name in _COLUMNS}, request.options, news),
    )


def _histories(path: Path) -> Iterator[History]:
    before: dict[str, list[str]] = {}
    clicks: dict[str, list[tuple[tuple[int, ...], int, str]]] = {}
    for number, (_, user, time, history, shown) in enumerate(_rows(path, _CELLS)):
        items = history.split()
        if len(items) >= len(before.get(user, ())):
            before[user] = items
        clicked = [each.removesuffix("-1") for each in shown.split() if each.endswith("-1")]
        if clicked:
            moment = _moment(path, time)
            clicks.setdefault(user, []).extend((moment, number, item) for item in clicked)
    for user, items in before.items():
        later = sorted(clicks.get(user, ()), key=lambda click: click[:2])
        yield user, items + [item for _, _, item in later]


def _rows(path: Path, count: int) -> Iterator[list[str]]:
    for number, line in read_lines(path):
        cells = line.split("\t")
        if len(cells) != count:
            raise DataError(f"{path}, line {number}: {len(cells)} cells between tabs instead of {count}")
        yield cells


def _moment(path: Path, time: str) -> tuple[int, ...]:
    """Year, month, day, hour, minute, second; ``strptime`` takes ten times as long."""
    try:
        date, clock, half = time.split()
        month, day, year = map(int, date.split("/"))
        hour, minute, second = map(int, clock.split(":"))
    except ValueError:
        raise DataError(f"{path}: the time {time!r} is not written as 11/15/2019 8:55:22 AM") from None
    return year, month, day, hour % 12 + 12 * (half == "PM"), minute, second
