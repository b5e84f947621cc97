"""`ssna.prepare` of a table in memory beside the Parquet files of the same rows: seconds and memory.

python benchmarks/frames.py [--rows 10000000] [--rounds 2] [--work DIR] [-o benchmarks/results/frames-10m.json]

The log is that of ``prepare_log.py``. Each turn is a process of its own, Parquet first, then Arrow. Seconds are those
of ``prepare`` alone, the loading of the Arrow tables left out. Memory is the most that the process held from then on
(VmHWM); of Arrow, ``above_frame`` is what goes beyond the tables themselves. Fingerprints must be equal.
"""

import argparse
import json
import re
import statistics
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from prepare_log import write_log
from side import conditions, in_child, keep, say

import ssna

KINDS = ("parquet", "arrow")


def high_water() -> float:
    """MiB that this process held at the most since it began, or since :func:`forget`."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 2**10


def forget() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def once(kind: str, log: Path, items: Path) -> dict[str, Any]:
    """Of this process."""
    given: list[Any] = [log, items] if kind == "parquet" else [pq.read_table(path) for path in (log, items)]
    frame = 0.0 if kind == "parquet" else sum(table.nbytes for table in given) / 2**20
    forget()
    start = time.perf_counter()
    data = ssna.prepare(*given, quiet=True)
    seconds, most = time.perf_counter() - start, high_water()
    return {"seconds": seconds, "mebibytes": most, "above_frame": most - frame, "fingerprint": data.fingerprint}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("frames-work"))
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--child", choices=KINDS)
    arguments = parser.parse_args()
    log, items = arguments.work / "log.parquet", arguments.work / "items.parquet"
    if arguments.child:
        print(json.dumps(once(arguments.child, log, items)))
        return
    if not log.exists():
        arguments.work.mkdir(parents=True, exist_ok=True)
        write_log(arguments.work, arguments.rows, "parquet", seed=0)
    result = conditions(__file__) | {"rows": arguments.rows}
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for _ in range(arguments.rounds):
        for kind in KINDS:
            found[kind].append(in_child(__file__, ["--child", kind, "--work", str(arguments.work)]))
            say(f"{kind}: {found[kind][-1]}")
    prints = {each["fingerprint"] for runs in found.values() for each in runs}
    assert len(prints) == 1, f"the two roads differ: {prints}"
    pairs = list(zip(found["arrow"], found["parquet"], strict=True))
    ratios = {
        "seconds": statistics.median(a["seconds"] / p["seconds"] for a, p in pairs),
        "memory": statistics.median(a["above_frame"] / p["mebibytes"] for a, p in pairs),
    }
    say(f"Arrow against Parquet: {ratios}")
    keep(arguments.out, result | {"runs": found, "ratios": ratios})


if __name__ == "__main__":
    main()
