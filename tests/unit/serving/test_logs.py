"""Lines are written by a thread, so that nobody waits for whoever reads them."""

import errno
import json
import sys
import threading
import time

import pytest

from ssna.serving import logs as module
from ssna.serving.logs import background_log, log


class Stuck:
    """Takes nothing until it is let go."""

    def __init__(self) -> None:
        self.free, self.text = threading.Event(), ""

    def __call__(self, text: str) -> None:
        self.free.wait(20)
        self.text += text

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.text.splitlines()]


def test_lines_come_in_their_order_and_none_is_lost_at_the_end():
    written = Stuck()
    written.free.set()
    with background_log(written):
        for number in range(500):
            log("request", number=number)
    assert [line["number"] for line in written.lines()] == list(range(500))


def test_what_does_not_fit_is_dropped_and_counted_and_nobody_waits(monkeypatch):
    monkeypatch.setattr(module, "LINES", 10)
    stuck = Stuck()
    with background_log(stuck):
        start = time.monotonic()
        log("first")
        while module._write.__self__._lines:  # until the thread is stuck with it
            time.sleep(0.001)
        for number in range(50):
            log("request", number=number)
        assert time.monotonic() - start < 5
        stuck.free.set()
    lines = stuck.lines()
    assert [line["number"] for line in lines if line["event"] == "request"] == list(range(10))
    assert [line["message"] for line in lines if line["event"] == "log"] == ["40 lines did not fit, and are lost"]


def test_a_log_that_stays_stuck_does_not_hold_the_end(monkeypatch):
    monkeypatch.setattr(module, "CLOSING_SECONDS", 0.05)
    stuck, start = Stuck(), time.monotonic()
    with background_log(stuck):
        log("request")
    assert time.monotonic() - start < 5
    stuck.free.set()


class Full:
    def write(self, _: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("stream", [Full(), None])
def test_a_standard_error_that_is_full_or_missing_is_no_error(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    log("request")
