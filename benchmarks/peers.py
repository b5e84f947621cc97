"""Beside the peers: one table of what ssna does, what they do, and the ratio; above 1 ssna is ahead.

python benchmarks/peers.py DATA CACHE [-o .cache/bench/peers]                    what `make bench-peers` runs
python benchmarks/peers.py DATA CACHE DATA CACHE ... --full [-o FOLDER]          hours

Every row is a script of this folder in a process of its own, which keeps JSON under the folder. A row that is there, of
the same command and commit, is not run again: what was cut off goes on row by row. A row that fails is told, and the
others run; the exit status then is 1. Peers come with the extra ``bench``.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from side import say

from ssna.core.display import table
from ssna.core.files import read_json, write_json
from ssna.runs.record import commit

HERE = Path(__file__).resolve().parent
HEAD = ("what", "ssna", "peer", "", "ratio")


@dataclass(frozen=True)
class Figures:
    """Of ssna and of the peer, in ``unit``; ``ratio`` is above 1 where ssna is ahead."""

    ours: float
    theirs: float
    ratio: float
    unit: str


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        script: of this folder; it takes ``-o FILE.json``.
        read: that file to figures.
    """

    name: str
    script: str
    arguments: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], Figures]


def of_ranking(found: Mapping[str, Any]) -> Figures:
    """From ``rank.py`` of one size."""
    (size,) = found["sizes"]
    ours, theirs = (statistics.median(size["users_a_second"][name]) for name in ("top", "faiss"))
    return Figures(ours, theirs, size["ratio"]["faiss"], "users/s")


def of_prepare(found: Mapping[str, Any]) -> Figures:
    """From ``prepare.py``."""
    ours, theirs = (found["median"][name]["seconds"] for name in ("ssna", "polars"))
    return Figures(ours, theirs, found["ratio"]["polars"], "s")


def of_encode(found: Mapping[str, Any]) -> Figures:
    """From ``encode.py``."""
    ours, theirs = (statistics.median(found["tokens_a_second"][name]) for name in ("ours", "theirs"))
    return Figures(ours, theirs, found["ratio"], "tokens/s")


def of_threads(found: Mapping[str, Any]) -> Figures:
    """From ``threads.py``; the peer is the best number of threads."""
    median = {threads: statistics.median(values) for threads, values in found["seconds"].items()}
    return Figures(median["unset"], median[found["best"]], found["ratio"], "s")


def rows(pairs: Sequence[tuple[Path, Path]], full: bool) -> list[Row]:
    """What is measured; each pair is a data folder and its cache."""
    rounds, sizes = ("5", (10_000, 100_000, 1_000_000)) if full else ("3", (10_000, 100_000))
    logs = (1_000_000, 10_000_000, 100_000_000) if full else (1_000_000,)
    loads = "3" if full else "1"
    texts, recipe = ("2000", ("best",)) if full else ("500", ("fast", "--set", "training.epochs=2"))
    found = [
        Row(
            f"exact top 50 of {size:,} items, against FAISS",
            "rank.py", ("--items", str(size), "--users", "1024", "--rounds", rounds), of_ranking,
        )
        for size in sizes
    ]  # fmt: skip
    found += [
        Row(
            f"prepare {count:,} rows{', imports above all' if count < 10_000 else ''}, against Polars",
            "prepare.py", ("--rows", str(count), "--against", "polars", "--rounds", "3"), of_prepare,
        )
        for count in (2_000, *logs)
    ]  # fmt: skip
    for data, cache in pairs:
        for dtype in ("fp32", "bf16") if full else ("fp32",):
            found.append(
                Row(
                    f"encode {texts} texts of {data.name} in {dtype}, against sentence-transformers",
                    "encode.py", (str(data), "--texts", texts, "--dtype", dtype, "--rounds", rounds), of_encode,
                )
            )  # fmt: skip
        found.append(
            Row(
                f"train {recipe[0]} on {data.name} under load, threads unset against the best number",
                "threads.py", (str(data), str(cache), "--recipe", *recipe, "--rounds", loads), of_threads,
            )
        )  # fmt: skip
    return found


def run_row(row: Row, folder: Path, here: Path = HERE) -> Figures | None:
    """Of what is kept, or of a run; None where that fails."""
    name = "-".join("".join(each if each.isalnum() else " " for each in row.name).split())
    kept, found = folder / f"{name}.json", folder / f"{name}.found.json"
    key = {"script": row.script, "arguments": list(row.arguments), "commit": commit()}
    if kept.exists() and (before := read_json(kept))["key"] == key:
        return row.read(before["found"])
    say(row.name)
    found.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, str(here / row.script), *row.arguments, "-o", str(found)], stdout=2)
    if done.returncode or not found.exists():
        say(f"{row.script} failed with exit status {done.returncode}: {row.name}")
        return None
    write_json(kept, {"key": key, "found": read_json(found)})
    found.unlink()
    return row.read(read_json(kept)["found"])


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def lines(results: Mapping[str, Figures | None]) -> str:
    """The table."""
    cells = [
        (name, "failed") if it is None else (name, _short(it.ours), _short(it.theirs), it.unit, f"{it.ratio:.2f}")
        for name, it in results.items()
    ]
    width = max(map(len, results), default=0)
    shown = table(HEAD[1:], [[*cell[1:], *[""] * (len(HEAD) - len(cell))] for cell in cells]).splitlines()
    names = [HEAD[0], *results]
    return "\n".join(f"{name:{width}}  {line}".rstrip() for name, line in zip(names, shown, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DATA CACHE")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("-o", "--out", type=Path, default=Path(".cache/bench/peers"))
    arguments = parser.parse_args()
    if len(arguments.folders) % 2:
        parser.error(f"{arguments.folders[-1]} has no cache: name data and cache by turns")
    names = [data.name for data in arguments.folders[::2]]
    if twice := [name for name in names if names.count(name) > 1]:
        parser.error(f"two data folders are called {twice[0]}; rename one")
    arguments.out.mkdir(parents=True, exist_ok=True)
    pairs = list(zip(arguments.folders[::2], arguments.folders[1::2], strict=True))
    results = {row.name: run_row(row, arguments.out) for row in rows(pairs, arguments.full)}
    print(lines(results))
    if None in results.values():
        sys.exit(1)


if __name__ == "__main__":
    main()
