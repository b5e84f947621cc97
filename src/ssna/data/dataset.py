"""What every later layer reads: users, items, texts and whole histories, with the splits as views."""

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ssna.core.display import Text, html_table
from ssna.core.errors import DataError, for_python, option
from ssna.core.ragged import Ints, Ragged
from ssna.data.held_out import HeldOut
from ssna.data.histories import Histories, Split, SplitName
from ssna.data.id_map import IdMap
from ssna.data.moments import parts
from ssna.data.split_points import SPLIT_RULES, SplitPoints, SplitRule, by_time, evaluation_users, predefined
from ssna.data.summary import summary, warnings

_SEARCHED = 100_000  # ids that may be meant by one that is not known

__all__ = ["Dataset", "HeldOut", "Histories", "IdMap", "Split", "SplitName"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A prepared data set. ``texts[r]`` is the text of item row ``r``; ``texts[0]`` is empty.

    Attributes:
        manifest: what ``prepare`` reports: counts, dropped rows by reason, source, rules (JSON values only).
        protocol: how histories are split: one of ``SPLIT_RULES``.
        held_out: items held out of it altogether, and the questions about them, or None.
        moments: where validation and test begin, in seconds since 1970, where ``prepare`` was told; else None.
        given_points: where a predefined split splits each user's row; else None.
        new_items: id -> text of items without enough events that are to be recommended all the same, by their texts.
        attributes: a table of ``id`` and the columns that ``prepare`` kept of the items' file, a row for each item of
            the file; None: it kept none. They train nothing, so that the fingerprint does not depend on them.
    """

    users: IdMap
    items: IdMap
    texts: tuple[str, ...]
    histories: Histories
    max_history: int
    manifest: dict[str, Any] = field(default_factory=dict)
    protocol: SplitRule = "leave-one-out"
    held_out: HeldOut | None = None
    moments: tuple[int, int] | None = None
    given_points: SplitPoints | None = None
    new_items: dict[str, str] = field(default_factory=dict)
    attributes: pa.Table | None = None

    def __repr__(self) -> str:
        events = len(self.histories.items)
        return f"<Dataset of {len(self.users):,} users, {len(self.items):,} items and {events:,} events>"

    def _repr_html_(self) -> str:
        return html_table(repr(self), (line.split(maxsplit=1) for line in self.summary().splitlines()))

    def summary(self) -> Text:
        """What ``prepare`` read, dropped and warns of, and what came of it: a few lines."""
        if "rows_read" in self.manifest and "checks" in self.manifest:
            lines = summary(self.manifest)
        else:  # made otherwise: a sample, a union
            counts = {"users": len(self.users), "items": len(self.items), "events": len(self.histories.items)}
            lines = [*(f"{name:9} {count:,}" for name, count in counts.items()), f"split     {self.protocol}"]
        return Text(for_python("\n".join([*lines, f"data      {self.fingerprint}"])))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may not be as it was meant, and what to do about it."""
        return tuple(map(for_python, warnings(self.manifest)))

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.items) + 1 or self.texts[0] != "":
            raise DataError("there must be one text an item, after an empty one for padding")
        if len(self.histories.ragged) != len(self.users):
            raise DataError("there must be one history a user")
        if len(self.users) == 0:
            fewer = f"lower {option('min_user')} or {option('min_item')}"
            raise DataError(f"no user is left; {fewer}, or give more logs")
        if self.protocol not in SPLIT_RULES:
            raise DataError(f"the split {self.protocol!r} is not known; it must be one of {', '.join(SPLIT_RULES)}")
        self.split_points  # noqa: B018 - refuses what cannot be split
        if self.histories.items.max() > len(self.items):
            raise DataError("a history names an item that is not in the catalogue")
        if self.max_history < 1:
            raise DataError(f"{option('max_history', self.max_history)}: it must be at least 1")

    @cached_property
    def split_points(self) -> SplitPoints:
        """Where the protocol splits each user's row."""
        if self.moments is not None and self.protocol == "time":
            return by_time(self.histories.ragged, self.histories.times, self.moments)
        if self.protocol == "predefined":
            return predefined(self.histories.ragged, self.histories.times, self.given_points)
        return SPLIT_RULES[self.protocol](self.histories.ragged, self.histories.times)

    @cached_property
    def train(self) -> Ragged:
        """``U`` rows: what stands before each user's validation target, whole. By time, rows may be empty."""
        return self.histories.ragged.cut(np.zeros_like(self.split_points.valid), self.split_points.valid)

    @cached_property
    def valid(self) -> Split:
        """The event at the validation split point, given all before it: the last but one, or the first from ``t_valid``
        on (of users who have one before ``t_test``)."""
        return self._split("valid")

    @cached_property
    def test(self) -> Split:
        """The event at the test split point, given all before it (those of validation too): the last one, or the first
        from ``t_test`` on."""
        return self._split("test")

    def split(self, name: SplitName) -> Split:
        """``valid`` or ``test`` by name."""
        return {"valid": self.valid, "test": self.test}[name]

    def evaluation_users(self, name: SplitName) -> tuple[Ints, Ints]:
        """``(n,)`` their rows from 0, rising; ``(n,)`` the places of the targets in their histories."""
        ends = (self.split_points.valid, self.split_points.test, self.histories.ragged.lengths)
        at, until = ends[:2] if name == "valid" else ends[1:]
        users = evaluation_users(at, until)
        return users, at[users]

    def _targets(self, name: SplitName) -> Ints:
        users, places = self.evaluation_users(name)
        targets: Ints = self.histories.items[self.histories.offsets[users] + places].astype(np.int64)
        return targets

    def _split(self, name: SplitName) -> Split:
        users, places = self.evaluation_users(name)
        seen = self.histories.ragged.take(users).cut(np.zeros_like(users), places)
        return Split(name, users, seen.last(self.max_history), seen, self._targets(name))

    def history(self, user: str) -> list[str]:
        """Ids of all that ``user`` did, oldest first: what is recommended from.

        Raises:
            DataError: there is no such user.
        """
        return self.histories_of([user])[0]

    def histories_of(self, users: Sequence[str] | None = None) -> list[list[str]]:
        """As :meth:`history`, of several users; of all, in the order of ``users``, if None.

        Raises:
            DataError: there is no such user, or ``users`` is no list of ids.
        """
        if isinstance(users, str):
            raise DataError(f"users is a list of ids: [{users!r}]")
        rows = np.arange(1, len(self.users) + 1) if users is None else self._user_rows(users)
        return [self.items.ids(row) for row in self.histories.ragged.take(rows - 1)]

    def _user_rows(self, users: Sequence[str]) -> Ints:
        users = [str(user) if isinstance(user, int | np.integer) else user for user in users]
        if odd := [user for user in users if not isinstance(user, str)]:
            raise DataError(f"ids of users are text: {str(odd[0])!r} instead of {odd[0]!r}")
        rows = self.users.find(users)
        if not rows.all():
            lacking = users[int(np.argmin(rows))]
            close = difflib.get_close_matches(lacking, self.users.external[:_SEARCHED], n=1)
            hint = f"did you mean {close[0]!r}? Users" if close else "users"
            raise DataError(
                f"there is no user {lacking!r} among {len(self.users):,}; {hint} with too few events are not kept "
                f"({option('min_user')}); recommend from a history of item ids instead"
            )
        return rows

    def interactions(self) -> pa.Table:
        """``user``, ``item`` (the ids of the logs) and, where the source has times, ``time``: every event, by user and
        oldest first. For pandas ``.to_pandas()``, for Polars ``polars.from_arrow``."""
        rows = self.histories.ragged.row_of_value
        columns = {
            "user": self.users.column.take(pa.array(rows)),
            "item": self.items.column.take(pa.array(self.histories.items - 1)),
        }
        if self.histories.times is not None:
            columns["time"] = pa.array(self.histories.times).cast(pa.timestamp("s", "UTC"))
        return pa.table(columns)

    def catalogue(self) -> pa.Table:
        """``item``, ``text`` and ``events`` (how many it has): every item."""
        events = np.bincount(self.histories.items, minlength=len(self.texts))[1:]
        return pa.table({"item": self.items.column, "text": pa.array(self.texts[1:], pa.string()), "events": events})

    @cached_property
    def interactions_used(self) -> int:
        """Events that the test view reads: each target, and at most ``max_history`` before it."""
        users, places = self.evaluation_users("test")
        return len(users) + int(np.minimum(places, self.max_history).sum())

    @cached_property
    def unseen_targets(self) -> int:
        """Test targets that have no training event, of anybody."""
        return int((~self.trained[self._targets("test")]).sum())

    @cached_property
    def trained(self) -> NDArray[np.bool_]:
        """``(items + 1,)`` whether an item has a training event, of anybody."""
        found = np.zeros(len(self.items) + 1, dtype=bool)
        values = self.train.values
        for part in parts(len(values)):
            found[values[part]] = True
        return found

    @property
    def _leaves_one_out(self) -> bool:
        if self.protocol != "predefined":
            return self.protocol == "leave-one-out"
        points, lengths = self.split_points, self.histories.ragged.lengths
        return bool((points.test == lengths - 1).all() and (points.valid == lengths - 2).all())

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over ids, texts, histories, split points and ``max_history``.

        They are equal exactly when figures can be compared. Times are left out: they have done their work once the
        events are in order, and split.
        """
        digest = hashlib.sha256(b"ssna-dataset-1")
        for strings in (self.users.external, self.items.external, self.texts):
            _update(digest, strings)
        digest.update(np.ascontiguousarray(self.histories.offsets, dtype="<i8").data)
        digest.update(np.ascontiguousarray(self.histories.items, dtype="<i4").data)
        digest.update(str(self.max_history).encode())
        if not self._leaves_one_out:  # where split points follow from the histories
            digest.update(np.concatenate([self.split_points.valid, self.split_points.test]).astype("<i8").tobytes())
        return digest.hexdigest()[:16]


def _update(digest: "hashlib._Hash", strings: Sequence[str]) -> None:
    """How many there are, how long each is in UTF-8, and what they are."""
    joined = "".join(strings)
    sizes = map(len, strings) if joined.isascii() else (len(text.encode()) for text in strings)
    digest.update(np.fromiter(chain([len(strings)], sizes), dtype="<i8", count=len(strings) + 1).data)
    digest.update(joined.encode())
