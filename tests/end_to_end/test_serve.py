"""A server in a process of its own: what only signals, sockets and kills show."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from command_line import ssna

pytestmark = [pytest.mark.long, pytest.mark.fork]

KEY = "secret"
HEADERS = {"Content-Type": "application/json", "X-API-Key": KEY}
LARGEST = 2**20


class Server:
    """A running ``ssna serve``."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log
        address = process.stdout.readline()
        assert address, log.read_text()
        self.port = int(address.rpartition(":")[2])

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        return answered(self.connection(), method, path, body, **options)

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=60)

    def reload(self, version: int) -> list[dict[str, Any]]:
        """What the log says of the reload that made this version."""
        whole = self.log.read_text().rpartition("\n")[0]
        lines = map(json.loads, whole.splitlines())
        return [line for line in lines if line["event"] == "reload" and line["version"] == version]

    def until_ready(self) -> "Server":
        while self.ask("GET", "/ready")[0] != 200:
            time.sleep(0.05)
        return self


def answered(connection: HTTPConnection, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, content, options.get("headers", HEADERS))
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@contextmanager
def served(run: Path, state: Path, log: Path) -> Iterator[Server]:
    words = [sys.executable, "-m", "ssna", "serve", str(run), "--port", "0", "--state", str(state)]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "SSNA_API_KEY": KEY}
        )
    try:
        yield Server(process, log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def runs(run_folders, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    for name, run in run_folders.items():
        shutil.copytree(run, folder / name)
    return folder


@pytest.fixture(scope="module")
def server(runs) -> Iterator[Server]:
    with served(runs / "ssna", runs / "state", runs / "log") as running:
        yield running.until_ready()


# bodies


def spoilt(chance: random.Random) -> bytes:
    """A body that is no request, of one of many kinds."""
    kind = chance.randrange(10)
    valid = json.dumps(
        {"history": [f"i{chance.randrange(40)}" for _ in range(chance.randrange(1, 9))], "k": 5}
    ).encode()
    if kind == 0:
        return valid[: chance.randrange(len(valid))]
    if kind == 1:
        return chance.randbytes(chance.randrange(200)) + b"\xff"
    if kind == 2:
        return (b"[", b'{"a":', b'{"history":[')[chance.randrange(3)] * chance.choice([20, 1_000, 80_000])
    if kind == 3:
        nested = chance.randrange(9, 900)
        return b'{"history": ' + b"[" * nested + b"]" * nested + b"}"
    if kind == 4:
        return valid[:-1] + chance.choice([b', "k": 3}', b', "x": 1}', b', "allow": 7}', b', "deny": [null]}'])
    if kind == 5:
        wrong = chance.choice(["NaN", "1e999", "-1", "0", "501", '"3"', "null", "2.5", "[]", "9" * 5_000])
        return b'{"history": [], "k": ' + wrong.encode() + b"}"
    if kind == 6:
        return json.dumps({"history": ["x" * chance.randrange(257, 5_000)]}).encode()
    if kind == 7:
        return json.dumps({"history": ["i1"] * chance.randrange(1_001, 3_000)}).encode()
    if kind == 8:
        return valid.decode().encode(chance.choice(["utf-16", "utf-32", "utf-16-be"]))
    return b'{"history": ["\\ud8' + b"%02x" % chance.randrange(256) + b'"]}'


def test_a_thousand_spoilt_bodies_each_get_a_reason_and_the_service_stays_up(server):
    chance, connection, statuses = random.Random(0), server.connection(), set()
    targets = [("POST", "/recommend"), ("POST", "/recommend/batch"), ("PUT", "/items"), ("POST", "/reload")]
    for number in range(1_000):
        method, path = targets[number % 4]
        content = spoilt(chance) if number % 100 else b" " * (LARGEST + 1)
        status, answer = answered(connection, method, path, content)
        statuses.add(status)
        assert 400 <= status < 500, (method, path, content[:200], answer)
        assert set(answer["error"]) == {"code", "message"}
        assert 10 < len(answer["error"]["message"]) < 300
    assert statuses == {400, 413, 422}
    assert server.ask("POST", "/recommend", {"history": ["i1"]})[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: nine\r\n\r\n",
        b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
        b"POST /recommend HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /items/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_hardly_http_leaves_the_service_up(server, sent):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = connection.recv(4096)
    assert received == b"" or received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 2"))
    assert server.ask("GET", "/health") == (200, {"status": "ok"})


def test_any_id_can_be_added_read_and_deleted_by_its_quoted_address(server):
    for item in ("a/b c?d#e%2F✓", "..", "../i1", "%", "+", "\\", "a//b/", "\u202e"):
        address = f"/items/{quote(item, safe='')}"
        assert server.ask("PUT", "/items", {"items": [{"item": item, "text": "word1"}]})[0] == 200
        assert server.ask("GET", address) == (200, {"item": item, "text": "word1", "attributes": {}})
        assert server.ask("DELETE", address)[0] == 200
        assert server.ask("GET", address)[0] == 404


# reloading


@contextmanager
def load(server: Server, threads: int = 4) -> Iterator[list[tuple[int, Any]]]:
    """Requests without end, until the block ends; their answers."""
    answers: list[tuple[int, Any]] = []
    ended = threading.Event()

    def client(number: int) -> None:
        connection = server.connection()
        while not ended.is_set():
            answers.append(answered(connection, "POST", "/recommend", {"history": [f"i{number + 1}"], "k": 3}))

    with ThreadPoolExecutor(threads) as pool:
        clients = [pool.submit(client, number) for number in range(threads)]
        try:
            yield answers
        finally:
            ended.set()
    for each in clients:
        each.result()


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_no_request_fails_while_runs_are_reloaded_and_items_come_and_go(server):
    before = server.ask("GET", "/ready")[1]
    with load(server) as answers:
        for number, run in enumerate(["text-knn", "ssna"] * 3):
            assert server.ask("POST", "/reload", {"run": run})[0] == 200
            assert server.ask("PUT", "/items", {"items": [{"item": "new", "text": f"word{number}"}]})[0] == 200
            assert server.ask("DELETE", "/items/new")[0] == 200
    assert len(answers) > 50
    assert {status for status, _ in answers} == {200}
    assert all(len(answer["items"]) == 3 for _, answer in answers)
    assert server.ask("GET", "/ready")[1] == before | {"version": before["version"] + 6}


def test_sighup_reads_the_run_again_without_a_failed_request(server, runs):
    version = server.ask("GET", "/ready")[1]["version"]
    with load(server) as answers:
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.ask("GET", "/ready")[1]["version"] == version + 1)
    assert {status for status, _ in answers} == {200}
    wait_for(lambda: server.reload(version + 1))  # a thread writes the log
    found = server.reload(version + 1)[0]
    assert (found["run"], found["overlap"]) == ("ssna", 1.0)


def test_a_run_that_was_damaged_meanwhile_is_told_in_the_log_and_the_old_one_goes_on(server, runs):
    tensors = runs / "ssna" / "model" / "scorer.safetensors"
    whole = tensors.read_bytes()
    try:
        tensors.write_bytes(whole[:-1])
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "not the file that was saved" in server.log.read_text())
    finally:
        tensors.write_bytes(whole)
    assert server.ask("POST", "/recommend", {"history": ["i1"]})[0] == 200


def test_the_log_is_json_and_holds_neither_ids_nor_texts(server):
    server.ask("POST", "/recommend", {"history": ["very-private"], "texts": {"very-private": "word1 private-word"}})
    server.ask("GET", "/similar/very-private")
    text = server.log.read_text()
    assert "private" not in text
    for line in text.splitlines():
        json.loads(line)


# stopping and kills


def test_a_second_server_of_the_same_state_makes_its_changes_on_top_of_the_first_ones(server, runs, tmp_path):
    with served(runs / "ssna", runs / "state", tmp_path / "log") as second:
        second.until_ready()
        assert server.ask("PUT", "/items", {"items": [{"item": "of-one", "text": "word1 word2"}]})[0] == 200
        assert second.ask("PUT", "/items", {"items": [{"item": "of-two", "text": "word1 word2"}]})[0] == 200
        assert [second.ask("GET", f"/items/{item}")[0] for item in ("of-one", "of-two")] == [200, 200]
    assert [server.ask("DELETE", f"/items/{item}")[0] for item in ("of-two", "of-one")] == [200, 200]


def test_a_server_is_alive_and_says_what_is_missing_before_anything_is_loaded(runs, tmp_path):
    start = time.monotonic()
    with served(runs / "ssna", tmp_path / "state", tmp_path / "log") as server:
        assert server.ask("GET", "/health") == (200, {"status": "ok"})
        assert time.monotonic() - start < 10  # two seconds where nothing else runs
        status, answer = server.ask("GET", "/ready")
        assert (status, answer["error"]["code"]) == (503, "starting")
        assert "is being loaded" in answer["error"]["message"]
        server.until_ready()
        assert not (tmp_path / "state").exists()


def test_a_server_can_be_stopped_while_it_loads(runs, tmp_path):
    with served(runs / "ssna", tmp_path / "state", tmp_path / "log") as server:
        server.process.terminate()
        assert server.process.wait(timeout=60) == 0


def test_a_state_of_a_journal_is_refused_in_one_line(runs, tmp_path, capsys):
    (tmp_path / "additions.journal").write_bytes(b'01234567 {"put": {"a": "x"}}\n')
    assert ssna("serve", runs / "ssna", "--port", 0, "--state", tmp_path) == 1
    assert "put the items again" in one_line(capsys)


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    found = capsys.readouterr().err
    assert found.count("\n") == 1
    return found


def test_a_port_that_is_taken_is_refused_in_one_line(server, runs, tmp_path, capsys):
    assert ssna("serve", runs / "ssna", "--port", server.port, "--state", tmp_path) == 1
    assert f"127.0.0.1:{server.port}" in one_line(capsys)


def test_a_folder_that_is_no_run_is_refused_in_one_line(tmp_path, capsys):
    assert ssna("serve", tmp_path / "none", "--port", 0, "--state", tmp_path / "state") == 1
    assert "does not exist" in one_line(capsys)


def test_a_key_that_fits_no_header_is_refused_in_one_line(runs, tmp_path, capsys):
    assert ssna("serve", runs / "ssna", "--port", 0, "--state", tmp_path, "--api-key", "schlüssel") == 1
    assert "printable ASCII" in one_line(capsys)


def test_without_the_extra_the_message_says_what_to_install(runs, monkeypatch, capsys):
    import ssna.cli.serve as verb

    monkeypatch.setattr(verb, "find_spec", lambda name: None)
    assert ssna("serve", runs / "ssna") == 1
    assert "pip install 'ssna[serve]'" in capsys.readouterr().err


def all_added(server: Server, items: dict[str, str]) -> dict[str, str]:
    """Those of ``items`` that are recommended, and their texts."""
    found, ids = {}, list(items)
    for first in range(0, len(ids), 500):
        asked = {"history": ["i1"], "allow": ids[first : first + 500], "k": 500}
        found |= {each["item"]: each["text"] for each in server.ask("POST", "/recommend", asked)[1]["items"]}
    return found


def test_kills_while_items_are_put_lose_nothing_that_was_answered(runs, tmp_path):
    chance, answered_items = random.Random(1), {}
    for start in range(int(os.environ.get("SSNA_KILLS", "2"))):  # 100 of them take about ten minutes
        with served(runs / "text-knn", tmp_path / "state", tmp_path / "log") as server:
            server.until_ready()
            assert all_added(server, answered_items) == answered_items
            killer = threading.Timer(chance.uniform(0.5, 2.0), server.process.kill)
            killer.start()
            number = 0
            while True:
                item, text = f"new-{start}-{number}", f"word{number % 50} word{start}"
                try:
                    status, answer = server.ask("PUT", "/items", {"items": [{"item": item, "text": text}]})
                except (OSError, HTTPException):
                    break
                assert status == 200, answer
                answered_items[item] = text
                number += 1
    with served(runs / "text-knn", tmp_path / "state", tmp_path / "log") as server:
        assert all_added(server.until_ready(), answered_items) == answered_items
    assert len(answered_items) > 8


def test_the_ranking_process_is_killed_under_load_and_no_request_fails(runs, tmp_path):
    with served(runs / "ssna", tmp_path / "state", tmp_path / "log") as server:
        server.until_ready()
        pid = server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        first = children.read_text().split()
        body, kills = {"history": ["i1", "i2"], "k": 30}, []
        with ThreadPoolExecutor(8) as clients:
            asked = [clients.submit(server.ask, "POST", "/recommend", body) for _ in range(400)]
            while len(kills) < 2 and not all(answer.done() for answer in asked):
                for child in children.read_text().split():
                    os.kill(int(child), signal.SIGKILL)
                    kills.append(child)
                time.sleep(0.05)
            answers = [answer.result() for answer in asked]
        assert first
        assert kills
        assert {status for status, _ in answers} == {200}
        items = [[found["item"] for found in answer["items"]] for _, answer in answers]
        assert all(one == items[0] for one in items)
        while children.read_text().split() in ([], first):
            time.sleep(0.05)
        assert server.ask("POST", "/recommend", body)[0] == 200
    assert "the server ranks by itself" in (tmp_path / "log").read_text()
    time.sleep(0.5)
    assert not Path(f"/proc/{first[0]}").exists()


def test_sigterm_answers_what_was_asked_and_ends_with_zero(runs, tmp_path):
    with served(runs / "ssna", tmp_path / "state", tmp_path / "log") as server:
        server.until_ready()
        connections = [server.connection() for _ in range(30)]
        body = json.dumps({"requests": [{"history": [f"i{n % 30 + 1}"], "k": 30} for n in range(60)]}).encode()
        for number, connection in enumerate(connections):
            if number == 10:  # the last twenty are sent, and not even accepted, when the signal comes
                server.process.send_signal(signal.SIGSTOP)
            connection.request("POST", "/recommend/batch", body, HEADERS)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)  # until the server looks for signals as the first thing that it does
        server.process.send_signal(signal.SIGCONT)
        statuses = [connection.getresponse().status for connection in connections]
        assert statuses == [200] * 30
        assert server.process.wait(timeout=30) == 0
    assert '"event": "stopped"' in (tmp_path / "log").read_text()
