"""Processes that are killed while they write the state of a server."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from ssna.serving import user_events
from ssna.serving.database import open_database
from ssna.serving.limits import LIMITS
from ssna.serving.user_events import UserEvents

CHILD = """
import sys, types
package = types.ModuleType("ssna.serving")
package.__path__ = [sys.argv[2]]
sys.modules["ssna.serving"] = package
from ssna.serving.database import open_database
from ssna.serving.user_events import Event, UserEvents
users = UserEvents(open_database(sys.argv[1]))
users.history("u0")
print("open", flush=True)
for number in range(int(sys.argv[3]), 10**9):
    users.record([[Event(f"u{number % 7}", f"i{number}", number)], [Event("all", f"i{number}", number)]])
    print(number, flush=True)
"""


def kill_while_recording(state: str, times: int, seconds: float = 0.1) -> None:
    """Nothing that was answered is lost, and nothing is there that was not sent.

    Args:
        seconds: within which a process is killed.
    """
    chance, last = random.Random(0), -1
    for _ in range(times):
        words = [sys.executable, "-c", CHILD, state, str(Path(user_events.__file__).parent), str(last + 1)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "open\n"
            time.sleep(chance.uniform(0, seconds))
            child.send_signal(signal.SIGKILL)
            answered = [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        acknowledged = answered[-1] if answered else last
        users = UserEvents(open_database(state))
        found = users.history("all")
        newest = int(found[-1][1:]) if found else -1
        assert newest in (acknowledged, acknowledged + 1)
        latest = range(max(0, newest - LIMITS.user_events + 1), newest + 1)
        assert found == [f"i{number}" for number in latest]
        for user in range(7):
            mine = [f"i{number}" for number in range(newest + 1) if number % 7 == user]
            assert users.history(f"u{user}") == mine[-LIMITS.user_events :]
        users.database.close()
        last = newest
    assert last > times
