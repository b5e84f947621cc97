"""One file of events and, beside it or in it, the items' texts: any table with named columns."""

from pathlib import Path

from ibis import Table

from ssna.core.errors import DataError, option
from ssna.data.engine import ROW, Engine, Rows, reading
from ssna.data.options import PrepareOptions
from ssna.data.sources.catalogue import open_catalogue
from ssna.data.sources.columns import USUAL, choose, fitting, nested, text_names, text_names_beside, usual
from ssna.data.sources.delimited import TextForm
from ssna.data.sources.folders import logs_and_items
from ssna.data.sources.kinds import notes_on_kinds
from ssna.data.sources.nested import LIST, is_list
from ssna.data.sources.opening import passed_over_at, tables_at
from ssna.data.sources.own_texts import OwnTexts, texts_of_items
from ssna.data.sources.sample import Sample
from ssna.data.sources.source import ITEM, RATING, USER, WHEN, Request, Source, listed, unreadable_items
from ssna.data.sources.tabular import TableFile
from ssna.data.sources.times import TimeReading, time_reading
from ssna.data.sources.values import as_id, as_number, as_raw_id, as_text, tidy_id, without_fractions

_ORDER = (USER, ITEM, WHEN, RATING)
_CONVERT = {USER: as_raw_id, ITEM: as_raw_id, RATING: as_number}


def recognises(path: Path) -> bool:
    """Whether ``path`` names a table, or a folder or pattern of tables."""
    return bool(tables_at(path))


def read(engine: Engine, request: Request) -> Source:
    """Read the logs, and the texts from the items file or from the logs themselves.

    Raises:
        DataError: a file or a column is not there, a file cannot be read, or the logs hold no texts of items but of
            events.
    """
    options = request.options
    log, beside, read_as = logs_and_items(engine, request.logs, _form(options), options)
    with reading(log.path):
        sample = log.sample()
    fits = {ITEM: _apart(sample, fitting(log, ITEM, options.item_col)), USER: fitting(log, USER, options.user_col)}
    in_order = options.order == "rows" or _is_history(log, fits[ITEM], options)
    if not in_order:
        fits[WHEN] = fitting(log, WHEN, options.time_col)
        if all(name.endswith(LIST) for name in fits[ITEM]):
            fits[WHEN] = _apart(sample, fits[WHEN])
    if options.rated:
        fits[RATING] = fitting(log, RATING, options.rating_col)
    times = [time_reading(sample, name, options.time_format) for name in fits.get(WHEN, ())]
    wanted = {
        f"{role}_{place}": (name, times[place].convert if role == WHEN else _CONVERT[role])
        for role, names in fits.items()
        for place, name in enumerate(names)
    }
    catalogue = beside if request.items is None else open_catalogue(engine, request.items)
    if options.text_cols is not None:
        names = options.text_cols
    else:
        names = text_names_beside(log, fits[ITEM][0]) if catalogue is None else text_names(catalogue.names)
    texts = {f"part_{place}": (name, as_text) for place, name in enumerate(names, start=1)}
    rows = log.select(wanted | texts if catalogue is None else wanted, numbered=in_order)
    chosen = choose(rows.table, fits)
    columns = {role: fits[role][place] for role, place in chosen.items()}
    time, time_format = None, None
    if in_order:
        when = rows.table[ROW]
    else:
        time = times[chosen[WHEN]]
        with reading(log.path):
            when, time_format = time.microseconds(log.path, columns[WHEN], rows.table, f"{WHEN}_{chosen[WHEN]}")
    chosen_columns = {role: rows.table[f"{role}_{chosen[role]}"] for role in fits}
    events = rows.table.select(**{**chosen_columns, WHEN: when})
    notes: tuple[str, ...] = ()
    if catalogue is None:
        described, own = _described(engine, request, rows, events, names, f"{ITEM}_{chosen[ITEM]}")
        names, notes = own.names, own.notes
    else:
        found = catalogue.select({ITEM: (_item_of(catalogue, columns[ITEM], options.item_id_col), as_id)} | texts)
        described, notes = found.table, unreadable_items(catalogue.path, found)
    return Source(
        events=events,
        parts=_tidy(catalogue or log, described) if names else None,
        timed=not in_order,
        unreadable=rows.unreadable,
        log_files=log.files,
        item_files=() if catalogue is None else catalogue.files,
        typed=log.typed,
        passed_over=passed_over_at(request.logs),
        unreadable_time=None if time is None else lambda: _unreadable_time(log, columns[WHEN], time),
        columns={
            **{_word(role): columns[role] for role in _ORDER if role in columns},
            **({} if time_format is None else {"time_format": time_format}),
            "text": [*names],
        },
        also_fitting={
            _word(role): [name for name in fits[role] if name != columns[role]]
            for role in _ORDER
            if len(fits.get(role, ())) > 1
        },
        notes=(*read_as, *notes, *notes_on_kinds(sample)),
    )


def _described(
    engine: Engine, request: Request, rows: Rows, events: Table, names: tuple[str, ...], item: str
) -> tuple[Table, OwnTexts]:
    """Item and parts out of the log itself, where ``item`` holds the ids; many rows say the same of an item."""
    parts = [f"part_{place}" for place in range(1, len(names) + 1)]
    with reading(request.logs):
        described = engine.materialize(rows.table.select(*parts, **{ITEM: rows.table[item]}).distinct())
        described = described.mutate(**{ITEM: tidy_id(described[ITEM])})
        own = texts_of_items(request.logs, events, described, names, request.options) if names else OwnTexts(())
    kept = [part for part, name in zip(parts, names, strict=True) if name in own.names]
    return described.select(ITEM, **{f"part_{k}": described[part] for k, part in enumerate(kept, start=1)}), own


def _apart(sample: Sample, names: tuple[str, ...]) -> tuple[str, ...]:
    """Columns that hold lists, as paths to their elements."""
    return tuple(f"{name}{LIST}" if is_list(sample, name) else name for name in names)


def _is_history(log: TableFile, items: tuple[str, ...], options: PrepareOptions) -> bool:
    """Whether rows have lists of items and nothing has their times, so that they stand in order."""
    known = options.time_col is not None or usual(log.names, USUAL[WHEN]) or nested(log, USUAL[WHEN])
    return not known and all(name.endswith(LIST) for name in items)


def _form(options: PrepareOptions) -> TextForm:
    named = {options.user_col, options.item_col, options.time_col, options.rating_col, *(options.text_cols or ())}
    return TextForm(options.header, options.quote, frozenset(filter(None, named)), is_log=True)


def _word(role: str) -> str:
    return "time" if role == WHEN else role


def _tidy(file: TableFile, rows: Table) -> Table:
    return rows if file.typed else without_fractions(rows, ITEM)


def _item_of(catalogue: TableFile, item: str, given: str | None) -> str:
    """The column of item ids in the items' own file: the one given, of the same name, a usual one, or ``id``."""
    if given is not None:
        return given
    found = (item,) if item in catalogue.names else usual(catalogue.names, (*USUAL[ITEM], "id"))
    if not found:
        raise DataError(
            f"{catalogue.path} has no column {item!r}, as the logs call their items; name the one that holds them with "
            f"{option('item_id_col')}; it has: {listed(catalogue.names)}"
        )
    return found[0]


def _unreadable_time(log: TableFile, name: str, time: TimeReading) -> str | None:
    rows = log.select({"raw": (name, as_text), WHEN: (name, time.convert)}).table
    when, _ = time.microseconds(log.path, name, rows, WHEN)
    found: str | None = rows.filter(when.isnull() & (rows.raw.strip() != "")).raw.min().to_pyarrow().as_py()
    return found
