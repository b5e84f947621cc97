"""What a data folder keeps of the logs beside the data set, so that later logs can be appended to it.

``dropped.parquet``
    the rows that are not in ``events.parquet``: user, item, when (as :class:`ssna.data.sources.Source` has them) and
    reason. Only rows that nobody could read, and duplicates, are not there; they are counted in the manifest.
``dropped_texts.parquet``
    item and text of what the items' file describes and the catalogue does not hold; an item may have several rows.
``exact.parquet``
    when, for every row of ``events.parquet``, if whole seconds (or places in the history) do not say it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import Table

from ssna.core.ragged import Ints
from ssna.data.cleaning import Core
from ssna.data.dataset import Histories
from ssna.data.engine import Engine
from ssna.data.ids import CODE, ID, Ids, decode_ids
from ssna.data.sources import ITEM, USER, WHEN
from ssna.data.sources.values import MICROSECONDS
from ssna.data.texts import joined_rows

DROPPED, DROPPED_TEXTS, EXACT = "dropped.parquet", "dropped_texts.parquet", "exact.parquet"
REASON, TEXT = "reason", "text"
RARE = "rare"  # the k-core's; which of its reasons, depends on the round

_ROWS = pa.schema({USER: pa.string(), ITEM: pa.string(), WHEN: pa.int64(), REASON: pa.string()})
_TEXTS = pa.schema({ITEM: pa.string(), TEXT: pa.string()})


@dataclass(frozen=True, eq=False)
class Dropped:
    """What there is to write.

    Attributes:
        unusable: user, item, when and reason.
        usable: user, item, when of the rows that the core was taken of.
        core: what the k-core left of them.
        users, items: the ids of their codes.
        dropped_for_good: like ``unusable``, of the append base, with ids in the place of codes; or None.
        parts: of all items, as the source has them; or None. texts: item and text, of the append base; or None.
        own_text: items of the catalogue whose text is their id because they are described so, not because they are not.
    """

    unusable: Table
    usable: Table
    core: Core
    users: Ids
    items: Ids
    dropped_for_good: Table | None
    parts: Table | None
    texts: Table | None
    own_text: tuple[str, ...]

    def write(self, engine: Engine, folder: Path) -> None:
        """Stream all but the exact times into ``folder``."""
        _stream(folder / DROPPED, _ROWS, engine.batches(self._rows()))
        _stream(folder / DROPPED_TEXTS, _TEXTS, self._texts(engine))

    def _rows(self) -> Table:
        """An event leaves the core with its user or its item, so these tell it from those that stay."""
        users, items = self.core.users, self.core.items
        gone = (self.usable.anti_join(users, USER), self.usable.semi_join(users, USER).anti_join(items, ITEM))
        rare = (rows.mutate(reason=ibis.literal(RARE)) for rows in gone)
        encoded = ibis.union(*(rows.select(*_ROWS.names) for rows in (self.unusable, *rare)), distinct=False)
        rows = decode_ids(encoded, self.users, self.items)
        return (
            rows
            if self.dropped_for_good is None
            else ibis.union(rows, self.dropped_for_good.select(*_ROWS.names), distinct=False)
        )

    def _texts(self, engine: Engine) -> Iterator[pa.Table]:
        names, kept = self.items.names, self.core.items
        catalogue = names.semi_join(kept, names[CODE] == kept[ITEM]).select(**{ITEM: names[ID]})
        yield pa.table({ITEM: self.own_text, TEXT: self.own_text}, schema=_TEXTS)
        if self.texts is not None:
            yield from engine.batches(self.texts.anti_join(catalogue, ITEM))
        if self.parts is not None:
            for batch in engine.batches(self.parts.drop_null(ITEM).anti_join(catalogue, ITEM).distinct()):
                items, texts = zip(*joined_rows(batch), strict=True) if len(batch) else ((), ())
                yield pa.table({ITEM: items, TEXT: texts}, schema=_TEXTS)


def write_exact(exact: Ints | None, folder: Path) -> None:
    """``exact``: ``(m,)`` when, in the order of ``events.parquet``; or None where :func:`whole` says the same."""
    if exact is not None:
        _stream(folder / EXACT, pa.schema({WHEN: pa.int64()}), [pa.table({WHEN: exact})])


def whole(histories: Histories) -> Ints:
    """``(m,)`` ``when`` of every event as far as the data set itself tells: by whole seconds, or by the places."""
    places = histories.ragged.position_of_value
    return places if histories.times is None else histories.times * MICROSECONDS


def _stream(path: Path, schema: pa.Schema, tables: Iterable[Any]) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as file:
        for table in tables:
            file.write(table.select(schema.names).cast(schema))
