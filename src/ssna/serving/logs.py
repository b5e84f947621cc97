"""Logs as JSON lines on standard error; no history, no id and no text is ever in them."""

import json
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

LINES = 10_000  # that may wait to be written; more are dropped, and counted
GATHERING_SECONDS = 0.02  # between a line and its writing: more of them are written at once
CLOSING_SECONDS = 1.0  # for what waits at the end

Write = Callable[[str], object]


def log(event: str, **fields: Any) -> None:
    """One line."""
    _write(_line(event, **fields))


def _line(event: str, **fields: Any) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": now, "event": event, **fields}, ensure_ascii=False) + "\n"


def _write_now(text: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # it is full, closed, or there is none
        sys.stderr.write(text)
        sys.stderr.flush()


_write: Write = _write_now


@contextmanager
def background_log(write: Write = _write_now) -> Iterator[None]:
    """Inside, lines are written by a thread: a standard error that is full, or that nobody reads, stops nobody. Lines
    that do not fit are dropped; the log says how many, once it goes on.
    """
    global _write
    writer = _Writer(write)
    before, _write = _write, writer.add
    try:
        yield
    finally:
        _write = before
        writer.close()


class _Writer:
    def __init__(self, write: Write) -> None:
        self._write = write
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._filled, self._closing, self._closed = threading.Event(), threading.Event(), threading.Event()
        threading.Thread(target=self._run, name="log", daemon=True).start()  # daemon: it may be stuck at the end

    def add(self, text: str) -> None:
        if len(self._lines) < LINES:
            self._lines.append(text)
        else:
            self._dropped += 1
        if not self._filled.is_set():
            self._filled.set()

    def close(self) -> None:
        self._closing.set()
        self._filled.set()
        self._closed.wait(CLOSING_SECONDS)

    def _run(self) -> None:
        while not (self._closing.is_set() and not self._lines):
            self._filled.wait()
            self._closing.wait(GATHERING_SECONDS)
            self._filled.clear()
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if dropped := self._dropped:
                self._dropped -= dropped
                lines.append(_line("log", level="warning", message=f"{dropped} lines did not fit, and are lost"))
            self._write("".join(lines))
        self._closed.set()


class JsonHandler(logging.Handler):
    """What libraries log, as lines of the same kind; of an exception its type and place, not its message."""

    def emit(self, record: logging.LogRecord) -> None:
        """A line of JSON for one record."""
        cause = record.exc_info[1] if record.exc_info else None
        where = {} if cause is None else described(cause)
        log("library", level=record.levelname.lower(), logger=record.name, message=str(record.msg)[:200], **where)


def described(error: BaseException) -> dict[str, str]:
    """The type of an error and where it was raised; its message may quote a request."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return {"error": type(error).__name__, "at": where}
