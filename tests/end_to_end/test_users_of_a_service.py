"""Users of a server: collect, append, train, reload; and what a kill leaves."""

import shlex

import pytest
from command_line import ssna
from running_server import KEY, Server, started, wait_for_line

from ssna.data import load
from ssna.serving.database import open_database
from ssna.serving.user_events import UserEvents

pytestmark = [pytest.mark.long, pytest.mark.fork]

KEYED = {"X-API-Key": KEY}
NEW = {"item": "new", "text": "word1 word2 word3"}


def post(server, *events):
    return server.ask("POST", "/events", {"events": list(events)}, **KEYED)


def of(user, item, time, **more):
    return {"user": user, "item": item, "time": time, **more}


@pytest.fixture
def shop(tmp_path, distinct_texts, language_model):
    """Logs with names of their own, prepared with a condition, and a run that reads texts."""
    rows = [
        f"u{u},i{(u * 7 + k * k) % 40 + 1},{1_700_000_000 + k},{'look' if k == 3 else 'buy'}"
        for u in range(60)
        for k in range(8)
    ]
    (tmp_path / "logs.csv").write_text("customer,sku,at,event\n" + "\n".join(rows) + "\n")
    texts = [f"i{number},{text}" for number, text in enumerate(distinct_texts(40), 1)]
    (tmp_path / "items.csv").write_text("sku,title\n" + "\n".join(texts) + "\n")
    columns = ("--user-col", "customer", "--item-col", "sku", "--time-col", "at", "--text-cols", "title")
    where = ("--where", "event = buy", "--min-item", 3)
    items = tmp_path / "items.csv"
    assert ssna("prepare", tmp_path / "logs.csv", "--items", items, *columns, *where, "-o", tmp_path / "data") == 0
    train(tmp_path, "first", language_model)
    return tmp_path


def train(folder, name, model):
    cache = folder / f"cache-{name}"
    assert ssna("encode", folder / "data", "-o", cache, "--model", model, "--dtype", "fp32", "--device", "cpu") == 0
    run = ("-o", folder / "runs" / name, "--cache", cache, "--method", "text-knn", "--refit")
    assert ssna("train", folder / "data", *run) == 0


def test_what_users_of_a_server_did_trains_the_next_run_which_then_serves(shop, language_model, capsys):
    words = ("--users", str(shop / "data"))
    with started(shop / "runs" / "first", shop / "state", *words) as process:
        server = Server(process).until_ready()
        data = load(shop / "data")
        history = data.history("u3")
        asked = {"history": history, "k": 5}
        assert server.ask("GET", "/users/u3/recommend?k=5", **KEYED) == server.ask("POST", "/recommend", asked)
        assert server.ask("PUT", "/items", {"items": [NEW]}, **KEYED)[0] == 200
        events = [of(f"u{n}", "new", 1_800_000_000 + n, kind="buy") for n in range(5)]
        events += [of("u3", "i9", 1_800_000_100, kind="look"), of("u/9 ü", "i1", 1_800_000_200, kind="buy")]
        assert post(server, *events)[1] == {"events": 7, "repeated": 0, "unknown": 0, "dropped": 0}
        after = {"history": [*history, "new", "i9"], "k": 5}
        assert server.ask("GET", "/users/u3/recommend?k=5", **KEYED) == server.ask("POST", "/recommend", after)

        capsys.readouterr()
        out = ("-o", shop / "events.parquet", "--items", shop / "new.parquet", "--kind-col", "event")
        assert ssna("export-events", shop / "state", *out) == 0
        last = int(capsys.readouterr().out)
        columns = ("--user-col", "user", "--item-col", "item", "--time-col", "time", "--text-cols", "text")
        more = ("--append", shop / "events.parquet", "--items", shop / "new.parquet")
        assert ssna("prepare", *more, shop / "data", *columns, "-o", shop / "data") == 0
        grown = load(shop / "data")
        assert grown.history("u3") == [*history, "new"]  # its rule is to buy
        assert "new" in grown.items
        train(shop, "second", language_model)
        assert server.ask("POST", "/reload", {"run": "second"}, **KEYED)[1]["items"] == 41
        assert server.ask("GET", "/users/u3/recommend?k=5", **KEYED) == server.ask("POST", "/recommend", after)
        assert ssna("export-events", shop / "state", *out, "--after", last) == 1
        assert "no event that was posted after number" in capsys.readouterr().err
    with started(shop / "runs" / "second", shop / "state", *words) as process:  # with the folder that has grown
        server = Server(process).until_ready()
        assert server.ask("GET", "/users/u3/recommend?k=5", **KEYED) == server.ask("POST", "/recommend", after)
    users = UserEvents(open_database(shop / "state"))
    assert users.history("u3") == [*history, "new", "i9"]
    users.database.close()


def test_a_deleted_user_is_in_no_file_of_the_state_and_no_line_of_the_log(shop):
    log = shop / "log"
    with (
        log.open("wb") as errors,
        started(shop / "runs" / "first", shop / "state", "--users", str(shop / "data"), stderr=errors) as process,
    ):
        server = Server(process).until_ready()
        post(server, of("a-victim", "secret-item", 5), of("u1", "i1", 6))
        assert server.ask("GET", "/users/a-victim/recommend", **KEYED)[1]["unknown"] == ["secret-item"]
        status, answer = server.ask("DELETE", "/users/a-victim", **KEYED)
        assert (status, answer["removed"]) == (200, 1)
        command = shlex.split(answer["also_in"][0]["command"])
        assert command[0] == "ssna"
        for path in (shop / "state").iterdir():
            assert b"victim" not in path.read_bytes()
            assert b"secret-item" not in path.read_bytes()
        wait_for_line(log, '"DELETE", "route": "/users/{user:path}"')
    assert "victim" not in log.read_text()
    assert "secret-item" not in log.read_text()
    given = {"LOGS": shop / "logs.csv", "ITEMS": shop / "items.csv"}
    before = load(shop / "data")
    words = [str(given.get(word, word)).replace("a-victim", "u3") for word in command[1:]]
    assert ssna(*words) == 0
    without = load(shop / "data")
    assert set(before.users.external) - set(without.users.external) == {"u3"}
    assert without.history("u4") == before.history("u4")
