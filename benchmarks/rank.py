"""Users a second of full ranking and of batch recommendation, against the plain ways to do the same.

python benchmarks/rank.py -o benchmarks/results/rank.json [--items 10000 --items 100000] [--users 2048]

Random unit vectors of width 256, an intent that is a short mean of the history, so that ranking is what takes the
time. ``evaluate`` gives ranks and lists of 50 under both policies, ``ranks`` what validation needs, ``top`` the 50 best
without the items of the history. ``torch`` is a matrix product of 512 users with the whole catalogue, the history's
items hidden, and ``topk``, and finds the same items, which is checked; ``faiss`` an exact inner-product index (where
faiss-cpu is installed) asked for as many more as a history has.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side import alternate, conditions, keep, ratio, seconds
from torch.nn import functional as F

from ssna.compute.memory import MemoryMeter
from ssna.core.ragged import Ragged
from ssna.data.dataset import Split
from ssna.evaluation import evaluate, ranks
from ssna.nn.sasrec import RecencyMean
from ssna.scoring import VectorScorer
from ssna.scoring.topk import top

K, WIDTH, CHUNK, SEEN = 50, 256, 512, 10


def question(items: int, users: int) -> tuple[VectorScorer, Split]:
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    vectors = torch.randn(items + 1, WIDTH, generator=generator)
    vectors[0] = 0
    seen = Ragged(rng.integers(1, items + 1, users * SEEN), np.arange(users + 1) * SEEN)
    scorer = VectorScorer(F.normalize(vectors, dim=-1), RecencyMean(window=2, decay=0.5), max_history=SEEN)
    return scorer, Split("test", np.arange(users), seen, seen, rng.integers(1, items + 1, users))


def plain_torch(scorer: VectorScorer, split: Split) -> np.ndarray:
    found = []
    for start in range(0, len(split), CHUNK):
        part = split.seen.take(slice(start, start + CHUNK))
        scores = F.normalize(scorer.user_embeddings(part), dim=-1) @ scorer.directions.T
        scores[torch.from_numpy(part.row_of_value), torch.from_numpy(part.values)] = -torch.inf
        scores[:, 0] = -torch.inf
        found.append(scores.topk(K, dim=1).indices)
    return torch.cat(found).numpy()


def with_faiss(scorer: VectorScorer) -> Callable[[Split], np.ndarray] | None:
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatIP(WIDTH)
    index.add(scorer.directions.numpy())

    def search(split: Split) -> np.ndarray:
        user_embeddings = F.normalize(scorer.user_embeddings(split.seen), dim=-1)
        return index.search(user_embeddings.numpy(), K + SEEN)[1]

    return search


def measured(items: int, users: int, rounds: int) -> dict[str, Any]:
    scorer, split = question(items, users)
    actions: dict[str, Callable[[], Any]] = {
        "evaluate": partial(evaluate, scorer, split),
        "ranks": partial(ranks, scorer, split),
        "top": lambda: top(scorer, split.seen, K, exclude=split.seen)[0],
        "torch": partial(plain_torch, scorer, split),
    }
    if (search := with_faiss(scorer)) is not None:
        actions["faiss"] = partial(search, split)
    lists = {name: actions[name]() for name in ("top", "torch")}
    alike = float((np.sort(lists["top"]) == np.sort(lists["torch"])).mean())
    assert alike > 0.999, f"only {alike:.1%} of the items found are the same"
    speeds = alternate(
        {name: lambda action=action: users / seconds(action) for name, action in actions.items()},  # type: ignore[misc]
        rounds,
    )
    peaks = {}
    for name in ("evaluate", "top", "torch"):
        meter = MemoryMeter(torch.device("cpu"))
        actions[name]()
        peaks[name] = meter.peak
    return {
        "items": items,
        "users": users,
        "k": K,
        "users_a_second": speeds,
        "ratio": {name: ratio(speeds, "top", name) for name in actions if name in ("torch", "faiss")},
        "peak_memory_bytes": peaks,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--items", type=int, action="append")
    parser.add_argument("--users", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    found: dict[str, Any] = conditions(__file__)
    sizes = arguments.items or [10_000, 100_000, 1_000_000]
    found["sizes"] = [measured(items, arguments.users, arguments.rounds) for items in sizes]
    for one in found["sizes"]:
        speeds = {name: statistics.median(values) for name, values in one["users_a_second"].items()}
        words = ", ".join(f"{name} {value:,.0f}" for name, value in speeds.items())
        against = ", ".join(f"{value:.2f} times {name}" for name, value in one["ratio"].items())
        print(f"{one['items']:,} items, users a second: {words}; top is {against}")
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
