"""Every byte of a request is counted, whatever it is; what is thrown away is not kept."""

import asyncio
import json
import socket
import threading
import time
import tracemalloc

import pytest
from clients import loaded
from sockets import POST, all_of, answer, listening, opened

from ssna.serving import connection as connection_module
from ssna.serving.limits import LIMITS, Limits

pytestmark = pytest.mark.slow

CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"history": ["i1"], "k": 1}'
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)
PAIRS = LIMITS.head_bytes + LIMITS.body_bytes
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def server(run_folders, tmp_path_factory):
    service = loaded(run_folders["ssna"], tmp_path_factory.mktemp("state"))
    with listening(service) as (port, running):
        running.port, running.service = port, service
        yield running


def sent(server, *parts: bytes) -> bytes:
    """What comes back, once all is sent that the server takes."""
    with opened(server.port) as client:
        try:
            for part in parts:
                client.sendall(part)
        except OSError:  # it was cut off
            pass
        return all_of(client)


def fields(size: int) -> bytes:
    """Header fields of so many bytes."""
    line = b"x-a: %s\r\n" % (b"a" * 1_000)
    lines = line * (size // len(line))
    return lines + b"x-b: %s\r\n" % (b"b" * (size - len(lines) - 7))


def test_the_last_byte_of_a_head_that_is_allowed_is_taken_and_the_next_one_refused(server):
    start = POST + b"Connection: close\r\nContent-Length: %d\r\n" % len(BODY)
    left = LIMITS.head_bytes - len(start) - 2
    assert sent(server, start + fields(left) + b"\r\n" + BODY).startswith(b"HTTP/1.1 200")
    assert answer(sent(server, start + fields(left + 1) + b"\r\n" + BODY)) == (431, "head_too_large")


def test_header_fields_are_counted(server):
    start = POST + b"Connection: close\r\nContent-Length: %d\r\n" % len(BODY)
    allowed = LIMITS.header_fields - 4
    assert sent(server, start + b"a:\r\n" * allowed + b"\r\n" + BODY).startswith(b"HTTP/1.1 200")
    assert answer(sent(server, start + b"a:\r\n" * (allowed + 1) + b"\r\n" + BODY)) == (431, "head_too_large")


def test_trailers_are_counted_with_the_body(server):
    short = sent(server, CHUNKED.replace(b"Host", b"Connection: close\r\nHost"), CHUNK, b"0\r\nx-a: b\r\n\r\n")
    assert short.startswith(b"HTTP/1.1 200")
    assert answer(sent(server, CHUNKED, CHUNK, b"0\r\n", fields(PAIRS), b"\r\n")) == (413, "too_large")


def test_what_separates_chunks_is_counted_with_the_body(server):
    extension = b"1;%s\r\n \r\n" % (b"e" * 10_000)
    assert answer(sent(server, CHUNKED, extension * (PAIRS // 10_000 + 1), CHUNK, b"0\r\n\r\n")) == (413, "too_large")


def test_what_follows_a_body_has_the_bounds_of_a_head(server):
    most, few = LIMITS.header_fields, b"0\r\n%s\r\n"
    for trailers, bound in ((b"x:\r\n", most), (b"x: %s\r\n" % bytes(b"y" * 996), LIMITS.head_bytes // 1_000)):
        start = CHUNKED.replace(b"Host", b"Connection: close\r\nHost")
        assert sent(server, start, CHUNK, few % (trailers * (bound - 4))).startswith(b"HTTP/1.1 200")
        refused = sent(server, CHUNKED, CHUNK, few % (trailers * (bound + 16)))
        assert answer(refused) == (413, "too_large")
        assert b"send larger chunks" in refused


def test_small_chunks_of_a_large_body_are_taken(server):
    body = b'{"history": [%s]}' % b", ".join(b'"an item of a history %d"' % number for number in range(1_000))
    chunks = [body[start : start + 256] for start in range(0, len(body), 256)]
    sent_chunks = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    start = CHUNKED.replace(b"Host", b"Connection: close\r\nHost")
    assert sent(server, start, sent_chunks, b"0\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_a_body_that_breaks_off_into_what_is_no_http_ends_its_request(server, capsys):
    assert answer(sent(server, CHUNKED, b"1\r\n{\r\nno size\r\n")) == (400, "no_http")
    end = time.monotonic() + 5
    while server.server_state.tasks and time.monotonic() < end:
        time.sleep(0.01)
    assert not server.server_state.tasks
    assert "failure" not in capsys.readouterr().err


def test_a_body_that_nobody_reads_is_counted(server):
    found = sent(server, b"POST /nowhere HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % 10**9, bytes(PAIRS))
    assert found.startswith(b"HTTP/1.1 404")
    assert found.count(b"HTTP/1.1") == 1


def test_what_is_thrown_away_ends(server):
    with opened(server.port) as client:
        client.sendall(CHUNKED + b"1;")
        with pytest.raises(OSError):
            client.sendall(b"e" * 100 * MEGABYTE)


def test_nothing_of_a_refused_request_is_kept(server):
    """Of what Python allocates, at its peak; the answer is there before the rest is."""
    endings = [b"0\r\nx: ", b"1;", b"0\r\n" + b"x:\r\n" * 300_000]
    tracemalloc.start()
    try:
        for ending in endings:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            with opened(server.port) as client:
                client.sendall(CHUNKED + ending)
                for _ in range(8):
                    client.sendall(b"x" * MEGABYTE)
                assert answer(all_of(client)) == (413, "too_large")
            assert tracemalloc.get_traced_memory()[1] - before < 7 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_many_requests_in_one_packet_are_answered_in_their_order(server):
    bodies = [json.dumps({"history": ["i1"], "k": number % 20 + 1}).encode() for number in range(400)]
    requests = [POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies]
    last = POST + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    found = sent(server, b"".join(requests) + last)
    counts = [part.count(b'"item":') for part in found.split(b"HTTP/1.1 ")[1:]]
    assert counts == [number % 20 + 1 for number in range(400)] + [0]


def test_requests_that_wait_behind_another_one_are_few(server):
    with opened(server.port) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n" * 20_000)
        most, end = 0, time.monotonic() + 1
        while time.monotonic() < end:
            most = max([most, *(len(each.pipeline) for each in tuple(server.server_state.connections))])
        assert 0 < most <= connection_module.PART / 36 + 1


def test_who_leaves_is_not_worked_for(server, monkeypatch):
    inference, free = server.service.inference, threading.Event()
    answers = inference._batcher._answer

    async def held(jobs):
        while not free.is_set():
            await asyncio.sleep(0.01)
        return await answers(jobs)

    def until(queued: int) -> None:
        end = time.monotonic() + 10
        while inference.queued != queued:
            assert time.monotonic() < end
            time.sleep(0.01)

    monkeypatch.setattr(inference._batcher, "_answer", held)
    question = POST + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
    try:
        with opened(server.port) as stays:
            stays.sendall(question)
            while not inference._batcher._passes:
                time.sleep(0.01)
            with opened(server.port) as leaves:
                leaves.sendall(question)
                until(1)
            until(0)
            free.set()
            assert stays.recv(100).startswith(b"HTTP/1.1 200")
    finally:
        free.set()


def test_more_connections_than_the_limit_close_the_one_that_was_idle_longest(server, monkeypatch, capsys):
    monkeypatch.setattr(connection_module, "LIMITS", Limits(connections=3))
    monkeypatch.setattr(connection_module, "_warned", -connection_module.WARN_SECONDS)
    clients = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(3)]
    try:
        while len(server.server_state.connections) != 3:
            time.sleep(0.01)
        clients[0].sendall(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
        assert clients[0].recv(100).startswith(b"HTTP/1.1 200")
        late = b"GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        assert sent(server, late).startswith(b"HTTP/1.1 200")
        assert clients[1].recv(1) == b""
        clients[0].sendall(late)
        assert b"200" in all_of(clients[0])
    finally:
        for client in clients:
            client.close()
    assert "3 connections are open, the limit" in capsys.readouterr().err


def test_where_every_connection_is_busy_the_next_one_is_refused(server, monkeypatch):
    monkeypatch.setattr(connection_module, "LIMITS", Limits(connections=1))
    with opened(server.port) as busy:
        busy.sendall(POST + b"Content-Length: 99\r\n\r\n{")
        while not server.server_state.tasks:
            time.sleep(0.01)
        found = sent(server)
        assert answer(found) == (503, "busy")
        assert b"retry-after: 1" in found


def test_files_that_may_be_open_bound_the_connections(monkeypatch):
    monkeypatch.setattr(connection_module.resource, "getrlimit", lambda _: (300, 300))
    assert connection_module.most_connections() == 300 - connection_module.OTHER_DESCRIPTORS
