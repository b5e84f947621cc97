"""Batch recommendation as ``ssna recommend --format parquet`` does it: histories a second, and memory at most.

python benchmarks/recommend.py -o benchmarks/results/recommend.json [--histories 1000000] [--items 100000] [--width 256]

A catalogue of random vectors under a SASRec of random weights (two layers, two heads), and histories of random length,
a few of their ids unknown; all written to a folder that is removed. The batch runs in a process of its own, whose
resident memory at most is kept, its imports included. Beside it, in the same process afterwards, the first histories
through ``Recommender.recommend``, which makes Python objects of every item.
"""

import argparse
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from side import conditions, in_child, keep, say

from ssna.batch import recommend_all
from ssna.data.dataset import IdMap
from ssna.nn.sasrec import SASRec
from ssna.recommender import Recommender
from ssna.scoring import VectorScorer

LENGTH, UNKNOWN, GROUP, ONE_BY_ONE = 50, 0.02, 100_000, 4096


def model(items: int, width: int) -> Recommender:
    torch.manual_seed(0)
    vectors = torch.randn(items + 1, width)
    vectors[0] = 0
    sequence = SASRec(width, max_length=LENGTH, num_layers=2, num_heads=2, ffn_dim=width, dropout=0.0)
    ids = tuple(f"item-{row}" for row in range(1, items + 1))
    counts = np.random.default_rng(0).zipf(1.5, items + 1).clip(max=10**6)
    return Recommender(VectorScorer(vectors, sequence, LENGTH), IdMap(ids), ("", *ids), counts)


def write_histories(path: Path, count: int, items: int) -> None:
    """3 to 37 items each, 20 on average."""
    rng = np.random.default_rng(1)
    names = pa.array([*(f"item-{row}" for row in range(1, items + 1)), *(f"gone-{row}" for row in range(1000))])
    schema = pa.schema({"user": pa.string(), "history": pa.list_(pa.string())})
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, count, GROUP):
            rows = min(GROUP, count - start)
            offsets = np.concatenate([[0], np.cumsum(rng.integers(3, 38, rows))]).astype(np.int32)
            known = rng.integers(0, items, offsets[-1])
            gone = rng.integers(items, len(names), offsets[-1])
            chosen = names.take(pa.array(np.where(rng.random(offsets[-1]) < UNKNOWN, gone, known)))
            users = pa.array([f"user-{row}" for row in range(start, start + rows)])
            writer.write_table(pa.table([users, pa.ListArray.from_arrays(pa.array(offsets), chosen)], schema=schema))


def child(folder: Path, k: int) -> dict[str, Any]:
    report = recommend_all(folder / "model", folder / "histories.parquet", folder / "answers.parquet", k)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    first = next(pq.ParquetFile(folder / "histories.parquet").iter_batches(ONE_BY_ONE))["history"].to_pylist()
    recommender = Recommender.load(folder / "model")
    start = time.perf_counter()
    answers = recommender.recommend(first, k)
    seconds = time.perf_counter() - start
    written = next(pq.ParquetFile(folder / "answers.parquet").iter_batches(len(first)))["items"].to_pylist()
    objects = [[scored.item for scored in answer.items] for answer in answers]
    alike = float(np.mean(np.array(objects) == np.array(written)))
    assert alike > 0.999, f"only {alike:.1%} of the items are those of Recommender.recommend"
    return {
        "histories": report.histories,
        "seconds": report.seconds,
        "histories_a_second": report.speed,
        "histories_a_second_as_objects": len(first) / seconds,
        "peak_memory_bytes": peak,
        "answers_bytes": (folder / "answers.parquet").stat().st_size,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--histories", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        import json

        print(json.dumps(child(arguments.child, arguments.k)))
        return
    found = conditions(__file__) | {"items": arguments.items, "width": arguments.width, "k": arguments.k}
    with TemporaryDirectory() as name:
        folder = Path(name)
        say("writing the model and the histories")
        model(arguments.items, arguments.width).save(folder / "model")
        write_histories(folder / "histories.parquet", arguments.histories, arguments.items)
        found |= in_child(__file__, ["--child", str(folder), "-k", str(arguments.k)])
    print(
        f"{found['histories']:,} histories over {arguments.items:,} items in {found['seconds']:,.0f} s: "
        f"{found['histories_a_second']:,.0f} a second "
        f"({found['histories_a_second_as_objects']:,.0f} through Recommender.recommend), "
        f"{found['peak_memory_bytes'] / 2**30:.2f} GiB at most"
    )
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
