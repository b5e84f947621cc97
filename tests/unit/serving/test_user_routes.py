"""Users over HTTP: events, recommendations from them, deletion, keys, limits and what may not be logged."""

import asyncio
import shlex
import time

import pytest
from clients import ITEMS, KEY, PUT, error, items, served

from ssna.core.conditions import evaluate, parse
from ssna.data import save
from ssna.serving.elsewhere import without
from ssna.serving.limits import LIMITS
from ssna.serving.sqlite import STORE

EVENT = {"user": "u1", "item": "i1", "time": 5}
USER_ROUTES = [
    ("POST", "/events", {"events": [EVENT]}),
    ("GET", "/users/u1/recommend", None),
    ("GET", "/users/u1/history", None),
    ("DELETE", "/users/u1", None),
]


def post(client, *events, **headers):
    return client.post("/events", json={"events": list(events)}, headers=KEY | headers)


def event(item, time=None, user="u1", **more):
    return {"user": user, "item": item} | ({} if time is None else {"time": time}) | more


def recommended(client, user="u1", **query):
    return client.get(f"/users/{user}/recommend", params=query, headers=KEY)


@pytest.mark.parametrize(("method", "path", "body"), USER_ROUTES)
@pytest.mark.parametrize("key", [None, "", "Secret", "secret "])
def test_all_that_is_about_users_needs_the_key(unchanged, method, path, body, key):
    headers = {} if key is None else {"X-API-Key": key}
    assert error(unchanged.request(method, path, json=body, headers=headers), 401)[0] == "wrong_key"


@pytest.mark.parametrize(("method", "path", "body"), USER_ROUTES)
def test_without_a_key_there_are_no_users(run_folders, tmp_path, method, path, body):
    with served(run_folders["ssna"], tmp_path / "state", key=None) as client:
        code, message = error(client.request(method, path, json=body, headers=KEY), 403)
        assert (code, "users and events are off" in message) == ("no_key", True)
    assert not (tmp_path / "state").exists()


def test_a_user_gets_what_the_same_history_gets(client):
    answer = post(client, event("i4", 7), event("i2", 5), event("i9", 6, kind="view"), event("i5", 1, user="u2"))
    assert answer.json() == {"events": 4, "repeated": 0, "unknown": 0, "dropped": 0}
    for query in ({}, {"k": 3}, {"k": 100, "exclude_seen": False}):
        body = {"history": ["i2", "i9", "i4"]} | query
        assert recommended(client, **query).json() == client.post("/recommend", json=body).json()


def test_a_history_has_the_times_kinds_and_texts_of_a_users_events_oldest_first(client):
    post(client, event("i4", 7.25), event("missing", 5), event("i9", 6, kind="view"), event("i5", 1, user="u2"))
    known = {item: client.get(f"/items/{item}").json()["text"] for item in ("i4", "i9")}
    found = client.get("/users/u1/history", headers=KEY).json()["events"]
    assert found == [
        {"item": "missing", "text": None, "time": 5, "kind": None, "from_data": False},
        {"item": "i9", "text": known["i9"], "time": 6, "kind": "view", "from_data": False},
        {"item": "i4", "text": known["i4"], "time": 7.25, "kind": None, "from_data": False},
    ]
    assert client.get("/users/u1/history", params={"limit": 2}, headers=KEY).json()["events"] == found[1:]
    assert client.get("/users/nobody/history", headers=KEY).json() == {"events": []}


def test_an_event_counts_in_the_next_answer_within_a_tenth_of_a_second(client):
    post(client, event("i1", 1))
    seconds = []
    for number in range(2, 12):
        start = time.monotonic()
        post(client, event(f"i{number}", number))
        found = items(recommended(client, k=100))
        seconds.append(time.monotonic() - start)
        assert found == items(
            client.post("/recommend", json={"history": [f"i{n + 1}" for n in range(number)], "k": 100})
        )
    assert sorted(seconds)[5] < 0.1


def test_an_event_without_a_time_is_of_now(client):
    post(client, event("i1", time.time() - 3_600), event("i2", time.time() + 3_600))
    post(client, event("i3"))
    assert client.service.users.events.history("u1") == ["i1", "i3", "i2"]


def test_an_item_that_nobody_knows_is_kept_and_counts_once_it_is_added(client):
    assert post(client, event("new", 1), event("i1", 2)).json()["unknown"] == 1
    assert recommended(client).json()["unknown"] == ["new"]
    assert client.put("/items", json=PUT, headers=KEY).status_code == 200
    assert recommended(client).json() == client.post("/recommend", json={"history": ["new", "i1"]}).json()
    assert recommended(client).json()["unknown"] == []


def test_a_user_that_nobody_knows_gets_what_is_popular(client):
    found = recommended(client, "nobody").json()
    assert (found["fallback"], len(found["items"])) == ("popularity", 10)
    assert not (client.service.state / STORE).exists()


def test_events_that_are_sent_again_count_once(client):
    assert post(client, EVENT, event("i2", 6)).json()["events"] == 2
    assert post(client, EVENT, event("i3", 7)).json() == {"events": 1, "repeated": 1, "unknown": 0, "dropped": 0}


def test_users_are_there_after_a_restart_and_items_do_not_know_of_them(runs, tmp_path):
    with served(runs / "ssna", tmp_path / "state") as client:
        post(client, event("i4", 1), event("i2", 2))
        before = recommended(client).json()
    with served(runs / "ssna", tmp_path / "state") as client:
        assert recommended(client).json() == before
        assert client.put("/items", json=PUT, headers=KEY).json()["items"] == ITEMS + 1


@pytest.mark.parametrize("user", ["a/b", "a/recommend", "ü ö", "a?b#c", "100%", "'\"`"])
def test_ids_with_signs_are_users_like_any_other(client, user):
    from urllib.parse import quote

    assert post(client, event("i4", 1, user=user)).status_code == 200
    assert (
        recommended(client, quote(user, safe="")).json() == client.post("/recommend", json={"history": ["i4"]}).json()
    )
    assert client.delete(f"/users/{quote(user, safe='')}", headers=KEY).json()["removed"] == 1
    assert client.service.users.events.history(user) == []


def test_many_that_post_at_once_are_written_together_and_each_hears_of_his_own(client):
    users = client.service.users

    async def at_once():
        from ssna.serving.user_schemas import PostedEvent

        posted = [
            [PostedEvent(user=f"u{n}", item=item, time=5.0) for item in ("i1", "none")]
            + [PostedEvent(**EVENT)] * (n % 2)
            for n in range(60)
        ]
        return await asyncio.gather(*map(users.post, posted))

    groups, record = [], users.events.record
    users.events.record = lambda events: groups.append(len(events)) or record(events)
    found = client.portal.call(at_once)
    assert sum(groups) == 60
    assert len(groups) <= 3
    assert {each.unknown for each in found} == {1}
    assert [each.events for each in found[:4]] == [2, 2, 2, 2]  # the second posts an event of his own twice
    assert [each.repeated for each in found[:4]] == [0, 1, 0, 1]


# deletion


def test_a_deleted_user_is_as_unknown_as_before_and_the_others_stay(client):
    post(client, event("i4", 1), event("i2", 2), event("i5", 3, user="u2"))
    assert client.delete("/users/u1", headers=KEY).json()["removed"] == 2
    assert recommended(client).json()["fallback"] == "popularity"
    assert recommended(client, "u2").json()["fallback"] is None
    assert client.delete("/users/u1", headers=KEY).json()["removed"] == 0


def test_nothing_of_a_deleted_user_is_in_the_state_or_the_log(client, capfd):
    user, item = "victim of this test", "item-of-the-victim"
    post(client, event(item, 1, user=user, kind="kind-of-the-victim"), event("i4", 2))
    recommended(client, user)
    recommended(client, "victim%00")
    post(client, event(item, "victim", user=user))
    assert client.delete(f"/users/{user}", headers=KEY).status_code == 200
    found = b"".join(path.read_bytes() for path in client.service.state.iterdir())
    assert b"u1" in found
    assert b"victim" not in found
    logged = capfd.readouterr().err
    assert "/users/{user:path}/recommend" in logged
    assert "victim" not in logged


def test_the_answer_to_a_deletion_says_what_else_may_hold_the_user(runs, tmp_path, random_data):
    data = random_data(seed=8, users=5, items=30)
    options = {"own_items": True, "min_user": 3, "max_history": 50, "accept": [], "text_cols": ["title", "brand"]}
    data.manifest.update(source={"columns": {"user": "customer"}}, options=options)
    save(data, tmp_path / "data set")
    with served(runs / "ssna", tmp_path / "state", users=tmp_path / "data set") as client:
        found = client.delete("/users/u0", headers=KEY).json()
        assert found["removed"] == len(data.history("u0"))
        folders = [each["folder"] for each in found["also_in"]]
        assert folders == [str(tmp_path / "data set"), str(runs / "ssna")]
        words = shlex.split(found["also_in"][0]["command"])
        assert words[:5] == ["ssna", "prepare", "LOGS", "--items", "ITEMS"]
        assert words[5:9] == ["--text-cols", "title,brand", "--min-user", "3"]
        assert words[9:] == ["--where", "not customer = 'u0'", "-o", str(tmp_path / "data set")]
        assert shlex.split(found["also_in"][1]["command"])[:3] == ["ssna", "train", str(tmp_path / "data set")]


@pytest.mark.parametrize("column", ["user", "customer id", "in", "_c0"])
@pytest.mark.parametrize("user", ["u1", "O'Neill", 'a "b"', "12", "true"])
def test_the_condition_leaves_out_this_user_alone(column, user):
    def kept(value, kind):
        row = {column: value, "kind": kind}
        return evaluate(
            parse(without(column, user, "kind = x or kind = y")),
            lambda each: row[each.name] in each.values,
            lambda operator, parts: {"not": not parts[0], "and": all(parts), "or": any(parts)}[operator],
        )

    assert not kept(user, "x")
    assert kept("another", "y")
    assert not kept("another", "z")


# what is refused


@pytest.mark.parametrize(
    ("found", "status", "culprit"),
    [
        ({"item": "i1"}, 422, "events.0.user: is missing"),
        ({"user": "u1"}, 422, "events.0.item: is missing"),
        ({"user": 1, "item": "i1"}, 422, "events.0.user: must be text"),
        ({"user": "", "item": "i1"}, 422, "events.0.user: must not be empty"),
        ({"user": " u1", "item": "i1"}, 422, "events.0.user: must have no blanks around it"),
        ({"user": "u\n1", "item": "i1"}, 422, "events.0.user: must have no blanks around it, nor line breaks"),
        ({"user": "u" * 257, "item": "i1"}, 422, "events.0.user: must have at most 256"),
        ({"user": "u1", "item": "i" * 257}, 422, "events.0.item: must have at most 256"),
        ({"user": "u1", "item": "i1", "time": "now"}, 422, "events.0.time"),
        ({"user": "u1", "item": "i1", "time": -1}, 422, "events.0.time"),
        ({"user": "u1", "item": "i1", "time": True}, 422, "events.0.time"),
        ({"user": "u1", "item": "i1", "time": 1_767_225_600_000}, 422, "must be seconds since 1970"),
        ({"user": "u1", "item": "i1", "kind": "k" * 65}, 422, "events.0.kind: must have at most 64"),
        ({"user": "u1", "item": "i1", "kind": ""}, 422, "events.0.kind: must not be empty"),
        ({"user": "u1", "item": "i1", "price": 5}, 422, "events.0.price"),
    ],
)
def test_what_is_no_event_is_an_error_that_names_it_and_nothing_is_kept(unchanged, found, status, culprit):
    assert (
        culprit in error(post(unchanged, EVENT, found) if found is None else post(unchanged, found, EVENT), status)[1]
    )
    assert unchanged.service.users.events.history("u1") == []


@pytest.mark.parametrize(
    ("body", "status", "culprit"),
    [
        (b"[]", 422, "the body"),
        (b'{"events": []}', 422, "events"),
        (b'{"events": [{"user": "u1", "item": "i1", "time": NaN}]}', 400, "NaN"),
        (b'{"events": [{"user": "\\ud800", "item": "i1"}]}', 400, "surrogate"),
        (
            b'{"events": [' + b'{"user": "u1", "item": "i1"},' * LIMITS.post_events + b'{"user":"u","item":"i"}]}',
            422,
            "500",
        ),
        (b'{"events": [{"user": "u1", "item": "i1"}]' + b" " * 2**20 + b"}", 413, "body"),
    ],
)
def test_a_body_that_is_no_list_of_events_is_refused(unchanged, body, status, culprit):
    headers = KEY | {"Content-Type": "application/json"}
    assert culprit in error(unchanged.post("/events", content=body, headers=headers), status)[1]


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
def test_a_history_has_its_bounds_too(unchanged, limit):
    error(unchanged.get(f"/users/u1/history?limit={limit}", headers=KEY), 422)


@pytest.mark.parametrize("query", ["k=0", "k=501", "k=x", "exclude_seen=perhaps"])
def test_a_question_that_is_out_of_bounds_is_refused(unchanged, query):
    error(unchanged.get(f"/users/u1/recommend?{query}", headers=KEY), 422)


@pytest.mark.parametrize("user", ["%20u1", "u%091", "u" * 257])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_user_that_no_event_can_have_is_refused(unchanged, method, user):
    path = f"/users/{user}/recommend" if method == "GET" else f"/users/{user}"
    error(unchanged.request(method, path, headers=KEY), 422)


def test_a_state_that_is_damaged_refuses_users_and_serves_all_else(client):
    post(client, EVENT)
    client.service.users.events.database.close()
    (client.service.state / STORE).unlink()
    (client.service.state / STORE).write_bytes(b"no database at all" * 99)
    assert "POST /recommend" in error(recommended(client), 503)[1]
    assert "it is damaged" in error(post(client, EVENT), 503)[1]
    assert client.post("/recommend", json={"history": ["i1"]}).status_code == 200
