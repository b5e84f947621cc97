"""Users and their events in a server's state: histories to recommend from, and logs to prepare and train again from."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select

from ssna.core.errors import ArtifactError
from ssna.serving.database import ERRORS, Database, readable, unwritable
from ssna.serving.item_vectors import some_of
from ssna.serving.limits import LIMITS
from ssna.serving.tables import EVENTS, SEEDS, USERS

SECOND = 1_000_000  # microseconds


@dataclass(frozen=True)
class Event:
    """One thing that a user did.

    Attributes:
        time: microseconds since 1970.
        kind: such as ``purchase``; None where nobody said.
    """

    user: str
    item: str
    time: int
    kind: str | None = None


@dataclass(frozen=True)
class KeptEvent:
    """One of a user's events, as it is kept.

    Attributes:
        time: microseconds since 1970; None where the data folder that it came from has no times.
        kind: None where nobody said.
        from_data: whether it came from a data folder.
    """

    item: str
    time: int | None
    kind: str | None
    from_data: bool


@dataclass(frozen=True)
class Recorded:
    """What became of several events: how many are ``new``, are ``known`` already, or are ``dropped`` since their users
    have newer ones than may be kept (earlier events that gave way are among these)."""

    new: int
    known: int
    dropped: int


class UserEvents:
    """The users of one database. All that writes is on the disk when it returns, and did not happen when it raises."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def record(self, groups: Sequence[Sequence[Event]]) -> list[Recorded]:
        """Keep the events of several requests in one transaction. An event that is there already, with its time and
        kind, is not kept twice.

        Raises:
            RequestError: the database refuses.
        """
        with self._writing() as connection:
            return [_record(connection, events) for events in groups]

    def history(self, user: str) -> list[str]:
        """The items of a user's events, oldest first; of equal times in the order in which they came.

        Raises:
            ArtifactError: it cannot be read.
        """
        newest = _newest(user, LIMITS.user_events).with_only_columns(EVENTS.c.item)
        with readable(self.database) as connection:
            return [] if connection is None else list(connection.execute(newest).scalars())[::-1]

    def timeline(self, user: str, limit: int) -> list[KeptEvent]:
        """The latest ``limit`` events of a user, in the order of :meth:`history`. Raises as that."""
        with readable(self.database) as connection:
            rows = [] if connection is None else connection.execute(_newest(user, limit)).all()[::-1]
        return [
            KeptEvent(row.item, None if row.seeded and not row.time else row.time, row.kind, row.seeded) for row in rows
        ]

    def delete(self, user: str) -> int:
        """Forget a user: how many events there were. No byte of the id and of the events is left in SQLite's files.

        Raises:
            RequestError: the database refuses.
        """
        with self._writing() as connection:
            number = connection.execute(select(USERS.c.number).where(USERS.c.id == user)).scalar()
            count = select(func.count()).where(EVENTS.c.user_number == number)
            found = 0 if number is None else connection.execute(count).scalar() or 0
            connection.execute(delete(EVENTS).where(EVENTS.c.user_number == number))
            connection.execute(delete(USERS).where(USERS.c.number == number))
        try:
            self.database.erase()
        except ERRORS as cause:
            raise unwritable(self.database, cause) from None
        return found

    def seed(self, users: Sequence[str], histories: Sequence[Sequence[tuple[str, int]]], timed: bool) -> int:
        """Keep what a data folder has of some users, unless it is there already: how many events are new.

        Args:
            histories: one a user: items and seconds since 1970, oldest first.
            timed: whether the seconds say when; else events are told by their items alone.

        Raises:
            RequestError: the database refuses.
        """
        with self._writing() as connection:
            numbers = _numbers(connection, users)
            there = _there(connection, numbers, timed)
            rows = []
            for user, history in zip(users, histories, strict=True):
                found = there.get(numbers[user], Counter())
                for item, second in history[-LIMITS.user_events :]:
                    event = (item, second if timed else 0)
                    if found[event]:
                        found[event] -= 1
                        continue
                    rows.append({
                        "user_number": numbers[user], "item": item, "time": second * SECOND if timed else 0,
                        "kind": None, "seeded": True,
                    })  # fmt: skip
            if rows:
                connection.execute(insert(EVENTS), rows)
            _drop_oldest(connection, list(numbers.values()))
        return len(rows)

    def is_seeded(self, fingerprint: str) -> bool:
        """Whether all of a data folder was kept. Raises :class:`ArtifactError` if that cannot be read."""
        with readable(self.database) as connection:
            found = select(SEEDS.c.fingerprint).where(SEEDS.c.fingerprint == fingerprint)
            return connection is not None and connection.execute(found).first() is not None

    def mark_seeded(self, fingerprint: str, timed: bool) -> None:
        """From now on :meth:`is_seeded`. Raises as :meth:`record`."""
        with self._writing() as connection:
            connection.execute(
                delete(SEEDS).where(SEEDS.c.fingerprint == fingerprint)
            )  # of another server that began, too
            connection.execute(insert(SEEDS).values(fingerprint=fingerprint, timed=timed))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with self.database.writing() as connection:
                yield connection
        except (*ERRORS, ArtifactError) as cause:
            raise unwritable(self.database, cause) from None


def _newest(user: str, limit: int) -> Select[Any]:
    columns = EVENTS.c.item, EVENTS.c.time, EVENTS.c.kind, EVENTS.c.seeded
    latest_first = EVENTS.c.time.desc(), EVENTS.c.number.desc()
    return select(*columns).join(USERS).where(USERS.c.id == user).order_by(*latest_first).limit(limit)


def _record(connection: Connection, events: Sequence[Event]) -> Recorded:
    numbers = _numbers(connection, list(dict.fromkeys(event.user for event in events)))
    columns = EVENTS.c.user_number, EVENTS.c.item, EVENTS.c.time, EVENTS.c.kind
    there: set[tuple[int, str, int, str | None]] = set()
    for some in some_of(events):
        users, times = {numbers[event.user] for event in some}, {event.time for event in some}
        matching = select(*columns).where(EVENTS.c.user_number.in_(users) & EVENTS.c.time.in_(times))
        there.update((row.user_number, row.item, row.time, row.kind) for row in connection.execute(matching))
    rows = {
        key: {"user_number": key[0], "item": event.item, "time": event.time, "kind": event.kind, "seeded": False}
        for event in events
        if (key := (numbers[event.user], event.item, event.time, event.kind)) not in there
    }
    if rows:
        connection.execute(insert(EVENTS), list(rows.values()))
    dropped = _drop_oldest(connection, list(numbers.values()))
    return Recorded(len(rows), len(events) - len(rows), dropped)


def _numbers(connection: Connection, users: Sequence[str]) -> dict[str, int]:
    """The rows of users, which are made if need be; nobody else writes meanwhile."""
    found = _known_numbers(connection, users)
    if new := [{"id": user} for user in users if user not in found]:
        connection.execute(insert(USERS), new)
        found |= _known_numbers(connection, [row["id"] for row in new])
    return found


def _known_numbers(connection: Connection, users: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in some_of(users):
        rows = connection.execute(select(USERS.c.id, USERS.c.number).where(USERS.c.id.in_(some)))
        found |= {row.id: row.number for row in rows}
    return found


def _there(connection: Connection, numbers: dict[str, int], timed: bool) -> dict[int, Counter[tuple[str, int]]]:
    """For each user how often there is an item, at a second if they are ``timed``."""
    found: dict[int, Counter[tuple[str, int]]] = {}
    for some in some_of(numbers.values()):
        columns = EVENTS.c.user_number, EVENTS.c.item, EVENTS.c.time
        for row in connection.execute(select(*columns).where(EVENTS.c.user_number.in_(some))):
            event = (row.item, row.time // SECOND if timed else 0)
            found.setdefault(row.user_number, Counter())[event] += 1
    return found


def _drop_oldest(connection: Connection, users: Sequence[int]) -> int:
    """Of each of these users, what is beyond the limit: how many events that is."""
    dropped = 0
    for some in some_of(users):
        counted = select(EVENTS.c.user_number).where(EVENTS.c.user_number.in_(some)).group_by(EVENTS.c.user_number)
        for user in connection.execute(counted.having(func.count() > LIMITS.user_events)).scalars().all():
            of_user = select(EVENTS.c.number).where(EVENTS.c.user_number == user)
            newest_first = of_user.order_by(EVENTS.c.time.desc(), EVENTS.c.number.desc())
            oldest = connection.execute(newest_first.offset(LIMITS.user_events)).scalars().all()
            for numbers in some_of(oldest):
                connection.execute(delete(EVENTS).where(EVENTS.c.number.in_(numbers)))
            dropped += len(oldest)
    return dropped
