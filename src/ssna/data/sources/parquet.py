"""What Parquet stores as bytes: text whose writer did not say so, and UUIDs."""

from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr.types import Value

from ssna.data import functions

_UUID_BYTES = 16
_DASHES = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))  # of hexadecimal digits: begin, length


def as_written(column: Value, is_uuid: bool) -> Value:
    """A column of bytes as the text that its writer meant; any other column as it is."""
    if not column.type().is_binary():
        return column
    if is_uuid:
        digits = functions.hexadecimal(column)
        return ibis.literal("-").join([digits.substr(start - 1, length) for start, length in _DASHES])
    return functions.decoded(column)


def uuids_of(path: Path) -> frozenset[str]:
    """The columns of ``path`` that hold 16 bytes a value."""
    return frozenset(field.name for field in pq.read_schema(path) if _is_uuid(field.type))


def _is_uuid(kind: pa.DataType) -> bool:
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    return bool(pa.types.is_fixed_size_binary(kind) and kind.byte_width == _UUID_BYTES)
