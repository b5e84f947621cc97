"""Training on a machine that computes for others: with threads unset, and with every number of threads.

python benchmarks/threads.py DATA CACHE [--recipe best] [--set training.epochs=2] [--load 4] [-o FILE.json]

As many processes as ``--load`` do nothing but compute, at the same priority, from the first run to the last. A round
runs ``ssna train`` once with OMP_NUM_THREADS unset, then with 1, 2, 4, ... and all processors; seconds are those of
the whole process.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from side import alternate, conditions, keep, load, seconds

from ssna.compute.cpus import cpu_count

UNSET = "unset"


def numbers(processors: int) -> list[str]:
    """Threads to try, 1 and all of the processors among them."""
    powers = [2**power for power in range(processors.bit_length()) if 2**power < processors]
    return [str(number) for number in [*powers, processors]]


def variables(threads: str) -> dict[str, str]:
    """The environment of a run."""
    others = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return others if threads == UNSET else others | {"OMP_NUM_THREADS": threads}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--recipe", default="best")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--load", type=int, default=2 * cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    found = conditions(__file__)
    settings = [part for setting in arguments.settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "ssna", "train", str(arguments.data), "--cache", str(arguments.cache)]
    command += ["--recipe", arguments.recipe, *settings, "--quiet", "-o"]

    def train(threads: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            whole = [*command, str(Path(folder) / "run")]
            return seconds(
                partial(subprocess.run, whole, env=variables(threads), check=True, stdout=subprocess.DEVNULL)
            )

    with load(arguments.load):
        rounds = alternate(
            {threads: partial(train, threads) for threads in [UNSET, *numbers(cpu_count())]}, arguments.rounds
        )
    median = {threads: statistics.median(values) for threads, values in rounds.items()}
    best = min(set(median) - {UNSET}, key=lambda threads: median[threads])
    found |= {"load": arguments.load, "seconds": rounds, "best": best, "ratio": median[best] / median[UNSET]}
    print(
        f"threads unset: {median[UNSET]:.1f} s; with {best}, the best: {median[best]:.1f} s; ratio {found['ratio']:.2f}"
    )
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
