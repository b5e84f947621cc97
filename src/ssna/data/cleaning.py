"""Which events stay: Ibis expressions over codes, one step after the other."""

from collections.abc import Callable
from dataclasses import dataclass

import ibis
from ibis import Table
from ibis.expr.types import Value

from ssna.data.engine import Engine
from ssna.data.ids import HAS_TEXT
from ssna.data.options import Dedup, PrepareOptions
from ssna.data.predefined import in_order_of_parts
from ssna.data.sources import ITEM, RATING, SPLIT, USER, WHEN
from ssna.data.split_points import MIN_EVENTS
from ssna.data.where import SELECTED

NO_TEXT = "no_text"
WHERE = "where"
DUPLICATE = "duplicate"
CORE = ("below_min_user", "below_min_item", "short_history")

DEDUP_RULES: dict[Dedup, str] = {
    "none": "repeats stay",
    "same": "events of the same user, item and time count once",
    "first": "of a user's events on an item only the first stays",
    "last": "of a user's events on an item only the last stays",
}


@dataclass(frozen=True, eq=False)
class FilteredEvents:
    """Events, and why they are not used.

    Attributes:
        rows: user, item, when, in a predefined split ``split``; and ``reason``: its place in ``counts``, or 0.
        counts: rows by reason, in the order of asking; the first, ``""``, are those that can be used.
    """

    rows: Table
    counts: dict[str, int]

    @property
    def usable(self) -> Table:
        """User, item and when; in a predefined split with the part in it."""
        rows = self.because("").drop("reason")
        return in_order_of_parts(rows) if SPLIT in rows.columns else rows

    @property
    def unusable(self) -> Table:
        """User, item, when, and the reason by its name."""
        names = [(self.rows.reason == place, name) for place, name in enumerate(self.counts) if name]
        rows = self.rows.filter(self.rows.reason != 0).mutate(reason=ibis.cases(*names))
        return rows.drop(SPLIT) if SPLIT in rows.columns else rows

    def because(self, reason: str) -> Table:
        """The rows of one reason."""
        return self.rows.filter(self.rows.reason == list(self.counts).index(reason))


def filter_events(engine: Engine, events: Table, options: PrepareOptions) -> FilteredEvents:
    """Events are not used that lack something, are outside ratings or times asked for, or are of items without text.

    Of several reasons the first holds.

    Args:
        events: as :func:`ssna.data.ids.encode_ids` has them.
    """
    reasons = _reasons(events, options)
    names = ("", *reasons, NO_TEXT)
    place = {name: ibis.literal(number, "int8") for number, name in enumerate(names)}
    # Not "has none", which is null where there is no item: that has its reason by then.
    conditions = (*((holds, place[name]) for name, holds in reasons.items()), (events[HAS_TEXT], place[""]))
    labelled = engine.materialize(
        events.select(*_columns(events), reason=ibis.cases(*conditions, else_=place[NO_TEXT]))
    )
    counts = labelled.group_by("reason").agg(rows=labelled.count()).to_pyarrow().to_pydict()
    found = dict(zip(counts["reason"], counts["rows"], strict=True))
    return FilteredEvents(labelled, {name: found.get(number, 0) for number, name in enumerate(names)})


def _columns(events: Table) -> list[str]:
    return [USER, ITEM, WHEN, *([SPLIT] if SPLIT in events.columns else [])]


def _reasons(events: Table, options: PrepareOptions) -> dict[str, Value]:
    """In the order of asking: name and condition of what rules an event out, whatever its item's text."""
    reasons = {} if options.where is None else {WHERE: ~events[SELECTED].fill_null(False)}
    reasons |= {"no_user": events[USER].isnull(), "no_item": events[ITEM].isnull(), "no_time": events[WHEN].isnull()}
    since, until = options.window
    if options.min_rating is not None:
        reasons["no_rating"] = events[RATING].isnull()
        reasons["below_min_rating"] = events[RATING] < options.min_rating
    if since is not None:
        reasons["before_since"] = events[WHEN] < since
    if until is not None:
        reasons["after_until"] = events[WHEN] >= until
    return reasons


def drop_duplicates(engine: Engine, events: Table, dedup: Dedup) -> tuple[Table, int]:
    """One event where several are alike, and how many rows that drops."""
    if dedup == "none":
        return events, 0
    kept = engine.materialize(_DISTINCT[dedup](events))
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


@dataclass(frozen=True, eq=False)
class Core:
    """What is left of some events: ``events``, not computed yet; tables of the ``users`` and ``items`` in them, and how
    many ``rows`` each has; and the ``rounds`` that it took."""

    events: Table
    users: Table
    items: Table
    rounds: list[Round]


def k_core(engine: Engine, events: Table, min_user: int, min_item: int, least: int = MIN_EVENTS) -> Core:
    """Leave out users and items with too few events, in rounds until none has too few.

    A user needs ``least`` in any case. The result is the same in whichever order users and items are taken.
    """
    rounds: list[Round] = []
    users_need, items_need = {"below_min_user": min_user, "short_history": least}, {"below_min_item": min_item}
    sizes = {key: engine.materialize(events.group_by(key).agg(rows=events.count())) for key in (USER, ITEM)}
    while True:
        rows: dict[str, int] = {}
        users = _drop_rare(engine, events, sizes, (USER, ITEM), users_need, rows)
        items = _drop_rare(engine, events, sizes, (ITEM, USER), items_need, rows)
        if not users and not items:
            break
        rounds.append(Round({reason: rows.get(reason, 0) for reason in CORE}, users, items))
    if rounds:
        events = events.semi_join(sizes[USER], USER).semi_join(sizes[ITEM], ITEM)
    return Core(events, sizes[USER], sizes[ITEM], rounds)


def _drop_rare(
    engine: Engine,
    events: Table,
    sizes: dict[str, Table],
    keys: tuple[str, str],
    least: dict[str, int],
    dropped: dict[str, int],
) -> int:
    """Take those of the first key that have fewer events than any reason asks for out of ``sizes``; return how many.

    Fills ``dropped`` with rows. ``events`` stay as they are and are only looked up: what falls is taken off the other
    key's sizes, so that a round costs little more than what it drops.
    """
    key, other = keys
    rare = engine.materialize(sizes[key].filter(sizes[key].rows < max(least.values())))
    counts = rare.rows.to_pyarrow().to_numpy()
    found = len(counts)
    for reason, threshold in least.items():
        dropped[reason] = int(counts[counts < threshold].sum())
        counts = counts[counts >= threshold]
    if found:
        fallen = events.semi_join(rare, key).group_by(other).agg(lost=ibis._.count())
        left = sizes[other].left_join(fallen, other).select(other, rows=ibis._.rows - ibis._.lost.fill_null(0))
        remaining = {key: sizes[key].anti_join(rare, key), other: left.filter(left.rows > 0)}
        for name, table in remaining.items():
            remaining[name] = engine.materialize(table)
            engine.release(sizes[name])
        sizes.update(remaining)
    engine.release(rare)
    return found
