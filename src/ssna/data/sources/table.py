"""One file of events and, beside it or in it, the items' texts: any table with named columns."""

from pathlib import Path

from ibis import Table

from ssna.core.errors import DataError, option
from ssna.data.engine import Engine, reading
from ssna.data.sources.opening import open_table, passed_over_at, tables_at
from ssna.data.sources.source import ITEM, NEEDS_TIMES, RATING, USER, WHEN, Request, Source, listed
from ssna.data.sources.tabular import TableFile
from ssna.data.sources.values import as_id, as_microseconds, as_number, as_text, tidy_id, without_fractions

# Names that are taken for granted where none is given; case and punctuation do not count.
USUAL_USER = ("user", "user_id", "customer", "customer_id")
USUAL_ITEM = ("item", "item_id", "product", "product_id", "sku")
USUAL_TIME = ("time", "timestamp", "date", "datetime")
USUAL_RATING = ("rating", "ratings", "stars", "score")
USUAL_TEXT = ("title", "name", "text", "categories", "category", "brand")


def recognises(path: Path) -> bool:
    """Whether ``path`` names a table, or a folder or pattern of tables."""
    return bool(tables_at(path))


def read(engine: Engine, request: Request) -> Source:
    """Read the logs, and the texts from the items file or from the logs themselves.

    Raises:
        DataError: a file or a column is not there, or a file cannot be read.
    """
    options, log = request.options, open_table(engine, request.logs)
    item = _name(log, options.item_col, USUAL_ITEM, "item")
    events = {
        USER: (_name(log, options.user_col, USUAL_USER, "user"), as_text),
        ITEM: (item, as_text),
        WHEN: (_name(log, options.time_col, USUAL_TIME, "time"), as_microseconds),
    }
    if options.rated:
        events[RATING] = (_name(log, options.rating_col, USUAL_RATING, "rating"), as_number)
    when = events[WHEN][0]
    catalogue = log if request.items is None else open_table(engine, request.items)
    names = _text_names(catalogue, options.text_cols)
    texts = {f"part_{place}": (name, as_text) for place, name in enumerate(names, start=1)}
    if request.items is None:
        rows = log.select(events | texts)
        with reading(log.path):
            described = engine.materialize(
                rows.table.select(ITEM, *texts).distinct()
            )  # many rows say the same of an item
        described = described.mutate(**{ITEM: tidy_id(described[ITEM])})
    else:
        rows = log.select(events)
        described = catalogue.select({ITEM: (_same_item(catalogue, item), as_id)} | texts).table
    return Source(
        events=rows.table.select(*events),
        parts=_tidy(catalogue, described).select(ITEM, *texts) if texts else None,
        timed=True,
        unreadable=rows.unreadable,
        log_files=log.files,
        item_files=() if request.items is None else catalogue.files,
        typed=log.typed,
        passed_over=passed_over_at(request.logs),
        unreadable_time=lambda: _unreadable_time(log, when),
        columns={
            **{"time" if role == WHEN else role: name for role, (name, _) in events.items()},
            "text": list(names),
        },
    )


def _tidy(file: TableFile, rows: Table) -> Table:
    return rows if file.typed else without_fractions(rows, ITEM)


def _same_item(catalogue: TableFile, item: str) -> str:
    """The column of item ids in the items' own file: of the same name, or else of a usual one."""
    if item in catalogue.names:
        return item
    found = _usual(catalogue, USUAL_ITEM)
    if not found:
        raise DataError(
            f"{catalogue.path} has no column {item!r}, as the logs call their items; rename the column here that holds "
            f"them; it has: {listed(catalogue.names)}"
        )
    return found[0]


def _unreadable_time(log: TableFile, when: str) -> str | None:
    rows = log.select({"raw": (when, as_text), WHEN: (when, as_microseconds)}).table
    found: str | None = rows.filter(rows[WHEN].isnull() & (rows.raw.strip() != "")).raw.min().to_pyarrow().as_py()
    return found


def _name(file: TableFile, given: str | None, usual: tuple[str, ...], role: str) -> str:
    if given is not None:
        return given
    found = _usual(file, usual)
    if not found:
        raise DataError(
            f"{file.path}: which column is the {role}? Name it with {option(f'{role}_col')}; "
            f"it has: {listed(file.names)}{f'; {NEEDS_TIMES}' if role == 'time' else ''}"
        )
    return found[0]


def _text_names(file: TableFile, given: tuple[str, ...] | None) -> tuple[str, ...]:
    return given if given is not None else _usual(file, USUAL_TEXT)


def _usual(file: TableFile, usual: tuple[str, ...]) -> tuple[str, ...]:
    known = {_plain(name): name for name in file.names}
    return tuple(known[_plain(name)] for name in usual if _plain(name) in known)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
