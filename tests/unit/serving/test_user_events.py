"""Users and events in the database: order, bounds, repetition, deletion to the last byte, seeds."""

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kills import kill_while_recording

from soak import FACTOR
from ssna.serving import limits, user_events
from ssna.serving.database import open_database
from ssna.serving.refusal import RequestError
from ssna.serving.sqlite import STORE
from ssna.serving.user_events import SECOND, Event, Recorded, UserEvents


def users_of(folder: Path) -> UserEvents:
    return UserEvents(open_database(folder))


@pytest.fixture
def users(tmp_path) -> UserEvents:
    return users_of(tmp_path)


@pytest.fixture
def three_at_most(monkeypatch):
    monkeypatch.setattr(user_events, "LIMITS", replace(limits.LIMITS, user_events=3))


def of(user: str, items: str, start: int = 0) -> list[Event]:
    return [Event(user, item, second * SECOND) for second, item in enumerate(items, start)]


def test_reading_makes_nothing(users, tmp_path):
    assert users.history("u1") == []
    assert not users.is_seeded("0" * 16)
    assert list(tmp_path.iterdir()) == []


def test_a_history_is_in_the_order_of_the_times_and_of_equal_times_as_they_came(users):
    users.record(
        [[Event("u1", "late", 9), Event("u1", "first", 5)], [Event("u1", "second", 5), Event("u2", "other", 1)]]
    )
    assert users.history("u1") == ["first", "second", "late"]
    assert users.history("u2") == ["other"]
    assert users.history("u3") == []


def test_histories_are_there_after_a_restart(users, tmp_path):
    users.record([of("u1", "abc")])
    users.database.close()
    assert users_of(tmp_path).history("u1") == ["a", "b", "c"]


def test_an_event_that_is_sent_again_counts_once_and_another_kind_or_time_is_another_event(users):
    event = Event("u1", "a", 5, "view")
    first = users.record([[event, event], [event]])
    assert first == [Recorded(new=1, known=1, dropped=0), Recorded(new=0, known=1, dropped=0)]
    assert users.record([[event, replace(event, kind=None), replace(event, time=6)]]) == [Recorded(2, 1, 0)]
    assert users.history("u1") == ["a", "a", "a"]


def test_the_latest_events_of_a_user_are_kept_and_what_gives_way_is_counted(users, three_at_most):
    assert users.record([of("u1", "abc"), of("u2", "xyz")]) == [Recorded(3, 0, 0)] * 2
    assert users.record([of("u1", "de", start=10)]) == [Recorded(2, 0, 2)]
    assert users.history("u1") == ["c", "d", "e"]
    assert users.record([of("u1", "f")]) == [Recorded(1, 0, 1)]  # older than all that are kept
    assert users.history("u1") == ["c", "d", "e"]
    assert users.history("u2") == ["x", "y", "z"]


def test_more_users_and_events_than_one_statement_takes(users, monkeypatch):
    monkeypatch.setattr("ssna.serving.item_vectors.AT_ONCE", 3)
    events = [event for number in range(10) for event in of(f"u{number}", "abcde")]
    assert users.record([events]) == [Recorded(50, 0, 0)]
    assert users.record([events]) == [Recorded(0, 50, 0)]
    assert all(users.history(f"u{number}") == list("abcde") for number in range(10))


EVENTS = st.lists(
    st.builds(
        Event, st.sampled_from(["u1", "u2"]), st.sampled_from("abc"), st.integers(0, 3), st.sampled_from([None, "x"])
    ),
    max_size=6,
)


@settings(max_examples=15 * FACTOR)
@given(groups=st.lists(EVENTS, min_size=1, max_size=4))
def test_any_events_are_kept_as_a_plain_list_would_keep_them(tmp_path_factory, groups):
    users = users_of(tmp_path_factory.mktemp("state"))
    users.record(groups)
    distinct = list(dict.fromkeys(event for group in groups for event in group))
    for user in ("u1", "u2"):
        mine = sorted((event for event in distinct if event.user == user), key=lambda event: event.time)
        assert users.history(user) == [event.item for event in mine]
    users.database.close()


@pytest.mark.parametrize(
    "event", [Event("u" * 257, "a", 0), Event("u", "a" * 257, 0), Event("u", "a", 0, kind="k" * 65)]
)
def test_an_event_that_no_request_can_have_is_refused_and_nothing_of_its_transaction_is_kept(users, event):
    with pytest.raises(RequestError, match="CHECK constraint failed") as refused:
        users.record([of("u1", "a"), [event]])
    assert (refused.value.status, refused.value.code) == (503, "disk")
    assert users.history("u1") == []


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_no_byte_of_a_deleted_user_is_left_in_the_folder_of_the_state(tmp_path):
    chance = random.Random(0)
    users = users_of(tmp_path)
    for number in range(10):
        users.record([
            [Event(f"user-{chance.randrange(30)}", f"item-{'y' * chance.randrange(40)}", chance.randrange(10**6))]
            for _ in range(60)
        ])  # fmt: skip
        secrets = [Event(f"victim-{number}", f"secret-{number}-{k}", k) for k in range(chance.randrange(1, 150))]
        users.record([secrets])
    assert b"victim-3" in content(tmp_path)
    other = users_of(tmp_path)
    assert other.history("victim-3")  # another server has it open
    for number in range(10):
        assert users.delete(f"victim-{number}") > 0
        assert f"victim-{number}".encode() not in content(tmp_path)
        assert f"secret-{number}".encode() not in content(tmp_path)
    assert b"secret" not in content(tmp_path)
    assert b"victim" not in content(tmp_path)
    assert b"user-" in content(tmp_path)
    assert users.history("victim-3") == other.history("victim-3") == []
    assert users.delete("victim-3") == 0


def test_a_deletion_that_leaves_the_log_as_it_is_since_another_process_reads_says_so_and_can_be_repeated(
    users, tmp_path, monkeypatch
):
    monkeypatch.setattr("ssna.serving.sqlite.LOCKED_SECONDS", 0.05)
    users.record([of("victim", "abc")])
    reader = sqlite3.connect(tmp_path / STORE, isolation_level=None)
    reader.execute("begin")
    reader.execute("select * from users").fetchall()
    with pytest.raises(RequestError, match="another process reads it, so the log beside it still has"):
        users.delete("victim")
    assert b"victim" in content(tmp_path)
    reader.execute("commit")
    assert users.delete("victim") == 0
    assert b"victim" not in content(tmp_path)
    reader.close()


def test_a_state_of_an_earlier_version_gets_what_it_lacks(users, tmp_path):
    users.record([of("u1", "a")])
    users.database.close()
    with sqlite3.connect(tmp_path / STORE) as connection:
        for table in ("events", "users", "seeds"):
            connection.execute(f"drop table {table}")
    earlier = users_of(tmp_path)
    assert earlier.history("u1") == []
    earlier.record([of("u1", "b")])
    assert earlier.history("u1") == ["b"]


def test_seeds_come_before_what_was_collected_and_are_not_kept_twice(users):
    users.record([[Event("u1", "c", 30 * SECOND + 7)]])  # a folder has whole seconds
    seeds = [("a", 10), ("a", 10), ("b", 20), ("c", 30)]
    assert users.seed(["u1", "u2"], [seeds, [("x", 1)]], timed=True) == 4
    assert users.history("u1") == ["a", "a", "b", "c"]
    assert users.seed(["u1", "u2"], [[*seeds, ("d", 40)], [("x", 1)]], timed=True) == 1
    assert users.history("u1") == ["a", "a", "b", "c", "d"]


def test_seeds_without_times_are_told_by_their_items(users):
    users.record([[Event("u1", "c", 30 * SECOND)]])
    assert users.seed(["u1"], [[("b", 0), ("a", 1), ("c", 2)]], timed=False) == 2
    assert users.history("u1") == ["b", "a", "c"]
    assert users.seed(["u1"], [[("b", 0), ("a", 1), ("c", 2), ("a", 3)]], timed=False) == 1


def test_seeds_are_the_latest_events_of_a_user_and_give_way_to_later_ones(users, three_at_most, tmp_path):
    users.record([of("u1", "xy", start=10)])
    assert users.seed(["u1"], [[(item, second) for second, item in enumerate("abcde")]], timed=True) == 3
    assert users.history("u1") == ["e", "x", "y"]
    with sqlite3.connect(tmp_path / STORE) as connection:
        assert connection.execute("select count(*) from events").fetchone() == (3,)


@pytest.mark.long
@pytest.mark.fork
def test_kills_while_events_are_recorded_lose_nothing_that_was_answered(tmp_path):
    kill_while_recording(str(tmp_path), 10 * FACTOR)  # 100 in `make soak`
