"""A server under requests just over its limits: what is answered, what memory it takes, and how honest clients fare.

python benchmarks/hostile.py RUN DATA -o benchmarks/results/hostile.json [--requests 10000] [--honest 100000]

RUN is served with its default settings in a process of its own. Each attack sends its share of the requests, eight
connections at a time, and its answers are counted; resident memory, of the ranking process too, is read before and
after. Then honest clients ask /recommend, first alone, then beside eight hostile ones that go through all attacks
without end. All of them share the processors of this machine with the server; hostile ones get only what is left of
them (nice), as clients of a network have processors of their own.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from serve import ask, client, served, until_ready, written
from side import conditions, in_child, keep, say

from ssna.data import load
from ssna.serving.limits import LIMITS

HOSTILE, HONEST = "--as-hostile", "--as-client"  # how this script starts itself
CLIENTS = 8
MEGABYTE = 2**20
QUESTIONS = 1_024
TIMEOUT = 60.0
NICE = 19
BOUND = LIMITS.head_bytes + LIMITS.body_bytes

Attack = Callable[[int, Sequence[str]], str]


def exchange(port: int, *parts: bytes, read: bool = True) -> str:
    """The status of what comes back for ``parts``; "cut" where nothing does."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        with suppress(OSError):
            for part in parts:
                connection.sendall(part)
        if not read:
            return "left"
        with suppress(OSError):
            found = connection.recv(2**16)
            rest = found
            while rest:
                rest = connection.recv(2**16)
            return found[9:12].decode() or "cut"
    return "cut"


def head(path: str = "/recommend", *lines: str, method: str = "POST") -> bytes:
    kept = ("Host: localhost", "Content-Type: application/json", "Connection: close", *lines)
    return "\r\n".join((f"{method} {path} HTTP/1.1", *kept, "", "")).encode()


def request(body: Any, path: str = "/recommend") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(path, f"Content-Length: {len(content)}") + content


def batch(ids: Sequence[str], k: int = LIMITS.k, **more: Any) -> bytes:
    asked = {"history": list(ids[:50]), "k": k, "exclude_seen": False, **more}
    return request({"requests": [asked] * LIMITS.requests}, "/recommend/batch")


def trailers(port: int, ids: Sequence[str]) -> str:
    return exchange(port, head("/recommend", "Transfer-Encoding: chunked"), b"2\r\n{}\r\n0\r\nx: ", b"x" * BOUND)


def many_trailers(port: int, ids: Sequence[str]) -> str:
    start = head("/recommend", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n"
    return exchange(port, start, b"x:\r\n" * (BOUND // 4))


def chunk_extension(port: int, ids: Sequence[str]) -> str:
    return exchange(port, head("/recommend", "Transfer-Encoding: chunked"), b"2;", b"x" * BOUND)


def long_head(port: int, ids: Sequence[str]) -> str:
    return exchange(port, head("/recommend", "X: " + "x" * LIMITS.head_bytes))


def many_fields(port: int, ids: Sequence[str]) -> str:
    return exchange(port, head("/recommend", *["x:"] * LIMITS.header_fields))


def long_body(port: int, ids: Sequence[str]) -> str:
    return exchange(port, request(b" " * (LIMITS.body_bytes + 1)))


def body_of_nobody(port: int, ids: Sequence[str]) -> str:
    return exchange(port, head("/nowhere", f"Content-Length: {10 * BOUND}"), b"x" * (BOUND + 1))


def deep_body(port: int, ids: Sequence[str]) -> str:
    return exchange(port, request(b"[" * 100_000))


def long_answer(port: int, ids: Sequence[str]) -> str:
    return exchange(port, batch(ids, fields=["item", "score", "text"]))


def unread_answer(port: int, ids: Sequence[str]) -> str:
    """A long answer that is allowed, of which nothing is read for a while."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection, suppress(OSError):
        connection.sendall(batch(ids))
        time.sleep(2)
    return "left"


def left_batch(port: int, ids: Sequence[str]) -> str:
    return exchange(port, batch(ids, k=10), read=False)


def left_explanation(port: int, ids: Sequence[str]) -> str:
    body = {"history": list(ids[: LIMITS.explained_history]), "item": ids[-1]}
    return exchange(port, request(body, "/explain"), read=False)


def heavy_batch(port: int, ids: Sequence[str]) -> str:
    return exchange(port, batch(ids, k=10))


def packed(port: int, ids: Sequence[str]) -> str:
    """Many requests at once, of which no answer is read."""
    return exchange(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5_000, read=False)


def other_host(port: int, ids: Sequence[str]) -> str:
    return exchange(port, request({"history": []}).replace(b"localhost", b"elsewhere"))


def other_type(port: int, ids: Sequence[str]) -> str:
    return exchange(port, request({"history": []}).replace(b"application/json", b"text/plain"))


LEFT = ("left",)
# attack -> the limit that it passes, and what may come back
ATTACKS: dict[Attack, tuple[str, tuple[str, ...]]] = {
    trailers: (f"{BOUND:,} bytes of a request", ("413",)),
    many_trailers: (f"{BOUND:,} bytes of a request", ("413",)),
    chunk_extension: (f"{BOUND:,} bytes of a request", ("413",)),
    long_head: (f"{LIMITS.head_bytes:,} bytes of a head", ("431",)),
    many_fields: (f"{LIMITS.header_fields} header fields", ("431",)),
    long_body: (f"{LIMITS.body_bytes:,} bytes of a body", ("413",)),
    body_of_nobody: (f"{BOUND:,} bytes of a request", ("404",)),
    deep_body: (f"{LIMITS.json_depth} levels", ("400",)),
    long_answer: (f"{LIMITS.answer_bytes:,} bytes of an answer", ("422", "503")),
    unread_answer: (f"{LIMITS.unread_bytes:,} bytes unread", LEFT),
    left_batch: ("who leaves is not worked for", LEFT),
    left_explanation: ("who leaves is not worked for", LEFT),
    heavy_batch: (f"{LIMITS.part_work} of a batch in a pass", ("200", "503")),
    packed: ("requests wait outside", LEFT),
    other_host: ("--allowed-host", ("421",)),
    other_type: ("application/json", ("415",)),
}
SLOW: dict[Attack, int] = {unread_answer: 20, long_answer: 10, heavy_batch: 5, left_batch: 5}  # so many times seldomer


def hostile(port: int, file: Path) -> None:
    """In a process of its own, until it is ended: clients that go through all attacks."""
    os.nice(NICE)
    ids = json.loads(file.read_text())

    def without_end(number: int) -> None:
        attacks = list(ATTACKS)
        random.Random(number).shuffle(attacks)
        while True:
            for attack in attacks:
                with suppress(OSError):
                    attack(port, ids)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(without_end, range(CLIENTS)))


def resident(pid: int) -> float:
    """Megabytes of a process and of those that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in [pid, *children])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def server() -> int:
    """The process number of the only server that this process started."""
    own = os.getpid()
    for child in Path(f"/proc/{own}/task/{own}/children").read_text().split():
        if b"serve" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise SystemExit("the server is gone")


@contextmanager
def peak(pid: int) -> Iterator[list[float]]:
    """The most resident memory inside."""
    found = [resident(pid)]
    with ThreadPoolExecutor(1) as pool:
        ended = False

        def watch() -> None:
            while not ended:
                found[0] = max(found[0], resident(pid))
                time.sleep(0.05)

        watching = pool.submit(watch)
        try:
            yield found
        finally:
            ended = True
            watching.result()


def attacked(port: int, pid: int, ids: Sequence[str], requests: int) -> dict[str, Any]:
    """Every attack with its share of ``requests``: its limit, answers, and memory."""
    share, found = requests // len(ATTACKS), {}
    for attack, (limit, allowed) in ATTACKS.items():
        times = max(1, share // SLOW.get(attack, 1))
        before, start = resident(pid), time.perf_counter()
        with peak(pid) as most, ThreadPoolExecutor(CLIENTS) as pool:
            answers = Counter(pool.map(lambda _, attack=attack: attack(port, ids), range(times)))
        found[attack.__name__] = one = {
            "limit": limit, "requests": times, "answers": dict(answers), "seconds": time.perf_counter() - start,
            "unexpected": sum(count for answer, count in answers.items() if answer not in allowed),
            "megabytes_before": before, "megabytes_at_most": most[0], "megabytes_after": resident(pid),
        }  # fmt: skip
        say(f"{attack.__name__}: {times} {dict(answers)} {before:.0f} {most[0]:.0f} {one['megabytes_after']:.0f} MB")
        if ask(port, "GET", "/health")[0] != 200:
            raise SystemExit(f"no answer after {attack.__name__}")
    return found


def measured(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    data = load(arguments.data)
    split = data.split("test")
    rows = np.random.default_rng(0).choice(len(split), min(QUESTIONS, len(split)), replace=False)
    questions, items = folder / "questions", folder / "items"
    written([data.items.ids(split.histories[row]) for row in rows], questions)
    ids = list(data.items.external)
    items.write_text(json.dumps(ids))

    def honest(port: int) -> dict[str, Any]:
        words = [HONEST, str(port), str(questions), str(arguments.honest), str(arguments.connections)]
        return in_child(__file__, words)

    with served(arguments.run, folder / "state", folder / "log") as port:
        until_ready(port)
        client_words = [HONEST, str(port), str(questions), "500", str(arguments.connections)]
        in_child(__file__, client_words)  # what the first requests make is kept
        pid = server()
        before = resident(pid)
        attacks = attacked(port, pid, ids, arguments.requests)
        time.sleep(5)
        after = resident(pid)
        quiet = honest(port)
        enemy = subprocess.Popen([sys.executable, __file__, HOSTILE, str(port), str(items)])
        try:
            time.sleep(2)
            beside = honest(port)
        finally:
            enemy.kill()
            enemy.wait()
    return {
        "run": arguments.run.name,
        "data": {"fingerprint": data.fingerprint, "items": len(data.items)},
        "attacks": attacks,
        "hostile_requests": sum(one["requests"] for one in attacks.values()),
        "megabytes": {"before": before, "after": after, "growth": after - before},
        "honest": {"connections": arguments.connections, "quiet": quiet, "beside_hostile": beside},
        "p99_ratio": beside["p99_ms"] / quiet["p99_ms"],
    }


def main() -> None:
    if sys.argv[1:2] == [HONEST]:
        port, file, requests, connections = sys.argv[2:]
        return client(int(port), Path(file), int(requests), int(connections))
    if sys.argv[1:2] == [HOSTILE]:
        return hostile(int(sys.argv[2]), Path(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--requests", type=int, default=10_000, help="hostile ones, over all attacks")
    parser.add_argument("--honest", type=int, default=100_000, help="honest ones, quiet and beside hostile ones each")
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    found: dict[str, Any] = conditions(__file__)
    with tempfile.TemporaryDirectory() as folder:
        found |= measured(arguments, Path(folder))
    memory, honest = found["megabytes"], found["honest"]
    print(f"{found['hostile_requests']:,} hostile requests: {memory['before']:.0f} MB, {memory['after']:.0f} MB after")
    for name, one in (("quiet", honest["quiet"]), ("beside hostile clients", honest["beside_hostile"])):
        print(f"{name}: p50 {one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.1f} ms, {one['errors']} errors")
    print(f"p99 is {found['p99_ratio']:.1f} times the quiet one")
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
