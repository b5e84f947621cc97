"""Tables in memory, read as if they were Parquet."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from ssna.core.errors import DataError
from ssna.data.engine import Engine, reading
from ssna.data.sources.place import Frame, package
from ssna.data.sources.tabular import Rows, TableFile, Wanted

_IN_MEMORY = ("pyarrow", "pandas", "polars", "narwhals")
"""Packages whose frames can be read as often as one likes. What else has an Arrow stream may have but one."""


def open_frame(engine: Engine, frame: Frame) -> TableFile:
    """A table in memory as if it were a Parquet file with its rows.

    Raises:
        DataError: two columns have one name, or it cannot be read as Arrow.
    """
    with reading(frame):
        names, read = (_pandas if package(frame.data) == "pandas" else _arrow)(engine, frame)
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{frame} has two columns {twice[0]!r}; rename one, or leave it out")
    return TableFile(frame, tuple(names), read, files=())


Read = Callable[[Wanted], Rows]


def _arrow(engine: Engine, frame: Frame) -> tuple[list[str], Read]:
    data = (
        pa.table([*frame.data.columns], schema=frame.data.schema)
        if isinstance(frame.data, pa.RecordBatch)
        else frame.data
    )
    if package(data) in _IN_MEMORY and not isinstance(data, pa.RecordBatchReader):
        table = pa.table(data)
        return table.column_names, lambda wanted: _selected(engine, wanted, _columns(table, wanted))
    reader = pa.RecordBatchReader.from_stream(data)
    names = reader.schema.names
    held = engine.materialize(engine.import_arrow(_renamed(reader)))

    def read(wanted: Wanted) -> Rows:
        return Rows(
            held.select(**{new: convert(held[_place(names.index(name))]) for new, (name, convert) in wanted.items()}), 0
        )

    return names, read


def _pandas(engine: Engine, frame: Frame) -> tuple[list[str], Read]:
    """Only the columns that are read become Arrow. An index with a name is a column, as in ``to_parquet``."""
    data = frame.data
    if any(level is not None for level in data.index.names):
        data = data.reset_index()
    names = [str(name) for name in data.columns]

    def read(wanted: Wanted) -> Rows:
        columns = {name: _series(frame, name, data.iloc[:, names.index(name)]) for name, _ in wanted.values()}
        return _selected(engine, wanted, columns)

    return names, read


def _series(frame: Frame, name: str, series: Any) -> Any:
    try:
        return pa.Table.from_pandas(series.to_frame("c"), preserve_index=False)["c"]
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        kinds = sorted({type(value).__name__ for value in series if value is not None})
        remedy = f"{frame.argument}[{name!r}] = {frame.argument}[{name!r}].map(str, na_action='ignore')"
        raise DataError(
            f"{frame}: the column {name!r} holds values of several kinds ({', '.join(kinds)}); make them text: {remedy}"
        ) from None


def _columns(table: pa.Table, wanted: Wanted) -> dict[str, Any]:
    return {name: table[name] for name, _ in wanted.values()}


def _selected(engine: Engine, wanted: Wanted, columns: dict[str, Any]) -> Rows:
    """Columns go by their places: an engine may not tell ``User`` from ``user``."""
    places = {name: _place(number) for number, name in enumerate(columns)}
    held = engine.import_arrow(pa.table({places[name]: _plain(column) for name, column in columns.items()}))
    return Rows(held.select(**{new: convert(held[places[name]]) for new, (name, convert) in wanted.items()}), 0)


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
    schema = pa.schema(fields)

    def batches() -> Any:
        for batch in reader:
            yield from pa.table([_plain(column) for column in batch.columns], schema=schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _place(number: int) -> str:
    return f"c{number}"
