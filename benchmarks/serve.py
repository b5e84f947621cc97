"""A server under load: /recommend against /health of the same server, and a new item's way into the answers.

python benchmarks/serve.py RUN DATA -o benchmarks/results/serve.json [--requests 100000] [--rounds 5]

RUN is served with its default settings in a process of its own; the client is another one, with so many connections
kept open, each of which asks as soon as it is answered. Rounds of both addresses alternate; histories are those of the
data's test split, drawn at random. No answer but 200 passes unnoticed: they are counted. Then every user of the test
split is asked for, under both policies about seen items, and the place of the target compared with its rank in
ranks.parquet: the same, or among items whose scores are within 1e-5 of the target's. At last, items with texts of the
data are put, and each is timed until an answer that allows only it names it.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from side import alternate, conditions, in_child, keep, ratio, say

from ssna.data import Dataset, load
from ssna.evaluation.ranking import POLICIES
from ssna.runs.record import read_evaluation
from ssna.serving.limits import LIMITS

KEY = "benchmark"
CLIENT = "--as-client"  # how this script starts itself
QUESTIONS = 4_096  # distinct ones, written once
NEW_ITEMS = 20
BATCH = 32
NEAR = 1e-5  # scores travel with seven digits


class Connection(asyncio.Protocol):
    """Asks the next question of ``questions`` as soon as the last one is answered; only heads are looked at."""

    def __init__(self, questions: Iterator[bytes], done: "asyncio.Future[None]") -> None:
        self.questions, self.done = questions, done
        self.seconds: list[float] = []
        self.errors = 0
        self.answer = bytearray()
        self.needed = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        question = next(self.questions, None)
        if question is None:
            self.transport.close()
            return
        self.sent = time.perf_counter()
        self.transport.write(question)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not self.needed and (end := self.answer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.answer[:end]).lower()
            self.needed = end + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            self.errors += not head.startswith(b"http/1.1 200")
        if self.needed and len(self.answer) >= self.needed:
            self.seconds.append(time.perf_counter() - self.sent)
            self.answer.clear()
            self.needed = 0
            self.ask()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def load_of(port: int, questions: Sequence[bytes], connections: int) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    shared, protocols = iter(questions), []
    start = time.perf_counter()
    for _ in range(connections):
        protocol = Connection(shared, loop.create_future())
        protocols.append(protocol)
        await loop.create_connection(lambda protocol=protocol: protocol, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*(protocol.done for protocol in protocols))
    elapsed = time.perf_counter() - start
    seconds = np.concatenate([protocol.seconds for protocol in protocols])
    return {
        "requests": len(seconds),
        "errors": sum(p.errors for p in protocols) + len(questions) - len(seconds),
        "requests_a_second": len(seconds) / elapsed,
        "p50_ms": float(np.percentile(seconds, 50) * 1000),
        "p99_ms": float(np.percentile(seconds, 99) * 1000),
    }


def client(port: int, file: Path, requests: int, connections: int) -> None:
    """In a process of its own: ``file`` holds a question a line."""
    bodies = [line for line in file.read_bytes().splitlines() if line]
    head = f"Host: 127.0.0.1:{port}\r\n".encode()
    heads = [
        b"POST /recommend HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (head, len(body), body)
        for body in bodies
    ] or [b"GET /health HTTP/1.1\r\n%s\r\n" % head]
    chosen = np.random.default_rng(0).integers(0, len(heads), requests)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(load_of(port, [heads[n] for n in chosen], connections))))


@contextmanager
def served(run: Path, state: Path | str, log: Path) -> Iterator[int]:
    """The port of a server of ``run``; its log goes to ``log``."""
    command = [sys.executable, "-m", "ssna", "serve", str(run), "--port", "0", "--state", str(state)]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "SSNA_API_KEY": KEY}
        )
        try:
            assert process.stdout is not None
            address = process.stdout.readline()
            if not address:
                raise SystemExit(log.read_text())
            yield int(address.rpartition(":")[2])
        finally:
            process.terminate()
            process.wait()


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One request, outside the timed load."""
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json", "X-API-Key": KEY}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, json.loads(content)


def until_ready(port: int) -> None:
    while ask(port, "GET", "/ready")[0] != 200:
        time.sleep(0.1)


def new_items(port: int, texts: Sequence[str], history: list[str]) -> list[float] | None:
    """Seconds from a new text to an answer that names its item; None if the run admits none."""
    seconds = []
    for number, text in enumerate(texts):
        item, start = f"new-{number}", time.perf_counter()
        status, _ = ask(port, "PUT", "/items", {"items": [{"item": item, "text": text}]})
        if status == 409:
            return None
        _, answer = ask(port, "POST", "/recommend", {"history": history, "allow": [item]})
        seconds.append(time.perf_counter() - start)
        assert [found["item"] for found in answer["items"]] == [item], answer
    return seconds


def unlike(port: int, run: Path, data: Dataset) -> dict[str, dict[str, int]]:
    """Policy -> counts of users, of targets within reach, and of users whose served rank is not the evaluated one."""
    split, evaluation = data.split("test"), read_evaluation(run, "test")
    found: dict[str, dict[str, int]] = {}
    for policy in POLICIES:
        requests = []
        for history, seen in zip(split.histories, split.seen, strict=True):  # the view cuts histories
            deny = data.items.ids(seen) if policy == "exclude_seen" else []
            requests.append(
                {"history": data.items.ids(history), "k": LIMITS.k, "exclude_seen": bool(deny), "deny": deny}
            )
        answers = []
        for start in range(0, len(requests), BATCH):
            status, answer = ask(port, "POST", "/recommend/batch", {"requests": requests[start : start + BATCH]})
            assert status == 200, answer
            answers += answer["answers"]
        targets = data.items.ids(split.targets.tolist())
        ranks = evaluation.ranks[policy].tolist()
        within = sum(rank <= LIMITS.k for rank in ranks)
        wrong = sum(not agrees(*one) for one in zip(answers, targets, ranks, strict=True))
        found[policy] = {"users": len(ranks), "within_k": within, "unlike": wrong}
    return found


def agrees(answer: Any, target: str, rank: int) -> bool:
    scores = {one["item"]: one["score"] for one in answer["items"]}
    if target not in scores:
        return rank > len(scores)
    above = sum(score > scores[target] + NEAR for score in scores.values())
    below = sum(score < scores[target] - NEAR for score in scores.values())
    return bool(above < rank <= len(scores) - below)


def written(histories: Sequence[list[str]], file: Path) -> None:
    file.write_text("\n".join(json.dumps({"history": history}) for history in histories) + "\n")


def measured(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    data = load(arguments.data)
    split = data.split("test")
    rows = np.random.default_rng(0).choice(len(split), min(QUESTIONS, len(split)), replace=False)
    histories = [data.items.ids(split.histories[row]) for row in rows]
    files = {"health": folder / "nothing", "recommend": folder / "histories"}
    files["health"].write_bytes(b"")
    written(histories, files["recommend"])
    share = arguments.requests // arguments.rounds
    parts: dict[str, list[dict[str, Any]]] = {name: [] for name in files}
    with served(arguments.run, folder / "state", folder / "log") as port:
        until_ready(port)

        def one(name: str, requests: int) -> float:
            words = [CLIENT, str(port), str(files[name]), str(requests), str(arguments.connections)]
            parts[name].append(in_child(__file__, words))
            return float(parts[name][-1]["requests_a_second"])

        for name in files:  # what the first requests make is kept
            one(name, min(share, 2_000))
            parts[name].clear()
        rates = alternate({name: lambda name=name: one(name, share) for name in files}, arguments.rounds)  # type: ignore[misc]
        ranks = unlike(port, arguments.run, data)
        arrivals = new_items(port, data.texts[1 : 1 + NEW_ITEMS], histories[0])
    return {
        "run": arguments.run.name,
        "data": {"fingerprint": data.fingerprint, "items": len(data.items)},
        "connections": arguments.connections,
        "requests_a_second": rates,
        "ratio": ratio(rates, "recommend", "health"),
        **{
            key: {n: statistics.median(p[key] for p in found) for n, found in parts.items()}
            for key in ("p50_ms", "p99_ms")
        },
        "requests": {name: sum(part["requests"] for part in found) for name, found in parts.items()},
        "errors": {name: sum(part["errors"] for part in found) for name, found in parts.items()},
        "ranks": ranks,
        "seconds_to_first_recommendation": arrivals,
    }


def main() -> None:
    if sys.argv[1:2] == [CLIENT]:
        port, file, requests, connections = sys.argv[2:]
        return client(int(port), Path(file), int(requests), int(connections))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--requests", type=int, default=100_000, help="to each address, over all rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=256)
    arguments = parser.parse_args()
    found: dict[str, Any] = conditions(__file__)
    with tempfile.TemporaryDirectory() as folder:
        found |= measured(arguments, Path(folder))
    for name in ("health", "recommend"):
        rate = statistics.median(found["requests_a_second"][name])
        print(
            f"/{name}: {rate:,.0f} requests a second, p50 {found['p50_ms'][name]:.1f} ms, p99 "
            f"{found['p99_ms'][name]:.1f} ms, {found['errors'][name]} errors in {found['requests'][name]:,}"
        )
    print(f"recommend reaches {found['ratio']:.0%} of health")
    for policy, one in found["ranks"].items():
        print(f"{policy}: {one['unlike']} of {one['users']:,} users are served another rank than the evaluated one")
    if arrivals := found["seconds_to_first_recommendation"]:
        print(f"a new text is recommended after {statistics.median(arrivals):.3f} s, at most {max(arrivals):.3f} s")
    else:
        say("this run admits no items by their texts")
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
