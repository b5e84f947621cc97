"""A folder of several tables: which hold the events, and which the items."""

from pathlib import Path

from ssna.core.errors import DataError, option
from ssna.data.engine import Engine
from ssna.data.options import PrepareOptions
from ssna.data.sources.columns import USUAL, text_names, usual
from ssna.data.sources.delimited import TextForm
from ssna.data.sources.opening import files_at, open_one, open_table
from ssna.data.sources.orders import joined_orders
from ssna.data.sources.place import Place
from ssna.data.sources.source import ITEM, USER, WHEN
from ssna.data.sources.tabular import TableFile, stacked


def logs_and_items(
    engine: Engine, place: Place, form: TextForm, options: PrepareOptions, items: Place | None
) -> tuple[TableFile, TableFile | None, tuple[str, ...]]:
    """The events at ``place``; the items, if a folder holds a table of them as well; and what is to be said of that.

    Tables with the same columns are one log. Of others, the log is what has users and items; where none has both,
    orders are joined with their lines. Items, too, may stand in several tables with the same columns.

    Args:
        items: the items' own file where it is given, so that none is looked for.

    Raises:
        DataError: a file cannot be read, or none or several of the tables are logs.
    """
    if not isinstance(place, Path):
        return open_table(engine, place, form), None, ()
    path, files = place, files_at(place)
    parts = [open_one(engine, file, form) for file in files]
    logs = [part for part in parts if _is_log(part, options)]
    if not path.is_dir() or len(parts) == 1 or len(logs) == len(parts):
        return stacked(path, parts), None, ()
    joined = None if logs else joined_orders(engine, path, parts)
    if joined is None and (len({frozenset(part.names) for part in parts}) == 1 or any(map(_lacks_items, parts))):
        return stacked(path, parts), None, ()  # which names the file that lacks a column
    log, used = joined or (stacked(path, logs) if logs else None, logs)
    names = _listed(path, used or parts)
    if log is None or (logs and len({frozenset(part.names) for part in logs}) != 1):
        found = f"holds several logs ({names})" if logs else f"has no table with both users and items ({names})"
        raise DataError(
            f"{path} {found}; name the file of events, and that of the items with {option('items')}; what "
            "stands in two files is to be joined first"
        )
    item = options.item_col or usual(log.names, USUAL[ITEM])[0]
    shelves = [] if items is not None else _shelves([part for part in parts if part not in used], item)
    note = f"of the tables in {path.name}, {names} {'are joined' if joined else 'is read'} as events"
    note += f" and {_listed(path, shelves)} as items" if shelves else ""
    others = [part for part in parts if part not in (*used, *shelves) and part.path != items]
    note += f"; not read: {_listed(path, others)}" if others else ""
    return log, stacked(path, shelves) if shelves else None, (note,)


def _shelves(parts: list[TableFile], item: str) -> list[TableFile]:
    """The tables of items: one, or several with the same columns. Of others, those that call items as the log does."""
    found = [part for part in parts if _is_catalogue(part)]
    if len({frozenset(part.names) for part in found}) > 1:
        found = [part for part in found if item in part.names]
    return found if len({frozenset(part.names) for part in found}) == 1 else []


def _listed(path: Path, parts: list[TableFile]) -> str:
    return ", ".join(str(part.files[0].relative_to(path)) for part in parts)


def _is_log(part: TableFile, options: PrepareOptions) -> bool:
    given = {USER: options.user_col, ITEM: options.item_col}
    return all(name in part.names if name else usual(part.names, USUAL[role]) for role, name in given.items())


def _lacks_items(part: TableFile) -> bool:
    return bool(
        usual(part.names, USUAL[USER]) and usual(part.names, USUAL[WHEN]) and not usual(part.names, USUAL[ITEM])
    )


def _is_catalogue(part: TableFile) -> bool:
    return bool(usual(part.names, (*USUAL[ITEM], "id")) and text_names(part.names))
