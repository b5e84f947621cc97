"""Histories of a data folder as those of users; what was posted, as logs again."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from ssna.core.errors import ArtifactError, DataError, SsnaError
from ssna.data import save
from ssna.data.dataset import Dataset, Histories, IdMap
from ssna.serving.additions import Change
from ssna.serving.database import open_database
from ssna.serving.events_export import export_events
from ssna.serving.seeding import seed
from ssna.serving.sqlite import STORE
from ssna.serving.store import Store
from ssna.serving.user_events import SECOND, Event, UserEvents


def data_set(timed=True, users=("u1", "u2"), items=("a", "b", "c")):
    histories = Histories(
        np.array([3, 1, 2, 2, 2, 1], dtype=np.int32),
        np.array([10, 20, 20, 5, 5, 6]) if timed else None,
        np.array([0, 3, 6]),
    )
    manifest = {"source": {"columns": {"user": "customer", "item": "sku"}}}
    return Dataset(IdMap(users), IdMap(items), ("", *(f"text {i}" for i in items)), histories, 50, manifest)


@pytest.fixture
def users(tmp_path):
    found = UserEvents(open_database(tmp_path / "state"))
    yield found
    found.database.close()


@pytest.mark.parametrize("timed", [True, False])
def test_a_timeline_says_which_events_are_of_the_folder_and_their_times_if_it_has_any(users, tmp_path, timed):
    save(data_set(timed), tmp_path / "data")
    seed(users, tmp_path / "data")
    users.record([[Event("u1", "b", 30 * SECOND, "view")]])
    found = [(each.item, each.time, each.from_data) for each in users.timeline("u1", 10)]
    times = [10 * SECOND, 20 * SECOND, 20 * SECOND] if timed else [None] * 3
    assert found == [*zip("cab", times, [True] * 3, strict=True), ("b", 30 * SECOND, False)]


@pytest.mark.parametrize("timed", [True, False])
def test_users_begin_with_the_histories_of_a_folder_and_keep_them_once(users, tmp_path, timed, capsys):
    save(data_set(timed), tmp_path / "data")
    assert seed(users, tmp_path / "data")["source"]["columns"]["user"] == "customer"
    assert (users.history("u1"), users.history("u2")) == (["c", "a", "b"], ["b", "b", "a"])
    assert json.loads(capsys.readouterr().err)["events"] == 6
    users.delete("u2")
    seed(users, tmp_path / "data")  # another start: who was deleted does not come back
    assert (users.history("u1"), users.history("u2")) == (["c", "a", "b"], [])
    assert capsys.readouterr().err == ""


def test_a_folder_that_was_kept_in_part_is_kept_whole_the_next_time(users, tmp_path, monkeypatch):
    monkeypatch.setattr("ssna.serving.seeding.AT_ONCE", 1)
    save(data_set(), tmp_path / "data")

    def stop(done, count):
        assert count == 2
        if done == 1:
            raise SsnaError("stopped")

    with pytest.raises(SsnaError, match="stopped"):
        seed(users, tmp_path / "data", stop)
    assert (users.history("u1"), users.history("u2")) == (["c", "a", "b"], [])
    seed(users, tmp_path / "data")
    assert (users.history("u1"), users.history("u2")) == (["c", "a", "b"], ["b", "b", "a"])


def test_two_servers_that_begin_together_keep_the_histories_once(users, tmp_path, capsys):
    save(data_set(), tmp_path / "data")
    other = UserEvents(open_database(tmp_path / "state"))
    seed(users, tmp_path / "data", lambda *_: seed(other, tmp_path / "data"))  # which is faster
    assert (users.history("u1"), users.history("u2")) == (["c", "a", "b"], ["b", "b", "a"])
    assert "error" not in capsys.readouterr().err
    other.database.close()


def test_ids_that_no_request_can_have_are_left_out_and_counted(users, tmp_path, capsys):
    save(data_set(users=("u1", "u\t2"), items=("a", "b" * 257, "c")), tmp_path / "data")
    seed(users, tmp_path / "data")
    assert users.history("u1") == ["c", "a"]
    assert "1 users and 1 items have ids that no request can have" in capsys.readouterr().err


def test_a_folder_that_is_no_data_set_is_an_error(users, tmp_path):
    with pytest.raises(DataError):
        seed(users, tmp_path)


def test_a_state_that_cannot_be_read_is_told_in_one_line_and_stops_no_server(users, tmp_path, capsys):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / STORE).write_bytes(b"no database at all" * 99)
    save(data_set(), tmp_path / "data")
    assert seed(users, tmp_path / "data")["users"] == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be read (it is damaged); users do not begin with the histories of data" in line


# export


def posted(users):
    users.record([[
        Event("u1", "a", 7 * SECOND + 500_000, "purchase"), Event("u2", "new", 8 * SECOND), Event("u1", "b", 3 * SECOND)
    ]])  # fmt: skip


def test_what_was_posted_is_written_in_the_order_in_which_it_came_and_seeds_are_not(users, tmp_path):
    save(data_set(), tmp_path / "data")
    seed(users, tmp_path / "data")
    posted(users)
    found = export_events(tmp_path / "state", tmp_path / "events.parquet")
    table = pq.read_table(tmp_path / "events.parquet")
    assert (found.events, found.timed) == (3, True)
    assert table.column_names == ["user", "item", "time", "kind"]
    assert table["user"].to_pylist() == ["u1", "u2", "u1"]
    assert table["kind"].to_pylist() == ["purchase", None, None]
    assert [when.timestamp() for when in table["time"].to_pylist()] == [7.5, 8, 3]


def test_the_next_export_has_what_came_since_whatever_was_deleted(users, tmp_path, monkeypatch):
    monkeypatch.setattr("ssna.serving.events_export.AT_ONCE", 2)
    posted(users)
    first = export_events(tmp_path / "state", tmp_path / "events.parquet", kind_col="event")
    assert pq.read_table(tmp_path / "events.parquet").column_names == ["user", "item", "time", "event"]
    users.delete("u1")
    users.record([[Event("u3", item, 1) for item in "xyz"]])
    second = export_events(tmp_path / "state", tmp_path / "events.parquet", first.last)
    assert (second.events, second.last) == (3, first.last + 3)
    assert pq.read_table(tmp_path / "events.parquet")["item"].to_pylist() == ["x", "y", "z"]
    with pytest.raises(SsnaError, match=r"has no event that was posted after number 6; nothing was written"):
        export_events(tmp_path / "state", tmp_path / "none.parquet", second.last)
    assert not (tmp_path / "none.parquet").exists()


def test_where_users_began_with_a_folder_without_times_there_are_none(users, tmp_path):
    save(data_set(timed=False), tmp_path / "data")
    seed(users, tmp_path / "data")
    posted(users)
    assert not export_events(tmp_path / "state", tmp_path / "events.parquet").timed
    assert pq.read_table(tmp_path / "events.parquet").column_names == ["user", "item", "kind"]


def test_texts_of_added_items_are_written_for_whoever_prepares_their_events(users, tmp_path):
    posted(users)
    store = Store(tmp_path / "state")
    store.record(Change(put={"new": "A new one", "silent": ""}))
    store.close()
    found = export_events(tmp_path / "state", tmp_path / "events.parquet", items=tmp_path / "items.parquet")
    assert found.items == 1
    assert pq.read_table(tmp_path / "items.parquet").to_pylist() == [{"item": "new", "text": "A new one"}]


def test_a_state_that_is_not_there_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(ArtifactError, match=r"^there is no state in .*none; name"):
        export_events(tmp_path / "none", tmp_path / "events.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named_and_not_the_state(users, tmp_path):
    posted(users)
    with pytest.raises(FileNotFoundError) as refused:
        export_events(tmp_path / "state", tmp_path / "missing" / "events.parquet")
    assert refused.value.filename == str(tmp_path / "missing")


def test_a_column_of_kinds_has_a_name_of_its_own(users, tmp_path):
    with pytest.raises(SsnaError, match="--kind-col item is the name of another column"):
        export_events(tmp_path / "state", tmp_path / "events.parquet", kind_col="item")
