"""One connection to a client: uvicorn's, with bounds on what comes before a body and on how long all of it may take.

uvicorn itself waits for ever for the rest of a head and for an answer to be read, and holds a head of any length.
"""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ssna.serving.limits import LIMITS
from ssna.serving.logs import log

PHRASES = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class Connection(HttpToolsProtocol):
    """Every ``LIMITS.seconds`` it asks whether anything came of the connection; between two requests, while nothing
    comes at all, uvicorn's own ``timeout_keep_alive`` counts.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head = 0  # bytes of a head that is not whole yet
        self._before: tuple[Any, int] = (None, 0)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its time runs."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, and its time does not run any more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of one request or several; refuses a head that is too long."""
        cycle = self.cycle
        in_body = cycle is not None and cycle.more_body
        super().data_received(data)
        self._head = 0 if in_body or self.cycle is not cycle else self._head + len(data)
        if self._head > LIMITS.head_bytes:
            self._refuse(431, "head_too_large", f"address and headers have more than {LIMITS.head_bytes:,} bytes")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(400, "no_http", msg)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(LIMITS.seconds, self._check)

    def _check(self) -> None:
        """What is as it was ``LIMITS.seconds`` ago is given up: an answer not read, or no whole request since."""
        cycle, unread = self.cycle, self.transport.get_write_buffer_size()
        waiting = cycle is None or cycle.response_complete
        before, self._before = self._before, (cycle if waiting else self, unread)  # a request that runs equals none
        if unread and unread == before[1]:
            log("connection", level="warning", message=f"{unread:,} bytes of an answer were not read; given up")
            self.transport.abort()
        elif waiting and not unread and before[0] is cycle and self.timeout_keep_alive_task is None:
            if self._head:
                self._refuse(408, "too_slow", f"no whole request came in {LIMITS.seconds:g} seconds")
            self.transport.close()
        self._start_timer()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """As :func:`ssna.serving.http.error_response`, where there is no request yet that could be answered."""
        if self.transport.is_closing():
            return
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        lines = (
            b"HTTP/1.1 %d %s" % (status, PHRASES[status]), b"content-type: application/json",
            b"content-length: %d" % len(body), b"connection: close", b"", body,
        )  # fmt: skip
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()
        log("request", method="none", route="none", status=status)
