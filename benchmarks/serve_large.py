"""Starts and changes of a large server: a catalogue of a million items, or thousands of added ones.

python benchmarks/serve_large.py -o benchmarks/results/serve-large.json [--items 1000000] [--width 256] [--added 0]

A run of so many made items, with random vectors and a random model, is served with its default settings in a process of
its own. While a client asks /recommend without a pause, items are put, one and a hundred at a time, one text is
replaced, and one request brings a text of its own. Each is timed beside what the language model takes alone for such
texts, in this process. A stall is the longest time from a question to its answer while something else was going on.
Memory is the proportional set size of the server and its ranking process: the largest seen every 20 ms while items are
put, against that at rest.

With --added, so many items stand in the state before the start, with made hidden states, and only the start is timed:
until /health answers, until /ready does, and then a reload. --run takes a trained run instead of a made one.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side import conditions, keep, say, seconds

from ssna.data.dataset import IdMap
from ssna.nn.adapter import MLPAdapter
from ssna.nn.sasrec import SASRec
from ssna.recommender import Recommender
from ssna.recommender.admission import NewItems
from ssna.scoring import VectorScorer
from ssna.serving.additions import Change
from ssna.serving.store import Store
from ssna.text import Encoding, ReadOptions, embed
from ssna.text.encoder import TextEncoder

KEY = "benchmark"
WORDS = ("steel", "oak", "cordless", "garden", "drill", "lamp", "blue", "small", "folding", "kettle", "rope", "desk")
AT_ONCE, ROUNDS = 100, 3
PAUSE = 0.02  # seconds between two looks at memory


def text_of(number: int) -> str:
    chance = random.Random(number)
    return " ".join(chance.choices(WORDS, k=8)) + f", number {number}"


def make_run(folder: Path, items: int, width: int) -> Encoding:
    """A model of random vectors, as a folder that can be served."""
    encoding = TextEncoder.find("minilm", ReadOptions(dtype="fp32", device="cpu")).encoding(1)
    torch.manual_seed(0)
    vectors = torch.randn(items + 1, width)
    vectors[0] = 0
    model = SASRec(width, 50, num_layers=2, num_heads=2, ffn_dim=width, dropout=0.0)
    scorer = VectorScorer(vectors, model, 50, MLPAdapter(encoding.width, width, 1))
    counts = np.random.default_rng(0).integers(1, 100, items + 1)
    texts = ("", *(text_of(number) for number in range(1, items + 1)))
    Recommender(scorer, IdMap(tuple(f"sku-{n}" for n in range(1, items + 1))), texts, counts, encoding).save(folder)
    return encoding


class Server:
    """A running ``ssna serve``, and how long it took to answer.

    Attributes:
        seconds: from its start to ``/health`` and to ``/ready``.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        start = time.perf_counter()
        self.process = process
        assert process.stdout is not None
        self.port = int(process.stdout.readline().rpartition(":")[2])
        self.seconds = {"listening": time.perf_counter() - start}
        self.ask("GET", "/health")
        self.seconds["health"] = time.perf_counter() - start
        while self.ask("GET", "/ready")[0] != 200:
            time.sleep(0.05)
        self.seconds["ready"] = time.perf_counter() - start

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=600)
        headers = {"Content-Type": "application/json", "X-API-Key": KEY}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        found = response.status, json.loads(response.read())
        connection.close()
        return found

    def put(self, texts: dict[str, str]) -> None:
        status, answer = self.ask("PUT", "/items", {"items": [{"item": i, "text": t} for i, t in texts.items()]})
        assert status == 200, answer

    @property
    def memory(self) -> int:
        """Bytes, of the server and of its children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(_proportional(pid) for pid in (str(self.process.pid), *children))


def _proportional(pid: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@contextmanager
def served(run: Path, state: Path) -> Iterator[Server]:
    words = [sys.executable, "-m", "ssna", "serve", str(run), "--port", "0", "--state", str(state)]
    environment = {**os.environ, "SSNA_API_KEY": KEY}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        yield Server(process)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def asked(server: Server, items: int) -> Iterator[list[float]]:
    """Seconds of questions that go on until the block ends."""
    found: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        chance = random.Random(0)
        while not ended.is_set():
            body = {"history": [f"sku-{chance.randint(1, items)}" for _ in range(10)]}
            found.append(seconds(partial(server.ask, "POST", "/recommend", body)))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


@contextmanager
def watched(server: Server) -> Iterator[list[int]]:
    """Memory, seen again and again."""
    found: list[int] = [server.memory]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(PAUSE):
            found.append(server.memory)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def changes(server: Server, items: int, encoding: Encoding) -> dict[str, Any]:
    """Seconds of each change, and the longest answer meanwhile."""
    numbers = iter(range(10 * items, 20 * items))

    def some(count: int) -> dict[str, str]:
        return {f"new-{number}": text_of(number) for number in (next(numbers) for _ in range(count))}

    def inline() -> None:
        ((item, text),) = some(1).items()
        status, answer = server.ask("POST", "/recommend", {"history": ["sku-1", item], "texts": {item: text}})
        assert (status, answer["unknown"]) == (200, []), answer

    actions: dict[str, Callable[[], object]] = {
        "put_1": lambda: server.put(some(1)),
        "put_100": lambda: server.put(some(AT_ONCE)),
        "replace_1": lambda: server.put({"replaced": next(iter(some(1).values()))}),
        "texts": inline,
    }
    server.put({"replaced": "any text at all"})
    embed(("a first text",), encoding, 1)
    found: dict[str, Any] = {}
    for name, action in actions.items():
        with asked(server, items) as answers:
            time.sleep(1)
            quiet = len(answers)
            taken = [seconds(action) for _ in range(ROUNDS)]
        found[name] = {"seconds": taken, "longest_answer": max(answers[quiet:])}
        say(f"{name}: {statistics.median(taken):.3f} s, longest answer {found[name]['longest_answer']:.3f} s")
    for count in (1, AT_ONCE):
        texts = tuple(some(count).values())
        found[f"language_model_{count}"] = [seconds(partial(embed, texts, encoding, 1)) for _ in range(ROUNDS)]
    return found


def measured(server: Server, items: int, encoding: Encoding) -> dict[str, Any]:
    """At rest, and while the catalogue changes."""
    for _ in range(20):
        server.ask("POST", "/recommend", {"history": ["sku-1"]})
    server.put({"first": "the first new item of all"})
    found: dict[str, Any] = {"resting_bytes": server.memory}
    with asked(server, items) as answers:
        time.sleep(3)
    found["answer_p50"] = statistics.median(answers)
    with watched(server) as memory:
        found |= changes(server, items, encoding)
    return found | {"peak_bytes": max(memory)}


def fill(state: Path, run: Path, count: int) -> None:
    """A state of so many items, with hidden states that nobody read."""
    recommender = Recommender.load(run)
    assert recommender.encoding is not None
    texts = {f"added-{number}": text_of(number) for number in range(count)}
    states = torch.randn(recommender.scorer.layers, count, recommender.encoding.width)
    store = Store(state)
    store.record(Change(put=texts), NewItems(texts, states, [False] * count), recommender.encoding)
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--added", type=int, default=0)
    parser.add_argument("--run", type=Path, help="with --added")
    arguments = parser.parse_args()
    if arguments.run is not None and not arguments.added:
        parser.error("--run goes with --added")
    found: dict[str, Any] = conditions(__file__)
    with tempfile.TemporaryDirectory() as folder:
        run, state = Path(folder) / "run", Path(folder) / "state"
        if arguments.run is not None:
            shutil.copytree(arguments.run, run)
            found["run"] = arguments.run.name
        else:
            found |= {"items": arguments.items, "width": arguments.width}
            encoding = make_run(run, arguments.items, arguments.width)
        if arguments.added:
            fill(state, run, arguments.added)
        with served(run, state) as server:
            found |= {"added": arguments.added, "start": server.seconds}
            if arguments.added:
                found["reload"] = seconds(lambda: server.ask("POST", "/reload", {"run": run.name}))
            else:
                found |= measured(server, arguments.items, encoding)
    say(json.dumps({name: value for name, value in found.items() if name not in conditions(__file__)}, indent=1))
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
