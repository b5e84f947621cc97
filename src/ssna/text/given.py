"""Vectors that no language model here made: of a file, a frame or an array, each with the id of its item."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ssna.core.errors import CacheError
from ssna.text.encoding import MOST_LAYERS, MOST_WIDTH, VECTORS, Stored

Array = NDArray[Any]
SUFFIXES = (".parquet", ".pq", ".npy", ".safetensors")
IDS_BESIDE = "put the ids, one a line, into {} beside it, in the order of its rows"
COLUMNS = "give a column `item` with ids and a column `vector` with lists of numbers"
AS_PAIR = "give ids and array as a pair: vectors=(ids, array)"


@dataclass(frozen=True, eq=False)
class GivenVectors:
    """Vectors by ids.

    Attributes:
        name: of the source, one of several.
        ids: ``n`` ids, distinct, as they came: text or whole numbers.
        values: ``(n, layers, d)`` float16 or float32; finite once they are read.
    """

    name: str
    ids: Sequence[str]
    values: Array

    @property
    def stored(self) -> Stored:
        """Numbers of 16 bits stay so."""
        return "f16" if self.values.dtype == np.float16 else "f32"

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """``(n, layers, d)``. Raises :class:`CacheError` if a number is not finite."""
        with np.errstate(over="ignore"):
            taken = np.asarray(self.values[rows], dtype=np.float32)
        if not (finite := np.isfinite(taken).all(axis=(1, 2))).all():
            item = self.ids[int(rows[int(np.argmin(finite))])]
            raise CacheError(
                f"{self.name}: the vector of item {item!r} holds a value that is not finite in 32 bits; leave the item "
                "out, or mend its vector"
            )
        return taken


def read_vectors(given: object, name: str = VECTORS) -> GivenVectors:
    """Vectors of one source.

    Args:
        given: a path (``.parquet``, ``.npy``, ``.safetensors``), a frame, ids and array as a pair, or arrays by ids.
        name: of the source.

    Raises:
        CacheError: it is nothing to read vectors from, or their shapes do not fit; the remedy is named.
    """
    if isinstance(given, str | Path):
        ids, values = _of_file(Path(given))
        name_shown = str(given)
    else:
        ids, values = _of_memory(given, name)
        name_shown = name
    return _checked(name, name_shown, ids, values)


def _of_file(path: Path) -> tuple[Sequence[Any], Array]:
    readers: tuple[Callable[[Path], tuple[Sequence[Any], Array]], ...]
    readers = (_of_parquet, _of_parquet, _of_npy, _of_safetensors)
    kinds = dict(zip(SUFFIXES, readers, strict=True))
    if not path.exists():
        raise CacheError(f"{path} does not exist; name a file of vectors ({', '.join(kinds)})")
    if path.is_dir() and any(path.glob("*.parquet")):
        return _of_parquet(path)
    if path.suffix.lower() not in kinds:
        raise CacheError(f"{path} is no file of vectors that is known; give {', '.join(kinds)}")
    try:
        return kinds[path.suffix.lower()](path)
    except CacheError:
        raise
    except Exception as cause:  # each library fails in its own way on a damaged file
        first = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        raise CacheError(f"{path} cannot be read ({first[:200]}); write the file again") from None


def _of_parquet(path: Path) -> tuple[Sequence[Any], Array]:
    return _of_table(pq.read_table(path), str(path))


def _of_npy(path: Path) -> tuple[Sequence[Any], Array]:
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    return _ids_beside(path, "."), values


def _of_safetensors(path: Path) -> tuple[Sequence[Any], Array]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:  # of NumPy, it does not know bf16
        names, about = list(file.keys()), file.metadata() or {}
        if len(names) != 1:
            raise CacheError(
                f"{path} holds {len(names)} tensors ({', '.join(names[:3])}); give one, (items, numbers) or "
                "(items, layers, numbers)"
            )
        tensor = file.get_tensor(names[0])
    values = tensor.numpy() if tensor.dtype.itemsize == 2 and not _is_bf16(tensor) else tensor.float().numpy()
    if "ids" in about:
        ids = json.loads(about["ids"])
        if not isinstance(ids, list):
            raise CacheError(f"{path}: `ids` in its metadata is no JSON list of ids; write the list there")
        return ids, values
    return _ids_beside(path, " or, as a JSON list, into its metadata as `ids`; "), values


def _is_bf16(tensor: Any) -> bool:
    return str(tensor.dtype) == "torch.bfloat16"


def _ids_beside(path: Path, more: str) -> Sequence[Any]:
    """Never by place alone: a catalogue is in an order that no other file has."""
    beside = path.with_suffix(".ids.txt")
    if not beside.is_file():
        raise CacheError(f"{path} does not say which row is which item; {IDS_BESIDE.format(beside.name)}{more.strip()}")
    return beside.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def _of_memory(given: object, name: str) -> tuple[Sequence[Any], Array]:
    if isinstance(given, Mapping):
        return list(given), _stacked(list(given.values()), list(given), name)
    if isinstance(given, tuple | list) and len(given) == 2 and hasattr(given[1], "__array__"):
        ids = given[0].tolist() if hasattr(given[0], "tolist") else list(given[0])
        return ids, np.asarray(given[1])
    if isinstance(given, np.ndarray):
        raise CacheError(f"{name}: an array alone does not say which row is which item; {AS_PAIR}")
    if isinstance(given, pa.RecordBatch):
        return _of_table(pa.Table.from_batches([given]), name)
    if hasattr(given, "__arrow_c_stream__"):
        return _of_table(pa.table(given), name)
    raise CacheError(
        f"{name} is a {type(given).__name__}; give a file, a frame, arrays by ids {{'sku-17': array}}, or ids and "
        "array as a pair (ids, array)"
    )


def _of_table(table: pa.Table, name: str) -> tuple[Sequence[Any], Array]:
    lists = [field.name for field in table.schema if _is_list(field.type)]
    vector = "vector" if "vector" in lists else next(iter(lists), None)
    others = [column for column in table.column_names if column != vector]
    item = "item" if "item" in others else next(iter(others), None)
    unclear = ("vector" not in lists and len(lists) > 1) or ("item" not in others and len(others) > 1)
    if vector is None or item is None or unclear:
        found = ", ".join(table.column_names[:6]) + (", ..." if len(table.column_names) > 6 else "")
        raise CacheError(f"{name} has the columns {found}; {COLUMNS}, or {AS_PAIR}")
    column = table[vector].combine_chunks()
    if column.null_count or table[item].null_count:
        empty = vector if column.null_count else item
        raise CacheError(f"{name}: the column {empty!r} is empty in some rows; leave these rows out")
    return table[item].to_pylist(), _array_of(column, table[item], name)


def _array_of(column: Any, items: Any, name: str) -> Array:
    """``(n, d)`` or ``(n, layers, d)`` of lists that are all as long, without a copy of each."""
    shape, kind = [len(column)], column.type
    while _is_list(kind):
        if pa.types.is_fixed_size_list(kind):
            length = kind.list_size
        else:
            lengths = np.diff(column.offsets.to_numpy(zero_copy_only=False))
            length = int(lengths[0]) if len(lengths) else 0
            if (lengths != length).any():
                place = int(np.argmax(lengths != length)) // max(int(np.prod(shape[1:])), 1)
                odd = items[place].as_py() if place < len(items) else "?"
                raise CacheError(
                    f"{name}: vectors are of several widths, such as {length} and {int(lengths[lengths != length][0])} "
                    f"(item {str(odd)!r}); give one width, or several sources side by side"
                )
        column, kind = column.flatten(), kind.value_type
        shape.append(length)
    if column.null_count:
        raise CacheError(f"{name}: a vector has a number that is missing; leave that item out, or mend its vector")
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise CacheError(f"{name}: vectors are lists of {kind}; give numbers")
    return np.asarray(column.to_numpy(zero_copy_only=False)).reshape(shape)


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _stacked(arrays: list[Any], ids: list[Any], name: str) -> Array:
    values = [np.asarray(array) for array in arrays]
    if not values:
        raise CacheError(f"{name} holds no vector; give at least one")
    if odd := [number for number, each in enumerate(values) if each.shape != values[0].shape]:
        raise CacheError(
            f"{name}: vectors are of several shapes, such as {values[0].shape} of {str(ids[0])!r} and "
            f"{values[odd[0]].shape} of {str(ids[odd[0]])!r}; give one width, or several sources side by side"
        )
    return np.stack(values)


def _checked(name: str, shown: str, ids: Sequence[Any], values: Array) -> GivenVectors:
    if values.dtype.kind not in "fiu":
        raise CacheError(f"{shown}: vectors are of {values.dtype}; give numbers")
    if values.ndim == 2:
        values = values[:, None, :]
    if values.ndim != 3 or not values.size:
        raise CacheError(
            f"{shown} has the shape {values.shape}; give (items, numbers), or (items, layers, numbers), the "
            "lowest layer first"
        )
    items, layers, width = values.shape
    if len(ids) != items:
        raise CacheError(f"{shown} has {items:,} vectors and {len(ids):,} ids; give one id a vector, in their order")
    if layers > MOST_LAYERS or width > MOST_WIDTH:
        raise CacheError(
            f"{shown} has {layers:,} layers of {width:,} numbers an item; at most {MOST_LAYERS} of {MOST_WIDTH:,} can "
            "be read: reduce them, by PCA say"
        )
    if odd := [each for each in ids if isinstance(each, bool) or not isinstance(each, str | int | float | np.generic)]:
        raise CacheError(f"{shown}: {odd[0]!r} is no id of an item; ids are text or whole numbers")
    return GivenVectors(name, [str(each) for each in ids], values)
