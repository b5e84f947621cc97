"""Copy runs without what belongs to their data: record, settings, and ranks without users and targets.

python benchmarks/keep.py RUNS -o benchmarks/results/runs/NAME
"""

import argparse
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from ssna.experiments.record import RANKS, RECORD
from ssna.experiments.run import SETTINGS
from ssna.report import find

KEPT = ("split", "items", "history", "events", "rank_exclude_seen", "rank_include_seen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    runs = find([arguments.runs])
    for run in runs:
        target = arguments.out / run.path.relative_to(arguments.runs)
        target.mkdir(parents=True, exist_ok=True)
        for name in (RECORD, SETTINGS):
            shutil.copy(run.path / name, target / name)
        ranks = pq.read_table(run.path / RANKS, columns=list(KEPT))
        pq.write_table(ranks, target / RANKS, compression="zstd", compression_level=19)
    print(f"{len(runs)} runs kept in {arguments.out}")


if __name__ == "__main__":
    main()
