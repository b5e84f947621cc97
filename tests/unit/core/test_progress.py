import sys
import time

import pytest
from rich.console import Console

from ssna.core import progress as module
from ssna.core.progress import progress

ERASE_LINE = "\x1b[2K"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")


def fail_in_the_middle(failure):
    with progress("work", total=2) as advance:
        advance(1, "reading")
        raise failure


def test_a_bar_that_is_done_stays(terminal, capsys):
    with progress("work", total=2) as advance:
        advance(2, "at last")
    assert "at last" in capsys.readouterr().err.split(ERASE_LINE)[-1]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_what_fails_takes_its_bar_along(terminal, capsys, failure):
    with pytest.raises(failure):
        fail_in_the_middle(failure)
    drawn, left = capsys.readouterr().err.rsplit(ERASE_LINE, 1)
    assert "reading" in drawn
    assert left == ""


def test_what_is_interrupted_as_its_bar_starts_leaves_standard_error_and_cursor_as_they_were(
    terminal, monkeypatch, capsys
):
    before, drawing = (sys.stdout, sys.stderr), Console.print

    def interrupted(*_, **__):
        monkeypatch.setattr(Console, "print", drawing)
        raise KeyboardInterrupt

    monkeypatch.setattr(Console, "print", interrupted)
    with pytest.raises(KeyboardInterrupt), progress("work", total=2):
        pass
    assert (sys.stdout, sys.stderr) == before
    written = capsys.readouterr().err
    assert 0 <= written.rfind(HIDE_CURSOR) < written.rfind(SHOW_CURSOR)


def test_nothing_is_drawn_into_a_file_or_where_all_is_to_be_quiet(terminal, monkeypatch, capsys):
    with progress("work", total=2, quiet=True) as advance:
        advance(2, "done")
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    with progress("work", total=2) as advance:
        advance(2, "done")
    assert capsys.readouterr().err == ""


def test_a_file_gets_a_line_a_minute(monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    monkeypatch.setattr(module, "MINUTE", 0.05)
    with progress("work", total=4) as advance:
        advance(1, "too early")
        time.sleep(0.1)
        advance(1, "reading")
        advance(1, "too soon after")
    assert capsys.readouterr().err == "work 50% reading\n"
