"""Columns of the items' own file that are kept as attributes: read by an engine, and of one kind each in the end.

A file of Parquet and a table in memory say of what kind a column is. In CSV and JSON lines all cells are text: there, a
column is of numbers, of true and false, or of times, if all its filled cells are written so, and none is like a code
(``0471``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from ibis import Table
from ibis.expr.types import Value

from ssna.core.errors import DataError, option
from ssna.data import functions
from ssna.data.attribute_values import KINDS, LONGEST_TEXT
from ssna.data.attributes import require_kinds
from ssna.data.engine import Convert, Engine
from ssna.data.options import PrepareOptions
from ssna.data.sources.source import ITEM, Request, Source, unknown_column
from ssna.data.sources.tabular import TableFile
from ssna.data.sources.values import as_number, as_text

_NOTHING = ("", "na", "n/a", "nan", "null", "none", r"\n")  # cells of columns that are no text
_CODE = r"^[+-]?0[0-9]|[0-9]{16}"
_MANY = 0.5  # of the cells of a column; if so many are numbers, the others are worth a note


@dataclass(frozen=True, eq=False)
class AttributeRows:
    """What is read of a file: ``item`` and, for each of ``names``, ``attribute_1``, ...; where kinds are told by their
    looks, ``number_1`` and ``moment_1``, ..., too."""

    names: tuple[str, ...]
    rows: Table
    looks: bool


def wanted(
    file: TableFile, options: PrepareOptions, column: Callable[[str], str] = str
) -> dict[str, tuple[str, Convert]]:
    """What is to be selected of ``file`` for :class:`AttributeRows`; ``column`` is what it calls a name."""
    found: dict[str, tuple[str, Convert]] = {}
    for place, name in enumerate(map(column, options.attribute_cols or ()), start=1):
        found[f"attribute_{place}"] = (name, as_attribute)
        if _looks(file):
            found[f"number_{place}"] = (name, lambda column: functions.number(_filled(column)))
            found[f"moment_{place}"] = (name, lambda column: functions.moment(_filled(column)))
    return found


def attributes_of(
    rows: Table, columns: Mapping[str, str], options: PrepareOptions, path: object
) -> AttributeRows | None:
    """Those of ``rows`` that a reader of one format made: ``item``, and what stands under each name.

    Raises:
        DataError: one that is asked for is none of the ``columns``.
    """
    names = options.attribute_cols
    if not names:
        return None
    for name in names:
        if name not in columns:
            raise unknown_column(path, name, columns)
    kept = {f"attribute_{place}": as_attribute(rows[columns[name]]) for place, name in enumerate(names, start=1)}
    return AttributeRows(names, rows.select(ITEM, **kept), looks=False)


def attribute_rows(file: TableFile, options: PrepareOptions, rows: Table) -> AttributeRows | None:
    """Those of a file, of which ``rows`` were selected; None where none are asked for."""
    names = options.attribute_cols
    return AttributeRows(names, rows.select(ITEM, *wanted(file, options)), _looks(file)) if names else None


def read_attributes(engine: Engine, source: Source, request: Request) -> tuple[pa.Table | None, list[str]]:
    """``id`` and a column for each attribute, of every item of the file, one row each; and what is to be said of them.

    Raises:
        DataError: attributes are asked for and not read of this format, or no such column can be kept.
    """
    names = request.options.attribute_cols
    if not names:
        return None, []
    read = source.attributes
    if read is None:
        culprit = option("attribute_cols", names)
        raise DataError(
            f"{request.logs}: {culprit}: attributes are read of the items' own table ({option('items')}); give one"
        )
    found = engine.materialize(read.rows.drop_null(ITEM).distinct())
    table, notes = found.to_pyarrow(), list[str]()
    columns: dict[str, Any] = {"id": table[ITEM].cast(pa.string())}
    for place, name in enumerate(names, start=1):
        columns[name] = _column(table, place, read.looks)
        notes += _said(name, columns[name], table, place, read.looks)
    if len(columns) < len(names) + 1:
        raise DataError(f"{option('attribute_cols', names)}: a column is named twice, or called id; name each once")
    require_kinds((kept := pa.table(columns)).drop_columns(["id"]))
    return _one_row_each(engine, kept, notes), notes


def as_attribute(column: Value) -> Value:
    """A cell as it is kept, but for times: microseconds since 1970, int64."""
    kind = column.type()
    if kind.is_timestamp() or kind.is_date():
        return functions.microseconds(column.cast("timestamp('UTC')"))
    if kind.is_boolean():
        return column
    if kind.is_numeric():
        return as_number(column)
    if kind.is_array() and not (kind.value_type.is_array() or kind.value_type.is_struct()):
        return column.cast("array<string>")
    return _filled(column)


def _filled(column: Value) -> Value:
    return as_text(column).strip().nullif("").nullif(r"\N")


def _looks(file: TableFile) -> bool:
    return file.looks or not file.typed


def _column(table: pa.Table, place: int, looks: bool) -> Any:
    column = table[f"attribute_{place}"].combine_chunks()
    if pa.types.is_int64(column.type):
        return column.cast(pa.timestamp("us", "UTC"))
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return column.cast(KINDS["texts"])
    if pa.types.is_floating(column.type) or pa.types.is_boolean(column.type):
        return column
    text = column.cast(pa.string())
    return _by_looks(text, table, place) if looks else _cut(text)


def _by_looks(text: Any, table: pa.Table, place: int) -> Any:
    lower = pc.utf8_lower(text)
    cells = pc.if_else(pc.is_in(lower, value_set=pa.array(_NOTHING)), pa.scalar(None, pa.string()), text)
    filled = pc.is_valid(cells)
    number, moment = (table[f"{name}_{place}"].combine_chunks() for name in ("number", "moment"))
    finite = pc.fill_null(pc.is_finite(number), False)
    if _all(finite, filled) and not pc.any(pc.match_substring_regex(cells, _CODE)).as_py():
        return pc.if_else(filled, number, pa.scalar(None, pa.float64()))
    if _all(pc.is_in(lower, value_set=pa.array(["true", "false"])), filled):
        return pc.if_else(filled, pc.equal(lower, "true"), pa.scalar(None, pa.bool_()))
    if _all(pc.is_valid(moment), filled):
        return pc.if_else(filled, moment, pa.scalar(None, pa.int64())).cast(pa.timestamp("us", "UTC"))
    return _cut(text)


def _all(holds: Any, filled: Any) -> bool:
    """Whether something is filled, and all of that ``holds``."""
    found = holds.filter(filled)
    return len(found) > 0 and bool(pc.all(found).as_py())


def _cut(text: Any) -> Any:
    return pc.utf8_slice_codeunits(text, 0, LONGEST_TEXT)


def _said(name: str, column: Any, table: pa.Table, place: int, looks: bool) -> Iterator[str]:
    """What may not be as it was meant."""
    filled = len(column) - column.null_count
    if not filled:
        yield f"the attribute {name} has no values; check `attribute_cols`"
    if not pa.types.is_string(column.type):
        return
    if looks:
        number = pc.fill_null(pc.is_finite(table[f"number_{place}"].combine_chunks()), False)
        others = column.filter(pc.and_(pc.invert(number), pc.is_valid(column)))
        if filled and _MANY * filled < filled - len(others) and len(others):
            yield (
                f"the attribute {name} is text, as {len(others):,} of {filled:,} cells are no number, such as "
                f"{others[0].as_py()!r}"
            )
    long = column.filter(pc.equal(pc.utf8_length(column), LONGEST_TEXT))
    if len(long):
        yield f"{len(long):,} values of the attribute {name} are cut to {LONGEST_TEXT:,} characters"


def _one_row_each(engine: Engine, table: pa.Table, notes: list[str]) -> pa.Table:
    """Of several rows of an item, the largest value of each column."""
    distinct = len(pc.unique(table["id"]))
    if distinct == len(table):
        return table.sort_by("id")
    count = table.group_by("id").aggregate([([], "count_all")])
    twice = count.filter(pc.greater(count["count_all"], 1))["id"]
    example = min(twice.to_pylist())
    notes.append(
        f"{len(twice):,} of {distinct:,} items have several rows of attributes, such as {example}; the largest value "
        "of each counts"
    )
    places = {name: f"column_{place}" for place, name in enumerate(table.column_names)}
    rows = engine.import_arrow(table.rename_columns(list(places.values())))
    first, *others = places.values()
    largest = rows.group_by(first).agg(**{name: rows[name].max() for name in others}).order_by(first).to_pyarrow()
    return largest.rename_columns(list(places)).cast(table.schema)


def described(table: pa.Table | None, ids: Sequence[str]) -> dict[str, Any]:
    """For the manifest's ``checks``: how many of the items ``ids`` have no value, by attribute."""
    if table is None:
        return {}
    here = table.filter(pc.is_in(table["id"], value_set=pa.array(ids, pa.string())))
    lacking = {name: len(ids) - len(here) + here[name].null_count for name in table.column_names if name != "id"}
    return {"attributes_missing": lacking}
