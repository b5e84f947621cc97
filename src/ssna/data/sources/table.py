"""Events in a table and, beside it or in it, the items' texts: any table with named columns."""

from pathlib import Path

from ibis import Table

from ssna.core.errors import DataError, option
from ssna.data.engine import Engine, Rows, reading
from ssna.data.options import PrepareOptions
from ssna.data.sources.attributes import attribute_rows, wanted
from ssna.data.sources.catalogue import open_catalogue
from ssna.data.sources.columns import USUAL, text_names, text_names_beside, usual
from ssna.data.sources.delimited import TextForm
from ssna.data.sources.folders import logs_and_items
from ssna.data.sources.kinds import notes_on_kinds
from ssna.data.sources.opening import passed_over_at, tables_at
from ssna.data.sources.own_texts import OwnTexts, texts_of_items
from ssna.data.sources.roles import Roles, SettledRoles
from ssna.data.sources.source import ITEM, Request, Source, listed, unreadable_items
from ssna.data.sources.tabular import TableFile
from ssna.data.sources.values import as_id, as_text, tidy_id, without_fractions


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
    log, beside, notes = logs_and_items(engine, request.logs, _form(options), options, request.items)
    roles = Roles.of(log, options)
    catalogue = beside if request.items is None else open_catalogue(engine, request.items)
    if options.text_cols is not None:
        names = options.text_cols
    else:
        names = text_names_beside(log, roles.fits[ITEM][0]) if catalogue is None else text_names(catalogue.names)
    texts = {f"part_{place}": (name, as_text) for place, name in enumerate(names, start=1)}
    rows = log.select(roles.wanted if catalogue is not None else {**roles.wanted, **texts}, numbered=roles.in_order)
    settled = roles.settled(rows.table)
    attributes = None
    if catalogue is None:
        described, own = _described(engine, request, rows, settled, names)
        names, notes = own.names, notes + own.notes
    else:
        item = _item_of(catalogue, settled.columns[ITEM], options.item_id_col)
        found = catalogue.select({ITEM: (item, as_id)} | texts | wanted(catalogue, options))
        described, notes = found.table.select(ITEM, *texts), notes + unreadable_items(catalogue.path, found)
        attributes = attribute_rows(catalogue, options, _tidy(catalogue, found.table))
    said = settled.described
    return Source(
        events=settled.events,
        parts=_tidy(catalogue or log, described) if names else None,
        timed=not roles.in_order,
        unreadable=rows.unreadable,
        log_files=log.files,
        item_files=() if catalogue is None else catalogue.files,
        typed=log.typed,
        passed_over=passed_over_at(request.logs),
        unreadable_time=settled.unreadable_time,
        columns={**said["columns"], "text": list(names)},
        attributes=attributes,
        also_fitting=said["also_fitting"],
        notes=notes + notes_on_kinds(roles.sample),
    )


def _form(options: PrepareOptions) -> TextForm:
    named = {
        options.user_col,
        options.item_col,
        options.time_col,
        options.rating_col,
        options.split_col,
        *(options.text_cols or ()),
    }
    return TextForm(options.header, options.quote, frozenset(filter(None, named)), is_log=True)


def _described(
    engine: Engine, request: Request, rows: Rows, settled: SettledRoles, names: tuple[str, ...]
) -> tuple[Table, OwnTexts]:
    """Item and parts out of the log itself; many rows say the same of an item."""
    parts = [f"part_{place}" for place in range(1, len(names) + 1)]
    with reading(request.logs):
        described = engine.materialize(rows.table.select(*parts, **{ITEM: rows.table[settled.item]}).distinct())
        described = described.mutate(**{ITEM: tidy_id(described[ITEM])})
        own = OwnTexts(())
        if names:
            own = texts_of_items(request.logs, settled.events, described, names, request.options)
    kept = [part for part, name in zip(parts, names, strict=True) if name in own.names]
    return described.select(ITEM, **{f"part_{k}": described[part] for k, part in enumerate(kept, start=1)}), own


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
