"""The split by time against a naive one, event by event."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from data_files import timed
from hypothesis import assume, given
from hypothesis import strategies as st

from ssna.core.errors import DataError
from ssna.data import load, save

pytestmark = pytest.mark.slow

ITEMS = 6


@st.composite
def logs(draw):
    """Users' (item, second), oldest first, with many ties."""
    event = st.tuples(st.integers(1, ITEMS), st.integers(-20, 20))
    users = draw(st.lists(st.lists(event, min_size=1, max_size=8), min_size=1, max_size=6))
    return [sorted(user, key=lambda event: event[1]) for user in users]


def moments(rows):
    """The latest stamps with at most 80 % and 90 % of the events strictly before them."""
    stamps = [second for row in rows for _, second in row]
    return [max(t for t in stamps if 100 * sum(s < t for s in stamps) <= percent * len(stamps)) for percent in (80, 90)]


def questions(rows, start, stop):
    """User -> (history, target)."""
    found = {}
    for user, row in enumerate(rows):
        history = [item for item, second in row if second < start]
        targets = [item for item, second in row if start <= second < stop]
        if history and targets:
            found[user] = history, targets[0]
    return found


def asked(split):
    histories = [history.tolist() for history in split.seen]
    triples = zip(split.users.tolist(), histories, split.targets.tolist(), strict=True)
    return {user: (history, target) for user, history, target in triples}


def cut(rows):
    """The data set, where both splits ask somebody."""
    try:
        return timed(rows)
    except DataError:
        assume(False)


@given(logs())
def test_every_view_is_the_naive_one_and_nothing_else_is_refused(rows):
    t_valid, t_test = moments(rows)
    valid, test = questions(rows, t_valid, t_test), questions(rows, t_test, np.inf)
    if not (valid and test):
        with pytest.raises(DataError, match="before and in"):
            timed(rows)
        return
    data = timed(rows)
    assert data.split_points.moments == (t_valid, t_test)
    assert [row.tolist() for row in data.train] == [[i for i, second in row if second < t_valid] for row in rows]
    assert (asked(data.valid), asked(data.test)) == (valid, test)


@given(logs())
def test_no_history_holds_an_event_at_or_after_the_beginning_of_its_window_nor_its_target_one_before(rows):
    data = cut(rows)
    times = data.histories.times
    for split, moment in zip((data.valid, data.test), data.split_points.moments, strict=True):
        first = data.histories.offsets[split.users]
        target = first + split.seen.lengths
        assert (times[target - 1] < moment).all()
        assert (times[target] >= moment).all()
    assert (
        times[data.valid.seen.lengths + data.histories.offsets[data.valid.users]] < data.split_points.moments[1]
    ).all()
    assert len(data.train.values) == (times < data.split_points.moments[0]).sum() <= 0.8 * len(times)


@given(logs(), st.randoms(use_true_random=False))
def test_the_order_of_the_users_changes_nothing(rows, random):
    data, order = cut(rows), random.sample(range(len(rows)), len(rows))
    other = timed([rows[user] for user in order])
    assert other.split_points.moments == data.split_points.moments
    for mine, others in ((data.valid, other.valid), (data.test, other.test)):
        assert {order[user]: question for user, question in asked(others).items()} == asked(mine)


@given(logs(), st.integers(1, 5), st.integers(-(10**9), 10**9))
def test_another_clock_leaves_the_fingerprint_alone(rows, pace, shift):
    data = cut(rows)
    clock = [[(item, pace * second + shift) for item, second in row] for row in rows]
    assert timed(clock).fingerprint == data.fingerprint


@given(logs(), st.data())
def test_other_times_change_the_fingerprint_exactly_when_a_row_is_cut_elsewhere(rows, draw):
    data = cut(rows)
    moved = [
        [(item, second) for (item, _), second in zip(row, sorted(seconds), strict=True)]
        for row, seconds in (
            (row, draw.draw(st.lists(st.integers(-20, 20), min_size=len(row), max_size=len(row)))) for row in rows
        )
    ]
    other = cut(moved)
    same = (other.split_points.valid == data.split_points.valid).all() and (
        other.split_points.test == data.split_points.test
    ).all()
    assert (other.fingerprint == data.fingerprint) == same


@given(logs())
def test_any_split_by_time_comes_back_from_the_disk(rows):
    data = cut(rows)
    with TemporaryDirectory() as folder:
        save(data, Path(folder) / "data")
        loaded = load(Path(folder) / "data")
    assert (loaded.protocol, loaded.fingerprint, loaded.split_points.moments) == (
        "time",
        data.fingerprint,
        data.split_points.moments,
    )
    assert asked(loaded.test) == asked(data.test)
