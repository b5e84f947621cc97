"""Processes that are killed while they write the state of a server."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ssna.serving import user_events
from ssna.serving.database import open_database
from ssna.serving.limits import LIMITS
from ssna.serving.store import Store
from ssna.serving.user_events import UserEvents

MOST_ANSWERS = 4  # that a process has given, at least, when it is killed

SOURCE = """
import os, sys, types
package = types.ModuleType("ssna.serving")  # without what a whole server imports
package.__path__ = [sys.argv[1]]
sys.modules["ssna.serving"] = package
from ssna.serving.database import open_database
from ssna.serving.store import Change, Store
from ssna.serving.user_events import Event, UserEvents

def record(state):
    users = UserEvents(open_database(state))
    users.history("u0")
    return lambda n: users.record([[Event(f"u{n % 7}", f"i{n}", n)], [Event("all", f"i{n}", n)]])

def put(state):
    store = Store(state)
    store.load()
    return lambda n: store.record(Change(put={f"i{n}": "text " * (n % 50)}, delete=(f"i{n - 3}",)))

open_database(sys.argv[3])  # with its driver imported, before the first process is made
for line in sys.stdin:
    if child := os.fork():
        os.waitpid(child, 0)
        print("ended", flush=True)
        continue
    change = {"record": record, "put": put}[sys.argv[2]](sys.argv[3])
    print("open", os.getpid(), flush=True)
    for number in range(int(line), 10**9):
        change(number)
        print(number, flush=True)
"""
"""Makes a process for each line that it is told, the number to begin with: importing takes longer than all else."""


def killed_while(doing: str, state: str, times: int, newest_in: Callable[[int], int], seconds: float) -> int:
    """Kill processes that write one thing after the other: the number of the newest one that is there in the end.

    Args:
        doing: ``record`` events or ``put`` items.
        newest_in: looks at the state, told the number that was answered last: the newest number that is there. It
            raises AssertionError where something is missing.
        seconds: within which a process is killed after some of its answers.
    """
    chance, last = random.Random(0), -1
    words = [sys.executable, "-c", SOURCE, str(Path(user_events.__file__).parent), doing, state]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdin is not None
        assert maker.stdout is not None
        for _ in range(times):
            maker.stdin.write(f"{last + 1}\n")
            maker.stdin.flush()
            opened, pid = maker.stdout.readline().split()
            assert opened == "open"
            answers = [maker.stdout.readline() for _ in range(chance.randrange(MOST_ANSWERS))]
            time.sleep(chance.uniform(0, seconds))
            os.kill(int(pid), signal.SIGKILL)
            answers += iter(maker.stdout.readline, "ended\n")
            last = newest_in(int(answers[-1]) if answers else last)
        maker.stdin.close()
    return last


def kill_while_recording(state: str, times: int, seconds: float = 0.05) -> None:
    """Nothing that was answered is lost, and nothing is there that was not sent."""

    def newest_in(answered: int) -> int:
        users = UserEvents(open_database(state))
        if "://" in state:  # whose server may be about to commit what a killed client sent
            with users.database.writing():
                pass
        found = users.history("all")
        newest = int(found[-1][1:]) if found else -1
        assert newest in (answered, answered + 1)  # the one after may be on the disk, and not answered yet
        assert found == [f"i{n}" for n in range(newest + 1)][-LIMITS.user_events :]
        for user in range(7):
            assert users.history(f"u{user}") == [f"i{n}" for n in range(user, newest + 1, 7)][-LIMITS.user_events :]
        users.database.close()
        return newest

    newest = killed_while("record", state, times, newest_in, seconds)
    print(f"{times} kills, {newest + 1} events in {state.partition(':')[0]}")
    assert newest > times


def kill_while_putting(state: str, times: int, seconds: float = 0.05) -> None:
    """As :func:`kill_while_recording`, of items."""

    def newest_in(answered: int) -> int:
        store = Store(state)
        found = store.load().texts
        assert store.trouble is None
        store.close()
        newest = max((int(item[1:]) for item in found), default=-1)
        assert newest in (answered, answered + 1)
        assert found == {f"i{n}": "text " * (n % 50) for n in range(max(0, newest - 2), newest + 1)}
        return newest

    newest = killed_while("put", state, times, newest_in, seconds)
    print(f"{times} kills, {newest + 1} changes in {state.partition(':')[0]}")
    assert newest > times
