"""From the events that stay to packed histories: numbered, in order, ties settled by a rule of their own."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from ibis import Table
from numpy.typing import NDArray

from ssna.core.ragged import Ints
from ssna.data.checks import same_time
from ssna.data.dataset import Histories
from ssna.data.engine import Engine
from ssna.data.ids import CODE, ID, Ids
from ssna.data.moments import Moments, blocks, count_codes, parts
from ssna.data.predefined import split_apart
from ssna.data.sources import ITEM, USER, WHEN
from ssna.data.sources.values import MICROSECONDS
from ssna.data.split_points import SplitPoints

ORDER_RULE = "by time, oldest first"
TIES_RULE = "events of a user at the same time stand in the order of the MD5 of user id, U+001F, item id"
_SEPARATOR = "\x1f"


@dataclass(frozen=True, eq=False)
class Packed:
    """What is left: ids in the order of their rows, histories of item rows, and :func:`same_time` if they are timed.

    ``exact``: ``(m,)`` what the events are ordered by, as :class:`ssna.data.sources.Source` has it; or None where
    whole seconds, or the places in the histories, say the same, or nothing can be appended.
    ``split_points``: of a predefined split.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    histories: Histories
    exact: Ints | None
    same_time: dict[str, int] | None
    split_points: SplitPoints | None


def pack(engine: Engine, events: Table, count: int, users: Ids, items: Ids, timed: bool, predefined: bool) -> Packed:
    """Rows for users and items in the order of their ids as text, and every user's events in order.

    Args:
        events: ``user`` and ``item`` as codes, and ``when``; ``count`` of them.
        predefined: whether ``when`` has the part, too.
    """
    lengths, item, exact = _ordered(engine, events, count)
    user_ids, _ = _numbered(users, lengths)
    item_ids, row_of_code = _numbered(items, count_codes(item))
    offsets = np.concatenate([[0], np.cumsum(lengths[lengths > 0])]).astype(np.int64)
    for part in parts(count):
        item[part] = row_of_code[item[part]]
    _break_ties(engine, item, exact, offsets, user_ids, item_ids)
    histories = Histories(item, None, offsets)
    tied = same_time(histories, exact) if timed else None
    points = split_apart(exact, offsets) if predefined else None
    suffices = predefined or _seconds_or_places_suffice(exact, offsets, timed)
    if timed:  # in place, where no fractions are lost
        seconds = np.floor_divide(exact, MICROSECONDS, out=exact if suffices else None)
        histories = Histories(item, seconds, offsets)
    return Packed(
        users=tuple(user_ids.to_pylist()),
        items=tuple(item_ids.to_pylist()),
        histories=histories,
        exact=None if suffices else exact,
        same_time=tied,
        split_points=points,
    )


def _ordered(engine: Engine, events: Table, count: int) -> tuple[Ints, NDArray[np.int32], Ints]:
    """How many events each user code has; and, by user and time, item codes and exact times. Ties by item."""
    item, exact = np.empty(count, np.int32), np.empty(count, np.int64)
    lengths: list[tuple[int, Ints]] = []  # the first user of a batch, and the events of each from there on
    filled = 0
    for batch in engine.batches(events.order_by(USER, WHEN, ITEM).select(USER, ITEM, WHEN)):
        rows = slice(filled, filled + len(batch))
        user, item[rows], exact[rows] = (column.to_numpy() for column in batch.columns)
        lengths.append((int(user[0]), np.bincount(user - user[0])))
        filled = rows.stop
    last, counts = lengths[-1]
    total = np.zeros(last + len(counts), dtype=np.int64)
    for first, counts in lengths:
        total[first : first + len(counts)] += counts
    return total, item, exact


def _numbered(ids: Ids, counts: Ints) -> tuple[pa.StringArray, NDArray[np.int32]]:
    """The ids of codes that have events, and ``(codes,)`` their rows, from 1 on; 0 for the others."""
    names = ids.names.order_by(CODE).select(ID).to_pyarrow()[ID].combine_chunks()
    rows = np.cumsum(counts > 0, dtype=np.int32)
    rows[counts == 0] = 0
    return names.take(pa.array(np.flatnonzero(counts))), rows


def _seconds_or_places_suffice(exact: Ints, offsets: Ints, timed: bool) -> bool:
    """Whether whole seconds, or places in the histories, say all of ``exact``."""
    if timed:
        return not any((exact[part] % MICROSECONDS).any() for part in parts(len(exact)))
    for block in blocks(offsets):
        places = np.arange(block[0], block[-1]) - np.repeat(block[:-1], np.diff(block))
        if not np.array_equal(exact[block[0] : block[-1]], places):
            return False
    return True


def _break_ties(
    engine: Engine,
    item: NDArray[np.int32],
    exact: Ints,
    offsets: Ints,
    user_ids: pa.StringArray,
    item_ids: pa.StringArray,
) -> None:
    """Put ``item`` in the order of ``TIES_RULE`` where a user has several at one time. Digests are made there only."""
    first_user = 0
    for block in blocks(offsets):
        events = slice(block[0], block[-1])
        moments = Moments.of(item[events], exact[events], block - block[0])
        tied = np.flatnonzero(np.repeat(moments.mixed, moments.sizes))
        if len(tied):
            user = np.repeat(np.arange(first_user, first_user + len(block) - 1), np.diff(block))[tied]
            group = np.repeat(np.arange(len(moments.sizes)), moments.sizes)[tied]
            rows = pa.table(
                {
                    "group": group,
                    "row": item[events][tied],
                    USER: user_ids.take(pa.array(user)),
                    ITEM: item_ids.take(pa.array(item[events][tied] - 1)),
                }
            )
            item[events][tied] = _in_order(engine, rows)
        first_user += len(block) - 1


def _in_order(engine: Engine, rows: pa.Table) -> NDArray[np.int32]:
    table = engine.import_arrow(rows)
    tie = (table[USER] + _SEPARATOR + table[ITEM]).hexdigest("md5")
    ordered = table.mutate(tie=tie).order_by("group", "tie", "row").select("row").to_pyarrow()
    engine.release(table)
    return np.asarray(ordered["row"], dtype=np.int32)
