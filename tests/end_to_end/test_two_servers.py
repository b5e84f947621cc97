"""Two servers over one state, in SQLite and in PostgreSQL: what one changes the other sees; either may go."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path

import pytest
from running_server import KEY, Server, started

from postgres_server import PostgresServer, postgres_server
from soak import FACTOR
from ssna.serving.database import open_database
from ssna.serving.limits import LIMITS
from ssna.serving.user_events import UserEvents

pytestmark = [pytest.mark.long, pytest.mark.fork]

KEYED = {"X-API-Key": KEY}
OUTAGE = 3 * FACTOR  # seconds: 30 in `make soak`


@pytest.fixture
def run(run_folders, tmp_path) -> Path:
    return Path(shutil.copytree(run_folders["ssna"], tmp_path / "ssna"))


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg")
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def state(request, tmp_path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "state")
    return str(request.getfixturevalue("postgres").address)


def put(server: Server, item: str) -> int:
    return server.ask("PUT", "/items", {"items": [{"item": item, "text": "word1 word2"}]}, **KEYED)[0]


def post(server: Server, user: str, number: int) -> int:
    event = {"user": user, "item": f"i{number % 30 + 1}", "time": number}
    return server.ask("POST", "/events", {"events": [event]}, **KEYED)[0]


def seconds_until(seen) -> float:
    start = time.monotonic()
    while not seen():
        assert time.monotonic() - start < 20
        time.sleep(0.02)
    return time.monotonic() - start


def test_each_sees_within_a_second_what_the_other_changed_and_goes_on_alone(run, state):
    with started(run, state) as first_process, started(run, state) as second_process:
        first, second = Server(first_process).until_ready(), Server(second_process).until_ready()
        assert put(first, "new") == 200
        assert seconds_until(lambda: second.ask("GET", "/items/new")[0] == 200) < 1
        assert second.ask("DELETE", "/items/i3", **KEYED)[0] == 200
        assert seconds_until(lambda: first.ask("GET", "/items/i3")[0] == 404) < 1
        assert [put(server, f"by-{place}") for place, server in enumerate((first, second, first))] == [200] * 3
        asked = {"history": ["new", "i3", "i5"], "k": 10}
        assert (
            seconds_until(lambda: second.ask("POST", "/recommend", asked) == first.ask("POST", "/recommend", asked)) < 1
        )
        assert post(first, "u1", 4) == 200
        alone = second.ask("GET", "/users/u1/recommend", **KEYED)
        assert alone == second.ask("POST", "/recommend", {"history": ["i5"]})
        first_process.kill()
        first_process.wait()
        assert put(second, "after") == 200
        assert post(second, "u1", 5) == 200
        assert second.ask("GET", "/users/u1/recommend", **KEYED)[1]["fallback"] is None


def test_while_the_database_is_gone_reading_goes_on_and_nothing_that_was_answered_is_lost(run, postgres):
    with started(run, postgres.address) as process:
        server = Server(process).until_ready()
        assert (put(server, "new"), post(server, "u1", 1)) == (200, 200)
        postgres.stop()
        asked, number, slowest = {"history": ["new", "i5"]}, 0, 0.0
        end = time.monotonic() + OUTAGE
        while time.monotonic() < end:
            start = time.monotonic()
            status, answer = server.ask("POST", "/recommend", asked)
            assert (status, answer["unknown"]) == (200, [])
            number, slowest = number + 1, max(slowest, time.monotonic() - start)
            if number % 100 == 1:
                assert (put(server, "other"), post(server, "u1", 2)) == (503, 503)
        assert server.ask("GET", "/items/new")[0] == 200
        assert server.ask("GET", "/users/u1/recommend", **KEYED)[1]["error"]["code"] == "disk"
        print(f"{OUTAGE} s without the database: {number} answers, the slowest in {slowest:.2f} s")
        postgres.start()
        assert (put(server, "other"), post(server, "u1", 3)) == (200, 200)
        users = UserEvents(open_database(postgres.address))
        assert users.history("u1") == ["i2", "i4"]
        users.database.close()
        assert server.ask("GET", "/items/new")[0] == 200


NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream ssna {{ server 127.0.0.1:{first} max_fails=0; server 127.0.0.1:{second} max_fails=0; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://ssna; proxy_set_header Host localhost;
      proxy_next_upstream error timeout http_503 non_idempotent;
    }}
  }}
}}
"""


def free_ports(count: int) -> list[int]:
    taken = [socket.socket() for _ in range(count)]
    for each in taken:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


class Proxy(Server):
    """nginx before two servers."""

    def __init__(self, folder: Path, first: int, second: int) -> None:
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.skip("nginx is not installed")
        folder.mkdir()
        (self.port,) = free_ports(1)
        (folder / "conf").write_text(NGINX.format(folder=folder, first=first, second=second, port=self.port))
        self.process = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "conf")])


class Load(threading.Thread):
    """A client that posts an event and asks for recommendations, over and over."""

    def __init__(self, proxy: Server, user: str) -> None:
        super().__init__()
        self.proxy, self.user, self.stopped = proxy, user, threading.Event()
        self.answered, self.other = 0, list[object]()

    def run(self) -> None:
        while not self.stopped.is_set():
            for ask in (lambda: post(self.proxy, self.user, self.answered), self.recommended):
                try:
                    status = ask()
                except (OSError, HTTPException) as error:
                    status = repr(error)
                if status != 200:
                    self.other.append(status)
            self.answered += 1

    def recommended(self) -> int:
        return self.proxy.ask("GET", f"/users/{self.user}/recommend", **KEYED)[0]


def test_a_restart_of_one_after_the_other_behind_a_proxy_loses_no_request(run, state, tmp_path):
    ports = free_ports(2)
    with ExitStack() as running:

        def start(port: int) -> subprocess.Popen:
            process = running.enter_context(started(run, state, "--port", str(port)))
            Server(process).until_ready()
            return process

        processes = [start(port) for port in ports]
        proxy = Proxy(tmp_path / "nginx", *ports)
        running.callback(proxy.process.wait)
        running.callback(proxy.process.terminate)
        seconds_until(lambda: reachable(proxy))
        loads = [Load(proxy, f"u{number}") for number in range(2)]
        for load in loads:
            load.start()
        try:
            for process, port in zip(processes, ports, strict=True):
                before = [load.answered for load in loads]
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=60) == 0
                start(port)
                assert put(proxy, f"new-{port}") == 200
                assert all(load.answered > count for load, count in zip(loads, before, strict=True))
        finally:
            for load in loads:
                load.stopped.set()
            for load in loads:
                load.join()
        assert [load.other for load in loads] == [[], []]
        users = UserEvents(open_database(state))
        for load in loads:
            sent = [f"i{number % 30 + 1}" for number in range(load.answered)]
            assert users.history(load.user) == sent[-LIMITS.user_events :]
        users.database.close()


def reachable(server: Server) -> bool:
    try:
        return server.ask("GET", "/ready")[0] == 200
    except OSError:
        return False
