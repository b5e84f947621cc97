"""``ssna prepare`` beside the same job in Polars and in pandas: seconds and memory, side by side in one run.

python benchmarks/prepare.py [--rows 10000000] [--against polars --against pandas] [--rounds 3] [--format parquet]
                             [--work DIR] [-o benchmarks/results/prepare-10m.json]

A log is generated (``prepare_log.py``; the same for the same rows and seed). A round runs each in a process of its own,
one after the other; seconds are from its start to its end, imports and writing included. Memory is the most that the
process and its children ever held (VmHWM, looked at every 50 ms). ``prepare_rivals.py`` is the same job without report,
checks and fingerprint; its users, items, texts and histories must be those of ssna, or there is no comparison.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from prepare_log import write_log

from ssna.core.files import read_json, write_json

HERE = Path(__file__).resolve().parent
LIBRARIES = ("ssna", "duckdb", "ibis-framework", "pyarrow", "numpy", "polars", "pandas")


@dataclass(frozen=True)
class Cost:
    """Of one process: wall-clock seconds, processor seconds, and MiB at the most."""

    seconds: float
    processor_seconds: float
    mebibytes: float


def command(name: str, log: Path, items: Path, out: Path) -> list[str]:
    if name == "ssna":
        return [sys.executable, "-m", "ssna", "prepare", str(log), "--items", str(items), "-o", str(out), "--quiet"]
    return [sys.executable, str(HERE / "prepare_rivals.py"), name, str(log), str(items), str(out)]


def measured(arguments: list[str]) -> Cost:
    """Run to the end. Raises :class:`CalledProcessError` where that is a bad one."""
    threads = {"POLARS_MAX_THREADS": str(len(os.sched_getaffinity(0)))}
    before, start = os.times(), time.perf_counter()
    process = subprocess.Popen(arguments, env={**os.environ, **threads})
    most = 0
    while process.poll() is None:
        most = max(most, sum(map(_high_water, _family(process.pid))))
        time.sleep(0.05)
    seconds, after = time.perf_counter() - start, os.times()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(seconds, used, most / 2**10)


def _family(process: int) -> list[int]:
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return [process]
    return [process, *(each for child in children for each in _family(int(child)))]


def _high_water(process: int) -> int:
    """KiB; 0 for a process that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def require_equal(ours: Path, theirs: Path) -> None:
    """The same users, items, texts, and training, validation and test events."""
    for name in ("users.parquet", "items.parquet"):
        mine, other = (pq.read_table(folder / name) for folder in (ours, theirs))
        if not mine.equals(other.cast(mine.schema)):
            sys.exit(f"{theirs.name} has other {name} than ssna: this is no comparison")
    events = pq.read_table(ours / "events.parquet")
    user = events["user"].to_numpy()
    ends = np.cumsum(np.bincount(user)[1:]) - 1
    part = np.zeros(len(user), dtype=np.int8)
    part[ends - 1], part[ends] = 1, 2
    for place, name in enumerate(("train", "valid", "test")):
        other = pq.read_table(theirs / f"{name}.parquet")
        mine = events.filter(part == place)
        if any(not np.array_equal(mine[column].to_numpy(), other[column].to_numpy()) for column in events.column_names):
            sys.exit(f"{theirs.name} has other {name} events than ssna: this is no comparison")


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    return {"processor": (names or [platform.processor()])[0], "cores": cores, "memory_gibibytes": memory / 2**30}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", choices=["parquet", "csv"], default="parquet")
    parser.add_argument("--against", action="append", choices=["polars", "pandas"], default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="where the log and all that is written go; a log there is used again")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        compare(arguments, Path(folder))


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    log, items = _log(arguments, folder)
    names = ["ssna", *arguments.against]
    rounds: dict[str, list[Cost]] = {name: [] for name in names}
    load = os.getloadavg()[0]
    for number in range(arguments.rounds):
        for name in names:
            (folder / name).mkdir(exist_ok=True)
            rounds[name].append(measured(command(name, log, items, folder / name)))
            print(f"round {number + 1}  {name:8}{_line(rounds[name][-1])}", flush=True)
    for name in arguments.against:
        require_equal(folder / "ssna", folder / name)
    median = {name: _median(costs) for name, costs in rounds.items()}
    ratio = {name: median[name].seconds / median["ssna"].seconds for name in names}
    for name in names:
        print(f"median   {name:8}{_line(median[name])}  {ratio[name]:6.2f} times the seconds of ssna")
    manifest = read_json(folder / "ssna" / "manifest.json")
    counts = {key: manifest[key] for key in ("rows_read", "users", "items", "interactions", "dropped", "fingerprint")}
    if arguments.out:
        found = {
            "command": "benchmarks/prepare.py",
            "log": {"rows": arguments.rows, "seed": arguments.seed, "format": arguments.format},
            "data": counts | {"core_rounds": len(manifest["checks"]["core_rounds"])},
            "rounds": {name: [asdict(cost) for cost in costs] for name, costs in rounds.items()},
            "median": {name: asdict(cost) for name, cost in median.items()},
            "ratio": ratio,
            "load_before": load,
            "machine": machine(),
            "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        }
        write_json(arguments.out, found)


def _log(arguments: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    if arguments.work is None:
        return write_log(folder, arguments.rows, arguments.format, arguments.seed)
    kept = arguments.work / f"log-{arguments.rows}-{arguments.seed}-{arguments.format}"
    if not kept.is_dir():
        aside = folder / "log"
        aside.mkdir()
        write_log(aside, arguments.rows, arguments.format, arguments.seed)
        aside.rename(kept)
    return kept / f"log.{arguments.format}", kept / f"items.{arguments.format}"


def _median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*map(astuple, costs), strict=True)))


def _line(cost: Cost) -> str:
    return f"{cost.seconds:9.1f} s  {cost.processor_seconds:9.1f} s of processor  {cost.mebibytes:9,.0f} MiB"


if __name__ == "__main__":
    main()
