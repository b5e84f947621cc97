"""Events beside requests: POST /events and POST /recommend of one server at the same time, and what is kept of it.

python benchmarks/events.py RUN -o benchmarks/results/events.json [--requests 100000] [--state postgresql://...]

So many events, one a request, are posted over some connections, while as many recommendations are asked for over
others. No answer but 200 passes unnoticed: they are counted. At the end every event that was answered must be in the
state. Then an event is posted and its user is asked for, over and over: the seconds of both together.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from serve import KEY, ask, load_of, served, until_ready
from side import conditions, keep, say

from ssna.recommender import Recommender
from ssna.serving.database import open_database
from ssna.serving.limits import LIMITS
from ssna.serving.user_events import UserEvents

LONGEST = 20  # ids of a history
ROUND_TRIPS = 200


def questions(path: str, bodies: list[dict[str, Any]]) -> list[bytes]:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n"
    texts = [json.dumps(body).encode() for body in bodies]
    return [b"%sContent-Length: %d\r\n\r\n%s" % (head.encode(), len(text), text) for text in texts]


def measured(arguments: argparse.Namespace, state: str, log: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    items = np.array(Recommender.load(arguments.run).items.external)
    count = arguments.requests
    users = -(-count // (LIMITS.user_events // 2))  # none has more events than are kept
    events = [{"user": f"u{n % users}", "item": str(items[rng.integers(len(items))]), "time": n} for n in range(count)]
    histories = [items[rng.integers(len(items), size=rng.integers(1, LONGEST))].tolist() for _ in range(count)]
    posts = questions("/events", [{"events": [event]} for event in events])
    asked = questions("/recommend", [{"history": history, "fields": ["item", "score"]} for history in histories])
    with served(arguments.run, state, log) as port:
        until_ready(port)

        async def both() -> list[dict[str, Any]]:
            return list(await asyncio.gather(load_of(port, posts, 32), load_of(port, asked, arguments.connections)))

        found = dict(zip(("events", "recommend"), asyncio.run(both()), strict=True))
        trips = []
        for number in range(ROUND_TRIPS):
            start = time.perf_counter()
            event = {"user": "alone", "item": str(items[number % len(items)]), "time": number}
            assert ask(port, "POST", "/events", {"events": [event]})[0] == 200
            assert ask(port, "GET", "/users/alone/recommend")[1]["fallback"] is None
            trips.append(time.perf_counter() - start)
    kept = UserEvents(open_database(state))
    lost = 0
    for user in range(users):
        mine = [event["item"] for event in events[user::users]]
        lost += mine != kept.history(f"u{user}")
    return found | {
        "state": state.partition(":")[0] if "://" in state else "sqlite",
        "users_that_are_not_as_posted": lost,
        "event_to_answer_ms": {"p50": float(np.percentile(trips, 50) * 1e3), "max": max(trips) * 1e3},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--state", help="postgresql://..., else a new folder")
    arguments = parser.parse_args()
    found = conditions(__file__)
    with tempfile.TemporaryDirectory() as folder:
        state = arguments.state or str(Path(folder) / "state")
        found |= measured(arguments, state, Path(folder) / "log")
    say(json.dumps({name: found[name] for name in ("events", "recommend", "event_to_answer_ms")}, indent=2))
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
