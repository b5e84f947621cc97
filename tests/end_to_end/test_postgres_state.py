"""The state of servers in PostgreSQL: what SQLite keeps, kills, outages, passwords."""

import numpy as np
import pytest
import torch
from kills import kill_while_recording

from postgres_server import postgres_server
from soak import FACTOR
from ssna.core.errors import ArtifactError
from ssna.recommender.admission import NewItems
from ssna.serving.additions import Additions, Change
from ssna.serving.database import open_database
from ssna.serving.events_export import export_events
from ssna.serving.refusal import RequestError
from ssna.serving.store import ChangedElsewhereError, Store
from ssna.serving.user_events import SECOND, Event, Recorded, UserEvents
from ssna.text import Encoding

pytestmark = [pytest.mark.long, pytest.mark.fork]
pytest.importorskip("psycopg")

ENCODING = Encoding(
    model="m", revision="r", pooling="mean", max_tokens=8, layers=(1, 2, 3), depth=3, width=4, dtype="fp32"
)


@pytest.fixture(scope="module")
def server():
    with postgres_server() as found:
        yield found


@pytest.fixture
def address(server, request):
    """A database of this test's own."""
    import psycopg

    name = f"t{abs(hash(request.node.name))}"
    with psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.address.replace("/postgres", f"/{name}")


def test_nothing_is_made_before_the_first_change(address):
    import psycopg

    store = Store(address)
    assert store.load() == Additions()
    assert UserEvents(store.database).history("u1") == []
    assert not store.is_behind()
    with pytest.raises(ArtifactError, match=r"^there is no state in postgresql://me@127"):
        export_events(address, "none.parquet")
    with psycopg.connect(address) as connection:
        found = connection.execute("select count(*) from information_schema.schemata where schema_name = 'ssna'")
        assert found.fetchone() == (0,)
    store.close()


def test_items_are_kept_as_in_a_file(address, tmp_path):
    states = torch.randn(2, 2, 4, generator=torch.Generator().manual_seed(0))
    read = NewItems({"a": "text ü", "b": "text b"}, states, [False, True])
    vectors = {"a": {"image": np.ones((1, 3), dtype=np.float32)}}
    found = []
    for state in (address, tmp_path):
        store = Store(state)
        store.record(Change(put=read.texts, vectors=vectors, hide=("i1", "i2")), read, ENCODING)
        store.record(Change(put={"c": "x"}, show=("i1",)))
        store.record(Change(delete=("b",)))
        store.close()
        again = Store(state)
        found.append(again.load())
        assert found[-1].vectors["a"]["image"].tolist() == [[1, 1, 1]]
        known = again.known(["c", "a", "b"], ENCODING, 2)
        assert list(known.texts) == ["a"]
        np.testing.assert_array_equal(known.states, states[:, [0]])
        again.close()
    assert found[0] == found[1] == Additions({"a": "text ü", "c": "x"}, frozenset({"i2"}), 3)


def test_of_two_servers_the_second_changes_nothing_before_it_has_read_again(address):
    first, second = Store(address), Store(address)
    first.record(Change(put={"a": "x"}))
    assert second.is_behind()
    with pytest.raises(ChangedElsewhereError):
        second.record(Change(put={"b": "x"}))
    second.load()
    second.record(Change(put={"b": "x"}))
    assert list(first.read().texts) == ["a", "b"]
    first.close()
    second.close()


def test_users_are_kept_as_in_a_file_and_leave_no_row(address, tmp_path):
    for state in (address, tmp_path):
        users = UserEvents(open_database(state))
        event = Event("u'1", "a", 5 * SECOND, "view")
        assert users.record([[event, Event("u2", "b", 7)], [event, Event("u'1", "c", 1)]]) == [
            Recorded(2, 0, 0), Recorded(1, 1, 0)
        ]  # fmt: skip
        assert users.seed(["u2", "u3"], [[("b", 0), ("x", 9)], [("y", 1)]], timed=True) == 2
        users.mark_seeded("0" * 16, True)
        assert users.is_seeded("0" * 16)
        assert [users.history(user) for user in ("u'1", "u2", "u3", "u4")] == [["c", "a"], ["b", "x"], ["y"], []]
        assert export_events(state, tmp_path / "events.parquet").events == 3
        assert users.delete("u'1") == 2
        assert users.delete("u'1") == 0
        assert users.history("u'1") == []
        users.database.close()
    import psycopg

    with psycopg.connect(address) as connection:
        assert connection.execute("select id from ssna.users order by id").fetchall() == [("u2",), ("u3",)]
        assert connection.execute("select count(*) from ssna.events").fetchone() == (3,)


def test_tables_of_others_are_left_alone(address):
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("create table users (name text); insert into users values ('somebody')")
        users = UserEvents(open_database(address))
        users.record([[Event("u1", "a", 1)]])
        assert connection.execute("select * from users").fetchall() == [("somebody",)]
        assert connection.execute("select id from ssna.users").fetchall() == [("u1",)]
    users.database.close()


def test_a_text_that_the_database_cannot_hold_is_refused_as_such(address):
    store = Store(address)
    with pytest.raises(RequestError, match="NUL") as refused:
        store.record(Change(put={"a": "x\0y"}))
    assert refused.value.status == 409
    assert store.read() == Additions()
    store.close()


def test_kills_while_events_are_recorded_lose_nothing_that_was_answered(address):
    kill_while_recording(address, 10 * FACTOR)  # 100 in `make soak`


def test_an_outage_refuses_changes_and_loses_nothing(address, server):
    store = Store(address)
    users = UserEvents(store.database)
    store.record(Change(put={"a": "x"}))
    users.record([[Event("u1", "a", 1)]])
    server.stop()
    try:
        for change in (lambda: store.record(Change(put={"b": "x"})), lambda: users.record([[Event("u1", "b", 2)]])):
            with pytest.raises(RequestError, match="cannot be written") as refused:
                change()
            assert (refused.value.status, refused.value.code) == (503, "disk")
            assert "\n" not in str(refused.value)
        with pytest.raises(ArtifactError, match="cannot be read"):
            users.history("u1")
    finally:
        server.start()
    assert users.history("u1") == ["a"]
    store.record(Change(put={"b": "x"}))
    users.record([[Event("u1", "b", 2)]])
    assert list(Store(address).read().texts) == ["a", "b"]
    assert users.history("u1") == ["a", "b"]
    store.close()


def test_no_message_shows_a_password():
    store = Store("postgresql://me:very-secret@localhost:1/shop?application_name=x")
    store.load()
    assert "very-secret" not in store.trouble
    assert "postgresql://me:***@localhost:1/shop cannot be read" in store.trouble
    with pytest.raises(ArtifactError, match="cannot be read; write postgresql://user@host/name") as wrong:
        Store("postgresql://me:very-secret@host:port/x")
    assert "secret" not in str(wrong.value)
