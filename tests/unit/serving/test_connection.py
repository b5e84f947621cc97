"""Clients that are slow, silent or endless, over sockets: whom uvicorn alone would wait for."""

import json
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from http.client import HTTPResponse

import pytest
import uvicorn
from clients import loaded

from ssna.serving import connection as connection_module
from ssna.serving import http as http_module
from ssna.serving.app import create_app
from ssna.serving.connection import Connection
from ssna.serving.limits import LIMITS, Limits

pytestmark = pytest.mark.slow

SECONDS = 0.4
POST = b"POST /recommend HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
LARGE = 2**25


@pytest.fixture(scope="module")
def port(run_folders, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for module in (connection_module, http_module):
            patch.setattr(module, "LIMITS", Limits(seconds=SECONDS))
        with running(run_folders["ssna"], tmp_path_factory.mktemp("state")) as number:
            yield number


@contextmanager
def running(run, state):
    app = create_app(loaded(run, state), None)

    @app.get("/large")
    async def large():
        from fastapi import Response

        return Response(bytes(LARGE))

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Connection, log_config=None, timeout_keep_alive=60))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()


def opened(port: int) -> closing:
    return closing(socket.create_connection(("127.0.0.1", port), timeout=20))


def all_of(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    parts = []
    while part := client.recv(2**16):
        parts.append(part)
    return b"".join(parts)


def answer(content: bytes) -> tuple[int, str]:
    head, _, body = content.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def health(client: socket.socket) -> int:
    """The status of one answer, read to its end; the connection stays open."""
    client.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
    response = HTTPResponse(client)
    response.begin()
    response.read()
    return response.status


def test_a_client_that_says_nothing_is_let_go(port):
    start = time.monotonic()
    with opened(port) as client:
        assert all_of(client) == b""
    assert SECONDS * 0.9 < time.monotonic() - start < 10


def test_a_head_that_does_not_end_in_time_is_a_408(port):
    with opened(port) as client:
        client.sendall(POST)
        assert answer(all_of(client)) == (408, "too_slow")


def test_a_head_that_comes_drop_by_drop_is_a_408(port):
    with opened(port) as client:
        client.settimeout(SECONDS / 8)
        client.sendall(POST)
        found, stop = None, time.monotonic() + 8 * SECONDS
        while found is None and time.monotonic() < stop:
            client.sendall(b"G")
            with suppress(TimeoutError):
                found = client.recv(2**16)
        assert found is not None
        assert answer(found) == (408, "too_slow")


def test_a_body_that_is_not_whole_in_time_is_a_408_and_others_are_answered_meanwhile(port):
    with opened(port) as slow, opened(port) as other:
        slow.sendall(POST + b'Content-Length: 99\r\n\r\n{"history"')
        content = b'{"history": ["i1"]}'
        other.sendall(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content))
        assert b" 200 " in all_of(other)[:20]
        assert answer(all_of(slow)) == (408, "too_slow")


@pytest.mark.parametrize("line", [b"X: " + b"x" * 2**17, b"X: y\r\n" * 2**15, b"x" * 2**17])
def test_a_head_without_end_is_a_431(port, line):
    with opened(port) as client:
        try:
            client.sendall(POST + line)
            found = all_of(client)
        except OSError:  # it was closed while the rest was still on its way
            return
        assert not found or answer(found) in [(431, "head_too_large"), (400, "no_http")]


def test_a_long_body_is_no_long_head(port):
    content = b'{"history": [%s "i1"]}' % (b" " * (LIMITS.body_bytes - 100))
    with opened(port) as client:
        for _ in range(2):  # the second one shares packets with the end of the first
            client.sendall(POST + b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        client.sendall(POST + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
        found = all_of(client)
    assert (found.count(b"HTTP/1.1 200"), found.count(b"HTTP/1.1 422")) == (2, 1)


def test_what_is_no_http_is_a_400_of_the_usual_form(port):
    with opened(port) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert answer(all_of(client)) == (400, "no_http")


def test_who_does_not_read_an_answer_is_cut_off(port):
    with opened(port) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
        time.sleep(5 * SECONDS)
        found = b""
        try:
            while part := client.recv(2**16):
                found += part
        except ConnectionResetError:
            pass
    assert len(found) < LARGE


def test_who_reads_an_answer_slowly_gets_all_of_it(port):
    with opened(port) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        size = 0
        while part := client.recv(2**21):
            size += len(part)
            time.sleep(SECONDS / 4)
    assert size > LARGE


def test_a_connection_that_is_used_stays(port):
    with opened(port) as client:
        for _ in range(8):
            assert health(client) == 200
            time.sleep(SECONDS / 2)
        time.sleep(4 * SECONDS)  # idle: the keep-alive time counts, and not how slow a request may be
        assert health(client) == 200


def test_what_is_dropped_behind_an_answered_request_does_not_hold_the_connection(port):
    with opened(port) as client:
        client.settimeout(SECONDS / 8)
        client.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\nContent-Length: 999\r\n\r\n")
        stop, found = time.monotonic() + 12 * SECONDS, b"?"
        while found and time.monotonic() < stop:
            try:
                client.sendall(b"x")
                found = client.recv(2**16)
            except TimeoutError:
                continue
            except ConnectionError:  # closed while something was still on its way
                found = b""
        assert found == b""
