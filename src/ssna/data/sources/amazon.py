"""Amazon reviews and ratings of 2014, 2018 and 2023, and the meta files with the items' texts.

=======  ==========================================  ==============================================  =================
release  reviews, one object a line                  ratings                                         text in meta
=======  ==========================================  ==============================================  =================
2014     reviewerID, asin, unixReviewTime            no header; user, item, rating, time             title, categories
                                                                                                     (nested), brand
2018     as 2014                                     no header; **item, user**, rating, time         title, category,
                                                                                                     brand
2023     user_id, parent_asin, timestamp (in ms)     a header with these names                       title, categories,
                                                                                                     store
=======  ==========================================  ==============================================  =================

Sources: https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html, https://nijianmo.github.io/amazon/,
https://amazon-reviews-2023.github.io. Columns are known by their names, so no release has to be named.
"""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq

from ssna.core.errors import DataError, option
from ssna.data.engine import Engine, Rows, reading
from ssna.data.options import PrepareOptions
from ssna.data.sources.attributes import attribute_rows, wanted
from ssna.data.sources.delimited import open_headless
from ssna.data.sources.literals import as_json, is_literal
from ssna.data.sources.opening import files_at, open_file, open_table, tables_at
from ssna.data.sources.packed import first_line, plain_name
from ssna.data.sources.sample import first_lines
from ssna.data.sources.source import ITEM, RATING, USER, WHEN, Request, Source, listed, unreadable_items
from ssna.data.sources.tabular import TableFile, stacked
from ssna.data.sources.values import as_id, as_microseconds, as_number, as_raw_id, as_text
from ssna.data.where import condition_columns, selected

# In the order of asking: lines of 2023 have both parent_asin and asin, and meta files speak of the first.
_USER = ("reviewerID", "user_id")
_ITEM = ("parent_asin", "asin")
_TIME = ("unixReviewTime", "timestamp")
_RATING = ("overall", "rating")
_TEXT = (("title",), ("categories", "category"), ("brand", "store"))

_PLACES = ("1", "2", "3", "4")  # the columns of a file without a header
_ASIN = r"^(B[0-9A-Z]{9}|[0-9]{9}[0-9X])$"
_LETTERED = re.compile("B[0-9A-Z]{9}|A[0-9A-Z]{9,25}")  # an item or a user; numbers alone could be anybody's
_RATINGS_LINE = re.compile(r"[^,]+,[^,]+,\d(\.\d+)?,\d{9,}")
_SURE = 0.99  # 2014 has a few users whose ids look like items


def recognises(path: Path) -> bool:
    """Whether the first file at ``path`` begins as reviews or ratings of Amazon do."""
    found = tables_at(path)
    if not found or found[0].stat().st_size == 0:
        return False
    with reading(found[0]):
        if _is_headless(found[0]):
            cells = (line.split(",")[:2] for line in first_lines(found[0]))
            return any(_LETTERED.fullmatch(cell) for row in cells for cell in row)
        if plain_name(found[0]).endswith(".parquet"):
            names = set(pq.read_schema(found[0]).names)
        else:
            line = first_line(found[0])
            names = set(_keys(line)) or {name.strip() for name in line.split(",")}
    return {"reviewerID", "asin"} <= names or {"user_id", "parent_asin"} <= names


def read(engine: Engine, request: Request) -> Source:
    """Read the logs, and the texts from the meta file: title, categories and brand (or store).

    Raises:
        DataError: a file or a column is not there or cannot be read; or a file of ratings has no header, and its values
            do not tell users from items.
    """
    request.refuse_order()
    request.refuse("header", "time_format")
    options, log = request.options, _open_log(engine, request.path)
    if log.names == _PLACES:
        user, item = _places(log, options)
        rating, time = options.rating_col or "3", options.time_col or "4"
    else:
        user, item, time = (
            given or _name(log, known, role)
            for given, known, role in (
                (options.user_col, _USER, "user"),
                (options.item_col, _ITEM, "item"),
                (options.time_col, _TIME, "time"),
            )
        )
        rating = options.rating_col or (_name(log, _RATING, "rating") if options.rated else "")
    events = {USER: (user, as_raw_id), ITEM: (item, as_raw_id), WHEN: (time, as_microseconds)}
    if options.rated:
        events[RATING] = (rating, as_number)
    conditions = {new: (name, as_text) for new, name in condition_columns(options).items()}
    rows = log.select(events | conditions)
    catalogue = None if request.items is None else open_table(engine, request.items)
    names = () if catalogue is None else _text_names(catalogue, options)
    found = None if catalogue is None else _parts(catalogue, names, options)
    return Source(
        events=rows.table.select(*events, **selected(rows.table, options)),
        parts=None if found is None else found.table.select(ITEM, *(f"part_{n}" for n in range(1, len(names) + 1))),
        timed=True,
        unreadable=rows.unreadable,
        log_files=log.files,
        item_files=() if catalogue is None else catalogue.files,
        columns={
            **{"user": user, "item": item, "time": time, **({"rating": rating} if options.rated else {})},
            "text": list(names),
        },
        attributes=None if catalogue is None or found is None else attribute_rows(catalogue, options, found.table),
        notes=() if found is None or request.items is None else unreadable_items(request.items, found),
    )


def _open_log(engine: Engine, path: Path) -> TableFile:
    files = files_at(path)
    headless = [file for file in files if _is_headless(file)]
    if not headless:
        return open_table(engine, path)
    if len(headless) < len(files):
        raise DataError(f"{path}: {headless[0].name} has no header and others do; prepare them one by one")
    return stacked(path, [open_file(engine, file, _open_ratings) for file in files])


def _open_ratings(engine: Engine, path: Path) -> TableFile:
    return open_headless(engine, path, _PLACES, ",")


def _is_headless(path: Path) -> bool:
    if not path.is_file() or not plain_name(path).endswith(".csv"):
        return False
    with reading(path):
        return _RATINGS_LINE.fullmatch(first_line(path)) is not None


def _places(log: TableFile, options: PrepareOptions) -> tuple[str, str]:
    """The columns of users and items, from the shares of all values that look like Amazon's item numbers."""
    if options.user_col is not None and options.item_col is not None:
        return options.user_col, options.item_col
    values = log.select({"first": ("1", as_id), "second": ("2", as_id)}).table
    shares = values.agg(**{name: values[name].re_search(_ASIN).mean() for name in values.columns})
    first, second = shares.to_pyarrow().to_pylist()[0].values()
    if min(first or 0, second or 0) <= 1 - _SURE and max(first or 0, second or 0) >= _SURE:
        return ("1", "2") if second > first else ("2", "1")
    raise DataError(
        f"{log.path} has no header, and its values do not tell users from items; give {_columns('1', '2')} if it is of "
        f"2014, {_columns('2', '1')} if it is of 2018"
    )


def _columns(user: str, item: str) -> str:
    return f"{option('user_col', user)} and {option('item_col', item)}"


def _text_names(catalogue: TableFile, options: PrepareOptions) -> tuple[str, ...]:
    if options.text_cols is not None:
        return options.text_cols
    return tuple(name for known in _TEXT for name in known if name in catalogue.names)


def _parts(catalogue: TableFile, names: tuple[str, ...], options: PrepareOptions) -> Rows:
    given = options.item_id_col or (options.item_col if options.item_col in catalogue.names else None)
    item = given or _name(catalogue, _ITEM, "item")
    texts = {f"part_{place}": (name, as_text) for place, name in enumerate(names, start=1)}
    return catalogue.select({ITEM: (item, as_id)} | texts | wanted(catalogue, options))


def _name(file: TableFile, known: tuple[str, ...], role: str) -> str:
    for name in known:
        if name in file.names:
            return name
    raise DataError(
        f"{file.path} has no {role} as Amazon's files have ({' or '.join(known)}), it has: {listed(file.names)}; "
        f"for another table leave {option('format', 'amazon')} out"
    )


def _keys(line: str) -> list[str]:
    """The keys of an object; none where there is no object."""
    try:
        value = json.loads(as_json(line) if is_literal(line) else line)
    except (ValueError, RecursionError):
        return []
    return list(value) if isinstance(value, dict) else []
