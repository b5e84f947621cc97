"""RecBole's atomic files: ``NAME.inter`` and ``NAME.item``, tab-separated under a header of ``name:type``."""

from dataclasses import dataclass
from pathlib import Path

from ibis import Table

from ssna.core.errors import DataError, option
from ssna.data.engine import ROW, Engine
from ssna.data.options import PrepareOptions
from ssna.data.sources.attributes import AttributeRows, attribute_rows, wanted
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
from ssna.data.where import condition_columns, selected

_TEXT_TYPES = ("token", "token_seq")


def recognises(path: Path) -> bool:
    """Whether ``path`` is, or is the folder or the common beginning of, a ``.inter`` file."""
    return any(path.glob("*.inter")) if path.is_dir() else find_one(path, ".inter") is not None


def read(engine: Engine, request: Request) -> Source:
    """Read both files. Text is every token column of the items, or the columns named; the items' file may be missing
    where ids are texts.

    A year stands in brackets behind the part before it, as in ``Toy Story (1995)``.

    Raises:
        DataError: a file or a field is not there, or a file cannot be read.
    """
    request.refuse("items", "header", "time_format")
    options = request.options
    inter = require(find_one(request.path, ".inter"), request.path, "NAME.inter")
    log, in_order = open_tsv(engine, inter), options.order == "rows"
    item = options.item_col or "item_id"
    events = {USER: (_field(log, options.user_col or "user_id"), as_raw_id), ITEM: (_field(log, item), as_raw_id)}
    if not in_order:
        events[WHEN] = (_time(log) if options.time_col is None else _field(log, options.time_col), as_microseconds)
    if options.rated:
        events[RATING] = (_field(log, options.rating_col or "rating"), as_number)
    conditions = {new: (_field(log, name), as_text) for new, name in condition_columns(options).items()}
    rows = log.select(events | conditions, numbered=in_order)
    chosen = rows.table.select(*events, *([ROW] if in_order else []), **selected(rows.table, options))
    item_file = inter.with_suffix(".item")
    if not item_file.is_file() and options.missing_text != "id":
        raise DataError(
            f"{inter.parent} has no {item_file.name}; check the path, or let the id serve as text: "
            f"{option('missing_text', 'id')}"
        )
    texts = _read_texts(engine, item_file, item, options) if item_file.is_file() else None
    return Source(
        events=chosen.rename({WHEN: ROW}) if in_order else chosen,
        parts=None if texts is None else texts.parts,
        timed=not in_order,
        unreadable=rows.unreadable,
        log_files=(inter,),
        item_files=() if texts is None else (item_file,),
        columns={
            **{"time" if role == WHEN else role: name for role, (name, _) in events.items()},
            "text": [] if texts is None else texts.names,
        },
        attributes=None if texts is None else texts.attributes,
        notes=() if texts is None else texts.notes,
    )


@dataclass(frozen=True, eq=False)
class _Texts:
    parts: Table | None
    names: list[str]
    notes: tuple[str, ...]
    attributes: AttributeRows | None


def _read_texts(engine: Engine, path: Path, item: str, options: PrepareOptions) -> _Texts:
    catalogue = open_tsv(engine, path)
    names = options.text_cols if options.text_cols is not None else _text_fields(catalogue, item)
    texts = {f"part_{place}": (_field(catalogue, name), as_text) for place, name in enumerate(names, start=1)}
    kept = wanted(catalogue, options, lambda name: _field(catalogue, name))
    shelf = catalogue.select({ITEM: (_field(catalogue, options.item_id_col or item), as_id)} | texts | kept)
    parts = _with_years(shelf.table, dict(zip(texts, names, strict=True))) if texts else None
    return _Texts(
        parts, [_field(catalogue, name) for name in names], unreadable_items(path, shelf),
        attribute_rows(catalogue, options, shelf.table),
    )  # fmt: skip


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
