"""A server with rules under load: the same requests without a filter, with one of 1 % selectivity, and with others.

python benchmarks/serve_rules.py -o benchmarks/results/serve-rules.json [--items 100000] [--requests 20000] [--rounds 5]

A run of so many made items, with random vectors and a random model, is served with its default settings in a process
of its own, as in serve_large.py. An item has a price from 0 to 1 and one of ten brands. The client of serve.py asks
over so many open connections, as fast as it is answered; with ``--connections 1`` a latency is one of a request alone.
Rounds of all kinds of requests alternate. ``different`` has a filter of 1 % that is another one in each of 4,096
requests. No answer but 200 passes unnoticed: they are counted.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from serve import CLIENT, client, served, until_ready
from serve_large import make_run
from side import alternate, conditions, in_child, keep, ratio, say

from ssna.data.attributes import Attributes
from ssna.recommender import Recommender

QUESTIONS, LONGEST, BRANDS = 4_096, 20, 10
KINDS: dict[str, Callable[[float], dict[str, Any]]] = {
    "without": lambda _: {},
    "where": lambda _: {"where": {"<": ["price", 0.01]}},
    "where_half": lambda _: {"where": {"<": ["price", 0.5]}},
    "different": lambda x: {"where": {"and": [{">=": ["price", 0.99 * x]}, {"<": ["price", 0.99 * x + 0.01]}]}},
    "boost": lambda _: {"boost": [{"where": {"=": ["brand", "brand 3"]}, "factor": 2}]},
    "diversity": lambda _: {"diversity": 0.3},
}


def make_shop(folder: Path, items: int, width: int) -> None:
    """A model of random vectors whose items have attributes, as a folder that can be served."""
    make_run(folder, items, width)
    rng = np.random.default_rng(0)
    columns = {"price": rng.random(items), "brand": [f"brand {n}" for n in rng.integers(0, BRANDS, items)]}
    plain = Recommender.load(folder)
    replace(plain, attributes=Attributes(pa.table(columns))).save(folder)


def write_questions(folder: Path, items: int) -> dict[str, Path]:
    rng = np.random.default_rng(1)
    asked = [
        {"history": [f"sku-{n}" for n in rng.integers(1, items + 1, rng.integers(1, LONGEST + 1))]}
        for _ in range(QUESTIONS)
    ]
    files = {name: folder / name for name in KINDS}
    for name, file in files.items():
        lines = [json.dumps({**each, **KINDS[name](x)}) for each, x in zip(asked, rng.random(QUESTIONS), strict=True)]
        file.write_text("\n".join(lines) + "\n")
    return files


def measured(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    run = folder / "run"
    make_shop(run, arguments.items, arguments.width)
    files = write_questions(folder, arguments.items)
    share = arguments.requests // arguments.rounds
    parts: dict[str, list[dict[str, Any]]] = {name: [] for name in files}
    with served(run, folder / "state", folder / "log") as port:
        until_ready(port)

        def one(name: str, requests: int) -> float:
            words = [CLIENT, str(port), str(files[name]), str(requests), str(arguments.connections)]
            parts[name].append(in_child(__file__, words))
            return float(parts[name][-1]["p99_ms"])

        for name in files:
            one(name, min(share, 500))
            parts[name].clear()
        p99 = alternate({name: lambda name=name: one(name, share) for name in files}, arguments.rounds)  # type: ignore[misc]
    return {
        "items": arguments.items,
        "width": arguments.width,
        "connections": arguments.connections,
        "p99_ms": p99,
        "p99_to_without": {name: ratio(p99, name, "without") for name in files},
        **{
            key: {n: statistics.median(p[key] for p in found) for n, found in parts.items()}
            for key in ("p50_ms", "requests_a_second")
        },
        "requests": {name: sum(part["requests"] for part in found) for name, found in parts.items()},
        "errors": {name: sum(part["errors"] for part in found) for name, found in parts.items()},
    }


def main() -> None:
    if sys.argv[1:2] == [CLIENT]:
        port, file, requests, connections = sys.argv[2:]
        return client(int(port), Path(file), int(requests), int(connections))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--requests", type=int, default=20_000, help="of each kind, over all rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    before = conditions(__file__)
    with tempfile.TemporaryDirectory() as folder:
        found = measured(arguments, Path(folder))
    say(json.dumps(found["p99_to_without"]))
    keep(arguments.out, {**found, "conditions": before})


if __name__ == "__main__":
    main()
