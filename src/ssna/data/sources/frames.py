"""Tables in memory, read as if they were Parquet."""

from collections.abc import Callable, Mapping, Sequence
from operator import getitem
from typing import Any, cast

import numpy as np
import pyarrow as pa
from ibis import Table

from ssna.core.errors import DataError
from ssna.data.engine import ROW, Engine, Rows, reading
from ssna.data.sources.nested import head, taken_apart
from ssna.data.sources.parquet import as_written
from ssna.data.sources.place import Frame, package
from ssna.data.sources.sample import ROWS, Sample
from ssna.data.sources.tabular import TableFile, Wanted

_IN_MEMORY = ("pyarrow", "pandas", "polars", "narwhals")
"""Packages whose frames can be read as often as one likes. What else has an Arrow stream may have but one."""


def open_frame(engine: Engine, frame: Frame) -> TableFile:
    """A table in memory as if it were a Parquet file with its rows.

    Raises:
        DataError: two columns have one name, or it cannot be read as Arrow.
    """
    with reading(frame):
        names, read, sample = (_pandas if package(frame.data) == "pandas" else _arrow)(engine, frame)
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{frame} has two columns {twice[0]!r}; rename one, or leave it out")
    return TableFile(frame, tuple(names), read, files=(), sample=sample)


Read = Callable[[Wanted, bool], Rows]


def _arrow(engine: Engine, frame: Frame) -> tuple[list[str], Read, Callable[[], Sample]]:
    data = (
        pa.table([*frame.data.columns], schema=frame.data.schema)
        if isinstance(frame.data, pa.RecordBatch)
        else frame.data
    )
    if package(data) in _IN_MEMORY and not isinstance(data, pa.RecordBatchReader):
        table = pa.table(data)

        def read_table(wanted: Wanted, numbered: bool) -> Rows:
            columns = {name: table[name] for name in _heads(wanted, table.column_names)}
            return _selected(engine, wanted, columns, numbered)

        return table.column_names, read_table, lambda: _sample(table.slice(0, ROWS))
    reader = pa.RecordBatchReader.from_stream(data)
    names = reader.schema.names
    held = engine.materialize(engine.import_arrow(_renamed(reader)))
    places = {name: _place(number) for number, name in enumerate(names)}

    def read(wanted: Wanted, numbered: bool) -> Rows:
        return _taken(held, wanted, places, numbered)

    def sample() -> Sample:
        return _sample(held.limit(ROWS).to_pyarrow().rename_columns([*names, ROW]).drop_columns([ROW]))

    return names, read, sample


def _pandas(engine: Engine, frame: Frame) -> tuple[list[str], Read, Callable[[], Sample]]:
    """Only the columns that are read become Arrow. An index with a name is a column, as in ``to_parquet``."""
    data = frame.data
    if any(level is not None for level in data.index.names):
        data = data.reset_index()
    names = [str(name) for name in data.columns]

    def read(wanted: Wanted, numbered: bool) -> Rows:
        columns = {name: _series(frame, name, data.iloc[:, names.index(name)]) for name in _heads(wanted, names)}
        return _selected(engine, wanted, columns, numbered)

    def sample() -> Sample:
        first = data.iloc[:ROWS]
        return _sample(pa.table({name: _series(frame, name, first.iloc[:, k]) for k, name in enumerate(names)}))

    return names, read, sample


def _series(frame: Frame, name: str, series: Any) -> Any:
    try:
        return pa.Table.from_pandas(series.to_frame("c"), preserve_index=False)["c"]
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        kinds = sorted({type(value).__name__ for value in series if value is not None})
        remedy = f"{frame.argument}[{name!r}] = {frame.argument}[{name!r}].map(str, na_action='ignore')"
        raise DataError(
            f"{frame}: the column {name!r} holds values of several kinds ({', '.join(kinds)}); make them text: {remedy}"
        ) from None


def _heads(wanted: Wanted, names: Sequence[str]) -> list[str]:
    """The columns that ``wanted`` has, or has values inside of."""
    return list(dict.fromkeys(name if name in names else head(name) for name, _ in wanted.values()))


def _sample(table: pa.Table) -> Sample:
    try:
        return cast(Sample, table.to_pylist())
    except (UnicodeDecodeError, ValueError, OverflowError):  # the engine says what is wrong, if it needs that column
        return []


def _selected(engine: Engine, wanted: Wanted, columns: dict[str, Any], numbered: bool) -> Rows:
    """Columns go by their places: an engine may not tell ``User`` from ``user``."""
    places = {name: _place(number) for number, name in enumerate(columns)}
    table = pa.table({places[name]: _plain(column) for name, column in columns.items()})
    held = engine.import_arrow(table.append_column(ROW, pa.array(np.arange(len(table)))) if numbered else table)
    return _taken(held, wanted, places, numbered)


def _taken(held: Table, wanted: Wanted, places: Mapping[str, str], numbered: bool) -> Rows:
    renamed = {
        name: places[name] if name in places else places[head(name)] + name.removeprefix(head(name))
        for name, _ in wanted.values()
    }
    names = set(renamed.values())
    found, values = taken_apart(held, held.columns, names, getitem, getitem, lambda array: array)
    chosen = {new: convert(as_written(values[renamed[name]], False)) for new, (name, convert) in wanted.items()}
    return Rows(found.select(**chosen, **({ROW: found[ROW]} if numbered else {})), 0)


def _plain(column: Any) -> Any:
    """Without what an engine reads otherwise than from Parquet: codes, no type at all, and nanoseconds of a zone."""
    kind = _plain_type(column.type)
    if pa.types.is_dictionary(column.type):
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        return pa.chunked_array([chunk.dictionary.cast(kind).take(chunk.indices) for chunk in chunks], kind)
    return column if kind == column.type else column.cast(kind, safe=False)


def _plain_type(kind: Any) -> Any:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        return pa.large_string() if pa.types.is_string_view(kind) else kind  # Arrow cannot take views by their places
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_timestamp(kind) and kind.tz is not None and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    return kind


def _renamed(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    fields = [pa.field(_place(number), _plain_type(field.type)) for number, field in enumerate(reader.schema)]
    schema = pa.schema([*fields, pa.field(ROW, pa.int64())])

    def batches() -> Any:
        before = 0
        for batch in reader:
            columns = [*map(_plain, batch.columns), pa.array(np.arange(before, before + len(batch)))]
            before += len(batch)
            yield from pa.table(columns, schema=schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _place(number: int) -> str:
    return f"c{number}"
