"""Two services over one state, in this process: each takes over what the other one changes."""

import json
from collections.abc import Iterator

import pytest
from clients import ITEMS, KEY, PUT, Client, error, items, served

from ssna.recommender import Recommender
from ssna.serving import replicas
from ssna.serving.additions import Change
from ssna.serving.sqlite import STORE
from ssna.serving.store import ChangedElsewhereError, Store

ASKED = {"history": ["i1", "new"], "k": 100}


@pytest.fixture
def two(runs, tmp_path) -> Iterator[tuple[Client, Client]]:
    with served(runs / "ssna", tmp_path / "state") as first, served(runs / "ssna", tmp_path / "state") as second:
        yield first, second


def follow(client):
    client.portal.call(client.service.changes.follow)


def put(client, item, text="word1 word2 word3"):
    return client.put("/items", json={"items": [{"item": item, "text": text}]}, headers=KEY)


def answer(client):
    return client.post("/recommend", json=ASKED).json()


def catalogue(client):
    return {found["item"]: found["text"] for found in client.get("/items", params={"limit": 100}).json()["items"]}


def test_what_one_server_adds_changes_and_removes_the_other_takes_over_and_reads_no_text(two, monkeypatch, capfd):
    first, second = two
    put(first, "new")
    put(first, "other", "word7 word8")
    first.delete("/items/i4", headers=KEY)
    assert "new" not in catalogue(second)
    monkeypatch.setattr(Recommender, "read", lambda *_: pytest.fail("a text is read again"))
    follow(second)
    assert catalogue(second) == catalogue(first)
    assert len(catalogue(second)) == ITEMS + 1
    assert answer(second) == answer(first)
    monkeypatch.undo()
    put(first, "new", "word9 word5")
    first.delete("/items/other", headers=KEY)
    text = first.service.snapshot.recommender.texts[4]
    assert put(first, "i4", text).json()["added"] == 1
    follow(second)
    assert catalogue(second) == catalogue(first)
    assert "i4" in catalogue(second)
    assert answer(second) == answer(first)
    assert (
        '"event": "store", "message": "another server\'s changes were taken over", "revision": 6'
        in capfd.readouterr().err
    )


def test_where_nobody_changed_anything_nothing_is_swapped(two):
    first, second = two
    before = second.service.snapshot
    follow(second)
    assert second.service.snapshot is before
    put(first, "new")
    after = first.service.snapshot
    follow(first)
    assert first.service.snapshot is after


def test_changes_of_both_come_one_on_top_of_the_other(two):
    first, second = two
    for number in range(4):
        assert put(two[number % 2], f"new-{number}").json()["items"] == ITEMS + 1 + number
    assert second.delete("/items/new-0", headers=KEY).json()["items"] == ITEMS + 3
    assert error(first.delete("/items/new-0", headers=KEY), 404)[0] == "unknown_item"
    assert put(second, "new-2", "word5").json() | {"warnings": []} == {
        "added": 0, "replaced": 1, "removed": 0, "changed": 0, "items": ITEMS + 3, "warnings": []
    }  # fmt: skip
    follow(first)
    assert catalogue(first) == catalogue(second)


def test_a_server_that_is_overtaken_while_it_reads_a_text_tries_again(two, monkeypatch):
    first, second = two
    record, overtaken = Store.record, []

    def slower(store, change, *more):
        if store is first.service.changes.store and len(overtaken) < 3:
            overtaken.append(len(overtaken))
            assert put(second, f"faster-{len(overtaken)}").status_code == 200
        return record(store, change, *more)

    monkeypatch.setattr(Store, "record", slower)
    assert put(first, "new").json()["items"] == ITEMS + 4
    assert len(overtaken) == 3
    assert set(catalogue(first)) >= {"new", "faster-1", "faster-2", "faster-3"}


def test_a_server_that_is_always_overtaken_says_so_and_changes_nothing(two, monkeypatch):
    first, _ = two

    def overtaken(*_):
        raise ChangedElsewhereError(409, "changed_elsewhere", "each time")

    monkeypatch.setattr(Store, "record", overtaken)
    assert error(put(first, "new"), 409)[0] == "changed_elsewhere"
    assert "new" not in catalogue(first)


def test_events_of_one_server_count_at_once_on_the_other(two):
    first, second = two
    events = [{"user": "u1", "item": f"i{number}", "time": number} for number in (5, 3, 4)]
    assert first.post("/events", json={"events": events}, headers=KEY).status_code == 200
    found = second.get("/users/u1/recommend", headers=KEY)
    assert items(found) == items(second.post("/recommend", json={"history": ["i3", "i4", "i5"]}))
    assert second.delete("/users/u1", headers=KEY).json()["removed"] == 3
    assert first.get("/users/u1/recommend", headers=KEY).json()["fallback"] == "popularity"


def test_a_state_that_could_not_be_read_at_the_start_is_taken_over_once_it_can(runs, tmp_path):
    state = tmp_path / "state"
    store = Store(state)
    store.record(Change(put={"new": PUT["items"][0]["text"]}))
    store.close()
    whole = (state / STORE).read_bytes()
    (state / STORE).write_bytes(b"damaged" * 999)
    with served(runs / "ssna", state) as client:
        assert error(put(client, "other"), 503)[0] == "disk"
        (state / STORE).write_bytes(whole)
        follow(client)
        assert "new" in catalogue(client)
        assert put(client, "other").status_code == 200


def test_the_look_at_the_state_goes_on_after_every_failure_and_tells_each_once(monkeypatch, capsys):
    import asyncio

    from ssna.core.errors import ArtifactError

    monkeypatch.setattr(replicas, "SECONDS", 0)
    monkeypatch.setattr(replicas, "PATIENCE_SECONDS", 0)
    outcomes = iter(
        [None, ArtifactError("x cannot be read"), ArtifactError("x cannot be read"), ValueError("id"), None]
    )

    class Changes:
        async def follow(self):
            outcome = next(outcomes, asyncio.CancelledError())
            if outcome is not None:
                raise outcome

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(replicas.follow(Changes()))
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("message", line.get("error"))[:16] for line in told] == ["x cannot be read", "ValueError"]
