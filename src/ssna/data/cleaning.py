"""From rows as they were read to packed histories: Ibis expressions, one step after the other."""

from collections.abc import Callable
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
from ibis import Table
from ibis.expr.types import Value

from ssna.data.checks import same_time
from ssna.data.cuts import MIN_EVENTS
from ssna.data.dataset import Histories
from ssna.data.engine import Engine
from ssna.data.limits import Limits
from ssna.data.rules import Dedup
from ssna.data.sources import ITEM, RATING, USER, WHEN
from ssna.data.sources.values import MICROSECONDS
from ssna.ragged import Ints

NO_TEXT = "no_text"
DUPLICATE = "duplicate"
CORE = ("below_min_user", "below_min_item", "short_history")

ORDER_RULE = "by time, oldest first"
TIES_RULE = "events of a user at the same time stand in the order of the MD5 of user id, U+001F, item id"
_SEPARATOR = "\x1f"

DEDUP_RULES: dict[Dedup, str] = {
    "none": "repeats stay",
    "same": "events of the same user, item and time count once",
    "first": "of a user's events on an item only the first stays",
    "last": "of a user's events on an item only the last stays",
}


@dataclass(frozen=True, eq=False)
class Packed:
    """What is left: ids in the order of their rows, histories of item rows, and :func:`same_time` if they are timed.

    ``exact``: ``(m,)`` what the events are ordered by, as :class:`ssna.data.sources.Source` has it.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    histories: Histories
    exact: Ints
    same_time: dict[str, int] | None


def judge(engine: Engine, events: Table, with_text: Table | None, limits: Limits) -> tuple[Table, dict[str, int]]:
    """Why events are not used: they lack something, are beyond ``limits``, or of items not in ``with_text`` (if given).

    Returns:
        The events with a ``reason``, the first that holds, ``""`` if none does; and a count for every reason.
    """
    reasons = _reasons(events, limits)
    has_text = ibis.literal(True) if with_text is None else events[ITEM].isin(with_text[ITEM])
    # "Not in", which minds nulls, would have Spark compare all events with all items.
    reason = ibis.cases(*((holds, name) for name, holds in reasons.items()), (has_text, ""), else_=NO_TEXT)
    judged = engine.hold(events.select(USER, ITEM, WHEN, reason=reason))
    counts = judged.group_by("reason").agg(rows=judged.count()).to_pyarrow().to_pydict()
    found = dict(zip(counts["reason"], counts["rows"], strict=True))
    return judged, {reason: found.get(reason, 0) for reason in ("", *reasons, NO_TEXT)}


def _reasons(events: Table, limits: Limits) -> dict[str, Value]:
    """In the order of asking: name and condition of what rules an event out, whatever its item's text."""
    reasons = {"no_user": events[USER].isnull(), "no_item": events[ITEM].isnull(), "no_time": events[WHEN].isnull()}
    if limits.min_rating is not None:
        reasons["no_rating"] = events[RATING].isnull()
        reasons["below_min_rating"] = events[RATING] < limits.min_rating
    if limits.since is not None:
        reasons["before_since"] = events[WHEN] < limits.since
    if limits.until is not None:
        reasons["after_until"] = events[WHEN] >= limits.until
    return reasons


def drop_duplicates(engine: Engine, events: Table, dedup: Dedup) -> tuple[Table, int]:
    """One event where several are alike, and how many rows that leaves out."""
    if dedup == "none":
        return events, 0
    kept = engine.hold(_DISTINCT[dedup](events))
    return kept, (events.count() - kept.count().as_scalar()).to_pyarrow().as_py()


_DISTINCT: dict[Dedup, Callable[[Table], Table]] = {
    "same": lambda events: events.distinct(),
    "first": lambda events: events.group_by(USER, ITEM).agg(**{WHEN: events[WHEN].min()}),
    "last": lambda events: events.group_by(USER, ITEM).agg(**{WHEN: events[WHEN].max()}),
}


@dataclass(frozen=True)
class Round:
    """What one round of the k-core drops: rows by reason, and how many users and items they are of."""

    rows: dict[str, int]
    users: int
    items: int


def k_core(
    engine: Engine, events: Table, min_user: int, min_item: int, least: int = MIN_EVENTS
) -> tuple[Table, list[Round]]:
    """Leave out users and items with too few events, in rounds until none has too few.

    A user needs ``least`` in any case. The result is the same in whichever order users and items are taken.
    """
    rounds: list[Round] = []
    kept = engine.hold(events)
    while True:
        rows: dict[str, int] = {}
        kept, users = _drop_rare(engine, kept, USER, {"below_min_user": min_user, "short_history": least}, rows)
        kept, items = _drop_rare(engine, kept, ITEM, {"below_min_item": min_item}, rows)
        if not users and not items:
            return kept, rounds
        rounds.append(Round({reason: rows.get(reason, 0) for reason in CORE}, users, items))


def _drop_rare(
    engine: Engine, events: Table, key: str, least: dict[str, int], dropped: dict[str, int]
) -> tuple[Table, int]:
    """The events whose ``key`` has at least ``least`` events for every reason, and how many keys have not.

    Fills ``dropped`` with rows. Each round is held: an expression over all rounds would be computed from the logs again
    every time.
    """
    groups = events.group_by(key).agg(rows=events.count())
    rare = groups.filter(groups.rows < max(least.values()))
    sizes = rare.rows.to_pyarrow().to_numpy()
    if len(sizes) == 0:
        return events, 0
    keys = len(sizes)
    for reason, threshold in least.items():
        dropped[reason] = int(sizes[sizes < threshold].sum())
        sizes = sizes[sizes >= threshold]
    kept = engine.hold(events.anti_join(rare, key))
    engine.free(events)
    return kept, keys


def pack(engine: Engine, events: Table, timed: bool) -> Packed:
    """Rows for users and items in the order of their ids as text, and every user's events in order."""
    users, items = (engine.hold(_numbered(events, key)) for key in (USER, ITEM))
    tie = (events[USER] + _SEPARATOR + events[ITEM]).hexdigest("md5")
    rows = events.mutate(tie=tie).join(users, USER).join(items, ITEM)
    ordered = rows.order_by("user_row", WHEN, "tie", "item_row")
    packed: pa.Table = ordered.select(user="user_row", item="item_row", when=WHEN).to_pyarrow()
    lengths = np.bincount(packed["user"].to_numpy())
    exact = packed["when"].to_numpy().astype(np.int64)
    histories = Histories(
        items=packed["item"].to_numpy().astype(np.int32) + np.int32(1),
        times=exact // MICROSECONDS if timed else None,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )
    return Packed(
        users=tuple(users.order_by("user_row")[USER].to_pyarrow().to_pylist()),
        items=tuple(items.order_by("item_row")[ITEM].to_pyarrow().to_pylist()),
        histories=histories,
        exact=exact,
        same_time=same_time(histories, exact) if timed else None,
    )


def _numbered(events: Table, key: str) -> Table:
    """Distinct ids and their rows from 0."""
    distinct = events.select(key).distinct()
    row = ibis.row_number().over(order_by=key)
    return distinct.mutate(**{f"{key}_row": row})
