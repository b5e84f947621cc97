"""Ids as numbers: the steps from here on count, join and sort integers."""

from dataclasses import dataclass, replace

import ibis
from ibis import Table

from ssna.data.engine import Engine
from ssna.data.sources import ITEM, USER, Source
from ssna.data.sources.values import tidy_id, without_fractions

CODE, ID = "code", "id"
HAS_TEXT = "has_text"
_RAW = "raw"


@dataclass(frozen=True, eq=False)
class Ids:
    """The distinct users, or items, that logs name.

    Attributes:
        names: ``id`` (trimmed) and ``code`` (int32, from 0, in the order of the ids as text).
        codes: ``raw``, as events have it, ``id`` and ``code``; several raw values may have one code.
    """

    names: Table
    codes: Table


def read_ids(engine: Engine, events: Table, key: str, typed: bool) -> Ids:
    """What the column ``key`` of ``events`` holds. Its values are looked at once each, not once a row.

    Args:
        typed: as :class:`Source` has it.
    """
    distinct = events.select(**{_RAW: events[key]}).distinct()
    tidied = engine.materialize(distinct.mutate(**{ID: tidy_id(distinct[_RAW])}))
    filled = tidied.filter(tidied[ID].notnull())
    if not typed:
        filled = without_fractions(filled, ID)
    codes = engine.materialize(filled.mutate(**{CODE: ibis.dense_rank().over(order_by=ID).cast("int32")}))
    engine.release(tidied)
    return Ids(engine.materialize(codes.group_by(CODE).agg(**{ID: codes[ID].min()})), codes)


def encode_ids(events: Table, users: Ids, items: Ids, with_text: Table | None) -> Table:
    """``events`` with codes for ``user`` and ``item``, null where there is no id; and ``has_text``.

    Args:
        with_text: ``code`` of the items that have text; None counts all.
    """
    user, item = users.codes, items.codes
    text = ibis.literal(True) if with_text is None else item[CODE].isin(with_text[CODE])
    item = item.mutate(**{HAS_TEXT: text})
    joined = events.left_join(user, events[USER] == user[_RAW]).left_join(item, events[ITEM] == item[_RAW])
    others = {name: events[name] for name in events.columns if name not in (USER, ITEM)}
    return joined.select(**{USER: user[CODE], ITEM: item[CODE], **others, HAS_TEXT: item[HAS_TEXT]})


def decode_ids(events: Table, users: Ids, items: Ids) -> Table:
    """``events`` with ids in the place of codes."""
    user, item = users.names, items.names
    joined = events.left_join(user, events[USER] == user[CODE]).left_join(item, events[ITEM] == item[CODE])
    others = {name: events[name] for name in events.columns if name not in (USER, ITEM)}
    return joined.select(**{USER: user[ID], ITEM: item[ID], **others})


def with_ids(source: Source) -> Source:
    """The same events with ids as they will be, row by row: for events that others join whose ids are so already."""
    events = source.events.mutate(**{key: tidy_id(source.events[key]) for key in (USER, ITEM)})
    return replace(source, events=events if source.typed else without_fractions(events, USER, ITEM), typed=True)
