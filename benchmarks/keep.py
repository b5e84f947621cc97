"""Copy runs without what belongs to their data: record, settings, and ranks without users and targets.

Of a language model that lay in a folder, only the folder's name is kept.

python benchmarks/keep.py RUNS -o benchmarks/results/runs/NAME
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ssna.experiments.record import RANKS, RECORD
from ssna.experiments.run import SETTINGS
from ssna.files import read_json, write_json
from ssna.report import find

KEPT = ("split", "items", "history", "events", "rank_exclude_seen", "rank_include_seen")


def without_folder(record: dict[str, Any]) -> dict[str, Any]:
    """A record that tells nothing of the machine's folders; the model's revision is the digest of its weights."""
    cache = record["cache"]
    if cache is None or not Path(cache["model"]).is_absolute():
        return record
    return record | {"cache": cache | {"model": Path(cache["model"]).name}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    runs = find([arguments.runs])
    for run in runs:
        target = arguments.out / run.path.relative_to(arguments.runs)
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(run.path / SETTINGS, target / SETTINGS)
        write_json(target / RECORD, without_folder(read_json(run.path / RECORD)))
        ranks = pq.read_table(run.path / RANKS, columns=list(KEPT))
        pq.write_table(ranks, target / RANKS, compression="zstd", compression_level=19)
    print(f"{len(runs)} runs kept in {arguments.out}")


if __name__ == "__main__":
    main()
