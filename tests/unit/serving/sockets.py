"""A server in a thread of this process, and clients of it over sockets."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import uvicorn
from clients import loaded
from fastapi import Response

from ssna.serving import connection as connection_module
from ssna.serving import http as http_module
from ssna.serving.app import create_app
from ssna.serving.connection import Connection
from ssna.serving.keys import Keys
from ssna.serving.limits import Limits
from ssna.serving.service import Service

SECONDS = 0.4
POST = b"POST /recommend HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
LARGE = 2**25


@contextmanager
def hasty(run: Path, state: Path) -> Iterator[int]:
    """The port of a server that waits for ``SECONDS``."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (connection_module, http_module):
            patch.setattr(module, "LIMITS", Limits(seconds=SECONDS))
        with listening(loaded(run, state)) as (port, _):
            yield port


@contextmanager
def listening(service: Service) -> Iterator[tuple[int, uvicorn.Server]]:
    """The port of a server of ``service``, and the server."""
    app = create_app(service, Keys())

    @app.get("/large")
    async def large() -> Response:
        return Response(bytes(LARGE))

    socket_ = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Connection, log_config=None, timeout_keep_alive=60))
    thread = threading.Thread(target=server.run, args=([socket_],))
    thread.start()
    try:
        yield socket_.getsockname()[1], server
    finally:
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
    assert b"x-content-type-options: nosniff" in head
    assert len(re.findall(rb"x-request-id: [0-9a-f]{32}(?:\r\n|$)", head)) == 1
    return int(head.split()[1]), json.loads(body)["error"]["code"]
