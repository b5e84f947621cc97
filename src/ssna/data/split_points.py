"""Where histories are split into training, validation and test: before last events, at two moments, as the
logs say, or nowhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssna.core.errors import DataError, option
from ssna.core.ragged import Ints, Ragged

SplitRule = Literal["leave-one-out", "time", "predefined", "none"]
PARTS = ("train", "valid", "test")
MIN_EVENTS = 3  # leave-one-out: one event to learn from, one to validate on, one to test on
NO_TIMES = (
    f"has no times, which a split by time needs; give a table that has them ({option('time_col')}), or "
    f"take {option('split', 'leave-one-out')}"
)


@dataclass(frozen=True, eq=False)
class SplitPoints:
    """Places in each user's row of events. A question's history stands before its place, its target is the event there.

    Attributes:
        valid: ``(U,)`` all before is for training; the validation target, where it lies before ``test``.
        test: ``(U,)`` the test target, where the row is so long.
        moments: the two as seconds since 1970, where they are the same for everybody; else None.
    """

    valid: Ints
    test: Ints
    moments: tuple[int, int] | None = None


def leave_one_out(histories: Ragged, times: Ints | None) -> SplitPoints:
    """The last event is for testing, the one before it for validation.

    Raises:
        DataError: a user has too few events.
    """
    if histories.lengths.min() < MIN_EVENTS:
        raise DataError(f"a user has fewer than {MIN_EVENTS} events, too few for leave-one-out")
    return SplitPoints(histories.lengths - 2, histories.lengths - 1)


def by_time(histories: Ragged, times: Ints | None, given: tuple[int, int] | None = None) -> SplitPoints:
    """Each row is split at ``t_valid`` and ``t_test``: an event at that very second stands behind the split point.

    With all ``m`` stamps sorted, they are those at places ``⌊8m/10⌋`` and ``⌊9m/10⌋`` (from 0): the latest stamps with
    at most 80 % and 90 % of the events strictly before them.

    Args:
        times: ``(m,)`` seconds since 1970, rising within each row.
        given: ``t_valid`` and ``t_test``, in the place of those.

    Raises:
        DataError: there are no times, they are out of order, or a split has no evaluation users.
    """
    if times is None:
        raise DataError(f"the data set {NO_TIMES}")
    row = histories.row_of_value
    if histories.lengths.min() == 0 or ((times[1:] < times[:-1]) & (row[1:] == row[:-1])).any():
        raise DataError("a user's events are missing or not in the order of their times; run prepare again")
    t_valid, t_test = given or np.sort(times)[[8 * len(times) // 10, 9 * len(times) // 10]].tolist()
    valid, test = (np.bincount(row[times < moment], minlength=len(histories)) for moment in (t_valid, t_test))
    for name, at, until in (("validation", valid, test), ("test", test, histories.lengths)):
        if not len(evaluation_users(at, until)):
            raise DataError(
                f"split at {iso(t_valid)} and {iso(t_test)}, no user has events both before and in {name}; "
                f"give logs of more users or over a longer time, other moments ({option('valid_from')}, "
                f"{option('test_from')}), or take {option('split', 'leave-one-out')}"
            )
    return SplitPoints(valid, test, (t_valid, t_test))


def words_of_points(points: SplitPoints, lengths: Ints) -> pa.Array:
    """``(m,)`` the part of every event, as a word."""
    counts = np.stack([points.valid, points.test - points.valid, lengths - points.test], axis=1)
    return pa.array(PARTS).take(pa.array(np.repeat(np.tile(np.arange(3), len(lengths)), counts.ravel())))


def points_of_words(words: pa.ChunkedArray, rows: Ints, users: int) -> SplitPoints:
    """The opposite of :func:`words_of_points`; ``rows (m,)``: whose event each is, from 0, rising.

    Raises:
        DataError: a word is no part, or parts are out of order.
    """
    part = pc.index_in(words.cast(pa.string()), pa.array(PARTS)).fill_null(-1).to_numpy()
    if (part < 0).any() or ((part[1:] < part[:-1]) & (rows[1:] == rows[:-1])).any():
        raise DataError("the parts of the split are unknown, or not in order")
    valid, test = (np.bincount(rows[part < end], minlength=users) for end in (1, 2))
    return SplitPoints(valid, test)


def all_for_training(histories: Ragged, times: Ints | None) -> SplitPoints:
    """Every event is for training, and none is left to evaluate on."""
    return SplitPoints(histories.lengths, histories.lengths)


def predefined(histories: Ragged, times: Ints | None, given: SplitPoints | None = None) -> SplitPoints:
    """As the logs said.

    Raises:
        DataError: nobody says where, or a split has no evaluation users.
    """
    lengths = histories.lengths
    if given is None or not (len(given.valid) == len(given.test) == len(lengths)):
        raise DataError("a predefined split says for every user where validation and test begin, and this one does not")
    if ((given.valid < 0) | (given.test < given.valid) | (lengths < given.test)).any():
        raise DataError("validation begins behind the test, or outside of a history; run prepare again")
    for name, at, until in (("validation", given.valid, given.test), ("test", given.test, lengths)):
        if not len(evaluation_users(at, until)):
            raise DataError(
                f"no user has an event for {name} and one before it, as the logs are split; split them otherwise, or "
                f"take {option('split', 'leave-one-out')}"
            )
    return given


def evaluation_users(at: Ints, until: Ints) -> Ints:
    """``(n,)`` rising: users with an event at places ``[at, until)`` of their row, both ``(U,)``, and one before."""
    return np.flatnonzero((at > 0) & (at < until))


def iso(seconds: int) -> str:
    """A moment for people, in UTC."""
    return f"{np.datetime64(seconds, 's')}Z"


SPLIT_RULES: dict[SplitRule, Callable[[Ragged, Ints | None], SplitPoints]] = {
    "leave-one-out": leave_one_out,
    "time": by_time,
    "predefined": predefined,
    "none": all_for_training,
}
