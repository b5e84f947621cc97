"""Vectors of added items in a server's state."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select

from ssna.serving.tables import ADDED, VECTORS

if TYPE_CHECKING:
    from ssna.text.states import Vectors

AT_ONCE = 500  # rows of one statement: SQLite takes 999 values


def some_of(values: Iterable[Any]) -> Iterator[list[Any]]:
    """All of ``values``, a statement's worth at a time."""
    left = iter(values)
    while some := list(islice(left, AT_ONCE)):
        yield some


def numbers_of(connection: Connection, items: Iterable[str]) -> dict[str, int]:
    """The rows of added items."""
    found: dict[str, int] = {}
    for some in some_of(items):
        rows = connection.execute(select(ADDED.c.item, ADDED.c.number).where(ADDED.c.item.in_(some)))
        found |= {row.item: row.number for row in rows}
    return found


def insert_vectors(connection: Connection, vectors: "Mapping[str, Vectors]") -> None:
    """Those of items that were just added."""
    numbers = numbers_of(connection, vectors)
    rows = [
        {"number": numbers[item], "source": name, "layers": len(each), "vector": each.astype("<f4").tobytes()}
        for item, given in vectors.items()
        for name, each in given.items()
    ]
    if rows:
        connection.execute(insert(VECTORS), rows)


def vectors_in(connection: Connection) -> "dict[str, dict[str, NDArray[np.float32]]]":
    """Those of added items, by their ids."""
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    columns = ADDED.c.item, VECTORS.c.source, VECTORS.c.layers, VECTORS.c.vector
    for item, name, layers, content in connection.execute(select(*columns).join(ADDED)):
        values = np.frombuffer(content, "<f4").reshape(layers, -1)
        found.setdefault(item, {})[name] = values.astype(np.float32)
    return found
