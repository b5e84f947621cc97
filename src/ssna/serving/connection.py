"""One connection to a client: uvicorn's, with bounds on all that comes before an answer and on how long it may take.

uvicorn itself waits for ever for the rest of a head and for an answer to be read, and keeps heads, trailers and what
follows a request at any length. Here the bytes of a request are counted as they come, whatever they are.
"""

import asyncio
import json
import resource
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ssna.serving.answers import ABORT, PIECE
from ssna.serving.limits import LIMITS
from ssna.serving.logs import log
from ssna.serving.request_ids import REQUEST_ID, new_request_id

PHRASES = {
    400: b"Bad Request", 408: b"Request Timeout", 413: b"Content Too Large", 431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}  # fmt: skip
TOO_LARGE = "ssna.too_large"  # in a request's scope, once more comes of it than is read: what there is too much of
BODY = f"the body has more than {LIMITS.body_bytes:,} bytes; send less at a time"
BESIDE = (
    f"what stands between the chunks of the body and behind it has more than {LIMITS.head_bytes:,} bytes or "
    f"{LIMITS.header_fields} fields; send larger chunks"
)
PART = 4_096  # bytes that are parsed at once: so many hold few requests, if they hold several
READ_AT_MOST = 16 * LIMITS.body_bytes  # bytes that are thrown away behind an answer: most clients listen only then
PIPELINED_SECONDS = 0.005  # until the next one of several requests that were sent without waiting for answers
LINGER_SECONDS = 5.0  # for a client to notice that it was answered
OTHER_DESCRIPTORS = 64  # of files: what is neither a connection nor to be used up by them
WARN_SECONDS = 10.0  # between two lines of the log about the same


class Connection(HttpToolsProtocol):
    """Every ``LIMITS.seconds`` it asks whether anything came of the connection; between two requests, while nothing
    comes at all, uvicorn's own ``timeout_keep_alive`` counts.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._size = 0  # bytes of the request that comes
        self._in_head, self._fields = True, 0
        self._beside = 0  # bytes of it behind the head that are no body: what separates chunks and follows the last one
        self._rest = b""  # came behind a request that still waits for another one
        self._ended, self._discarded = False, 0  # whatever comes is thrown away; bytes of it
        self._before: tuple[Any, int] = (None, 0)
        self._timer: asyncio.TimerHandle | None = None
        self._running: tuple[Any, asyncio.Task[None]] | None = None  # the request that is answered, and by what
        self._idle_since = time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its time runs. Where there are too many, the one that was idle longest is let go."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(PIECE)
        self._start_timer(LIMITS.seconds, self._check)
        if len(self.connections) > (most := most_connections()):
            _warn_of_connections(most)
            others = [each for each in self.connections if isinstance(each, Connection) and each is not self]
            if idle := [each for each in others if each.is_idle]:
                min(idle, key=lambda each: each._idle_since).transport.abort()
            else:
                self._refuse(503, "busy", f"{most} connections are open, the limit; ask again in a second")

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: its time does not run any more, and nobody works for it any longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._rest = b""
        super().connection_lost(exc)
        self._abandon()

    @property
    def is_idle(self) -> bool:
        """Whether no request is answered here."""
        return self.cycle is None or self.cycle.response_complete

    def _abandon(self) -> None:
        """Nobody will hear the answers to what runs or waits."""
        if self._running is not None:
            cycle, task = self._running
            cycle.disconnected = not cycle.response_complete
            cycle.transport = self.transport  # the cycle holds the connection no longer
            task.cancel()
        self._running = None
        self.pipeline.clear()

    # what comes

    def data_received(self, data: bytes) -> None:
        """Bytes of one request or several; refuses a request that is too long."""
        if self._ended:
            self._discard(len(data))
            return
        data, start = self._rest + data if self._rest else data, 0
        while start < len(data) and not self._ended and not self.pipeline:
            left = LIMITS.head_bytes + (0 if self._in_head else LIMITS.body_bytes) - self._size
            if left <= 0:
                self._refuse_length(BODY)
                break
            part = data[start : start + min(PART, left)]
            start += len(part)
            self._size += len(part)
            if not self._in_head:
                self._beside += len(part)  # on_body takes off what is; what comes in one part with the head is free
            super().data_received(part)
            if self._beside > LIMITS.head_bytes:
                self._refuse_length(BESIDE)
        self._rest = b"" if self._ended else data[start:]
        if self._rest:
            self.flow.pause_reading()
        if len(self._rest) > LIMITS.body_bytes:
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head is kept; one behind the body is not."""
        self._fields += 1
        if self._fields <= LIMITS.header_fields:
            if self._in_head:
                super().on_header(name, value)
        elif not self._in_head:
            self._refuse_length(BESIDE)

    def on_headers_complete(self) -> None:
        """The head is whole: answer, unless it has too many fields."""
        self._in_head = False
        if self._fields > LIMITS.header_fields:
            self._refuse(431, "head_too_large", f"there are more than {LIMITS.header_fields} header fields")
        if self._ended:
            return
        self.scope[ABORT] = self.transport.abort  # type: ignore[literal-required]
        super().on_headers_complete()
        self.cycle.transport = _Lingering(self)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._beside -= len(body)
        if not self._ended:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; what comes now is the next one."""
        self._in_head, self._size, self._fields, self._beside = True, 0, 0, 0
        if not self._ended:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with what came behind the request that is answered now."""
        self._idle_since = time.monotonic()
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()
        elif self._rest:
            self.loop.call_later(PIPELINED_SECONDS, self._go_on)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(400, "no_http", msg)

    def _go_on(self) -> None:
        if not self.transport.is_closing():
            self.data_received(b"")

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """As uvicorn does, which does not remember the task."""
        task = self.loop.create_task(cycle.run_asgi(app))
        self._running = cycle, task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # what takes too long

    def _start_timer(self, seconds: float, then: Callable[[], None]) -> None:
        self._timer = self.loop.call_later(seconds, then)

    def _check(self) -> None:
        """What is as it was ``LIMITS.seconds`` ago is given up: an answer not read, or no whole request since."""
        cycle, unread = self.cycle, self.transport.get_write_buffer_size()
        waiting = cycle is None or cycle.response_complete
        before, self._before = self._before, (cycle if waiting else self, unread)  # a request that runs equals none
        if unread and unread == before[1]:
            log("connection", level="warning", message=f"{unread:,} bytes of an answer were not read; given up")
            self.transport.abort()
        elif waiting and not unread and before[0] is cycle and self.timeout_keep_alive_task is None:
            if self._in_head and self._size:
                self._refuse(408, "too_slow", f"no whole request came in {LIMITS.seconds:g} seconds")
            else:
                self.transport.close()
        if not self._ended:
            self._start_timer(LIMITS.seconds, self._check)

    # what is too much

    def _refuse_length(self, what: str) -> None:
        """Of a head at once; of a body by whoever answers the request, if it is not answered yet.

        Args:
            what: there is too much of.
        """
        if self._ended:
            return
        if self._in_head:
            self._refuse(431, "head_too_large", f"address and headers have more than {LIMITS.head_bytes:,} bytes")
            return
        self._end()
        cycle = self.cycle
        if cycle.response_complete:
            self.linger()
            return
        cycle.scope[TOO_LARGE] = what  # type: ignore[literal-required]
        cycle.body, cycle.more_body, cycle.keep_alive = bytearray(), False, False
        cycle.message_event.set()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """As :func:`ssna.serving.http.error_response`, where there is no request yet that could be answered."""
        if self._ended or self.transport.is_closing():
            return
        body, identifier = json.dumps({"error": {"code": code, "message": message}}).encode(), new_request_id()
        lines = (
            b"HTTP/1.1 %d %s" % (status, PHRASES[status]), b"content-type: application/json",
            b"x-content-type-options: nosniff", f"{REQUEST_ID.lower()}: {identifier}".encode(),
            b"content-length: %d" % len(body), b"connection: close",
            *([b"retry-after: 1"] if status == 503 else []), b"", body,
        )  # fmt: skip
        self.transport.write(b"\r\n".join(lines))
        log("request", method="none", route="none", status=status, request_id=identifier)
        self._abandon()
        self.linger()

    def close(self) -> None:
        """Close behind an answer. Of a request that is not whole the rest is thrown away first: closing over it would
        take the answer from its client."""
        if self._in_head and not self._ended:
            self.transport.close()
        else:
            self.linger()

    def linger(self) -> None:
        """Say that nothing more will come, and throw away what does."""
        self._end()
        if self.transport.is_closing():
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        if self._timer is not None:
            self._timer.cancel()
        self._start_timer(LINGER_SECONDS, self.transport.abort)

    def _end(self) -> None:
        self._ended, self._rest = True, b""

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > READ_AT_MOST:
            self.transport.abort()


def most_connections() -> int:
    """How many may be open: the limit, or fewer where the process may open fewer files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return LIMITS.connections if files < 0 else max(1, min(LIMITS.connections, files - OTHER_DESCRIPTORS))


_warned = -WARN_SECONDS


def _warn_of_connections(most: int) -> None:
    global _warned
    if time.monotonic() - _warned > WARN_SECONDS:
        _warned = time.monotonic()
        log("connection", level="warning", message=f"{most} connections are open, the limit; idle ones are closed")


class _Lingering:
    """What uvicorn's request has of the transport; closes as :meth:`Connection.close`."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, connection: Connection) -> None:
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection.close
