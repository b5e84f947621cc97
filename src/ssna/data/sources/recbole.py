"""RecBole's atomic files: ``NAME.inter`` and ``NAME.item``, tab-separated under a header of ``name:type``."""

from pathlib import Path

from ibis import Table

from ssna.core.errors import DataError, option
from ssna.data.engine import Engine
from ssna.data.sources.opening import open_tsv
from ssna.data.sources.source import (
    ITEM,
    NEEDS_TIMES,
    RATING,
    USER,
    WHEN,
    Request,
    Source,
    find_one,
    listed,
    require,
    unknown_column,
    unreadable_items,
)
from ssna.data.sources.tabular import TableFile
from ssna.data.sources.values import as_id, as_microseconds, as_number, as_raw_id, as_text

_TEXT_TYPES = ("token", "token_seq")


def recognises(path: Path) -> bool:
    """Whether ``path`` is, or is the folder or the common beginning of, a ``.inter`` file."""
    return any(path.glob("*.inter")) if path.is_dir() else find_one(path, ".inter") is not None


def read(engine: Engine, request: Request) -> Source:
    """Read both files. Text is every token column of the items, or the columns named.

    A year stands in brackets behind the part before it, as in ``Toy Story (1995)``.

    Raises:
        DataError: a file or a field is not there, or a file cannot be read.
    """
    request.refuse("items")
    inter = require(find_one(request.logs, ".inter"), request.logs, "NAME.inter")
    item_file = require(inter.with_suffix(".item"), inter.parent, inter.with_suffix(".item").name)
    log, catalogue = open_tsv(engine, inter), open_tsv(engine, item_file)
    options = request.options
    item = options.item_col or "item_id"
    events = {
        USER: (_field(log, options.user_col or "user_id"), as_raw_id),
        ITEM: (_field(log, item), as_raw_id),
        WHEN: (_time(log) if options.time_col is None else _field(log, options.time_col), as_microseconds),
    }
    if options.rated:
        events[RATING] = (_field(log, options.rating_col or "rating"), as_number)
    rows = log.select(events)
    names = options.text_cols if options.text_cols is not None else _text_fields(catalogue, item)
    texts = {f"part_{place}": (_field(catalogue, name), as_text) for place, name in enumerate(names, start=1)}
    shelf = catalogue.select({ITEM: (_field(catalogue, item), as_id)} | texts)
    return Source(
        events=rows.table,
        parts=_with_years(shelf.table, dict(zip(texts, names, strict=True))) if texts else None,
        timed=True,
        unreadable=rows.unreadable,
        log_files=(inter,),
        item_files=(item_file,),
        columns={
            **{"time" if role == WHEN else role: name for role, (name, _) in events.items()},
            "text": [_field(catalogue, name) for name in names],
        },
        notes=unreadable_items(item_file, shelf),
    )


def _fields(file: TableFile) -> dict[str, str]:
    return {name.partition(":")[0]: name for name in file.names}


def _field(file: TableFile, name: str) -> str:
    fields = _fields(file)
    if name not in fields:
        raise unknown_column(file.path, name, fields)
    return fields[name]


def _time(log: TableFile) -> str:
    fields = _fields(log)
    if "timestamp" not in fields:
        raise DataError(
            f"{log.path} has no column 'timestamp'; name another with {option('time_col')}; it has: {listed(fields)}; "
            f"{NEEDS_TIMES}"
        )
    return fields["timestamp"]


def _text_fields(file: TableFile, item: str) -> tuple[str, ...]:
    typed = {name: whole.partition(":")[2] for name, whole in _fields(file).items()}
    return tuple(name for name, kind in typed.items() if name != item and kind in _TEXT_TYPES)


def _with_years(described: Table, names: dict[str, str]) -> Table:
    """Join each year to the part before it; ``names`` is part -> field name."""
    parts = {ITEM: described[ITEM]}
    before = None
    for part, name in names.items():
        value = described[part].strip().nullif("")
        if before is not None and name.lower().endswith("year"):
            parts[before] = (parts[before] + " (" + value + ")").fill_null(parts[before])
        else:
            parts[part] = value
            before = part
    return described.select(**parts)
