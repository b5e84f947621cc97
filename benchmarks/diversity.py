"""What MMR costs and gives: accuracy and intra-list distance of a run's test split, by how much diversity is asked for.

python benchmarks/diversity.py RUN DATA -o benchmarks/results/diversity.json [--diversity 0.1 0.2 ...]

Every user of the test split is asked for with seen items excluded, as the evaluation does. N@10 and R@10 are those of
the target's place among ten. Intra-list distance is the mean over lists of 1 less the cosine of every two of their
items' vectors: of those of the trained model, which MMR looks at, and, as a second opinion, of how many words the texts
of two items share (1 less the Jaccard index).
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from side import conditions, keep, say, seconds

from ssna.core.rules import Rules
from ssna.data import Dataset, load
from ssna.recommender import Recommender
from ssna.recommender.ranking import RankRequest, rank
from ssna.recommender.selecting import directions_of
from ssna.recommender.selection import selection_of

K, AT_ONCE = 10, 512
STEPS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7)


def lists_of(recommender: Recommender, data: Dataset, diversity: float) -> NDArray[np.int64]:
    """``(n, K)`` item rows."""
    split = data.split("test")
    selection = selection_of(Rules.of(diversity=diversity), None)
    found = []
    for start in range(0, len(split), AT_ONCE):
        some = split.take(slice(start, start + AT_ONCE))
        request = RankRequest(
            some.histories, np.full(len(some), K), np.full(len(some), False), (None,) * len(some), some.seen,
            selections=None if selection is None else (selection,) * len(some),
        )  # fmt: skip
        found.append(rank(recommender.scorer, recommender.counts, request)[0])
    return np.concatenate(found)


def distance(lists: NDArray[np.int64], directions: torch.Tensor) -> float:
    vectors = directions[torch.from_numpy(lists)]
    cosines = (vectors @ vectors.transpose(1, 2)).double()
    pairs = K * (K - 1)
    return float((1 - (cosines.sum(dim=(1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(dim=1)) / pairs).mean())


def distance_of_words(lists: NDArray[np.int64], texts: list[set[str]]) -> float:
    values = [
        1 - len(texts[a] & texts[b]) / max(len(texts[a] | texts[b]), 1)
        for each in lists.tolist()
        for place, a in enumerate(each)
        for b in each[place + 1 :]
    ]
    return float(np.mean(values))


def figures(lists: NDArray[np.int64], targets: NDArray[np.int64]) -> dict[str, float]:
    hit = lists == targets[:, None]
    gain = (hit / np.log2(np.arange(2, K + 2))).sum(axis=1)
    return {"ndcg@10": float(gain.mean()), "recall@10": float(hit.any(axis=1).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--diversity", type=float, nargs="+", default=STEPS)
    arguments = parser.parse_args()
    before, data = conditions(__file__), load(arguments.data)
    recommender = Recommender.load(arguments.run)
    directions = directions_of(recommender.scorer)
    texts = [set(text.lower().split()) for text in recommender.texts]
    targets, rows = data.split("test").targets, list[dict[str, Any]]()
    for diversity in arguments.diversity:
        found = list[NDArray[np.int64]]()
        took = seconds(lambda diversity=diversity, found=found: found.append(lists_of(recommender, data, diversity)))  # type: ignore[misc]
        row: dict[str, Any] = {"diversity": diversity, **figures(found[0], targets)}
        row |= {"distance": distance(found[0], directions), "distance_of_words": distance_of_words(found[0], texts)}
        row |= {"milliseconds": 1000 * took / len(targets)}
        first = rows[0] if rows else row
        row |= {f"{name}_change": row[name] / first[name] - 1 for name in ("ndcg@10", "distance", "distance_of_words")}
        rows.append(row)
        say("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
    about = {"run": arguments.run.name, "data": data.fingerprint, "users": len(targets), "items": len(data.items)}
    keep(arguments.out, {**about, "by_diversity": rows, "conditions": before})


if __name__ == "__main__":
    main()
