"""What MMR costs and gives: accuracy and intra-list distance of a run, by how much diversity is asked for.

python benchmarks/diversity.py RUN DATA -o benchmarks/results/diversity.json [--diversity 0.1 0.2 ...]

Every user of both splits is asked for with seen items excluded, as the evaluation does. The most diversity that costs
at most 1 % of N@10 on validation is then looked up on the test. N@10 and R@10 are those of the target's place among
ten. Intra-list distance is the mean over lists of 1 less the cosine of every two of their items' vectors: of those of
the trained model, which MMR looks at, and, as a second opinion, of how many words the texts of two items share (1 less
the Jaccard index). Milliseconds are those of MMR for one list, without the ranking.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from side import conditions, keep, say

from ssna.core.ragged import Ints
from ssna.data import Dataset, load
from ssna.data.dataset import SplitName
from ssna.recommender import Recommender
from ssna.recommender.ranking import RankRequest, rank
from ssna.recommender.selecting import candidates, directions_of, diversified

K, AT_ONCE = 10, 512
STEPS = (0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)
MOST = 0.01  # of N@10


def candidates_of(recommender: Recommender, data: Dataset, name: SplitName) -> tuple[Ints, NDArray[np.float32]]:
    """``(n, c)`` item rows and scores, best first: what MMR chooses ``K`` among."""
    split, found = data.split(name), []
    for start in range(0, len(split), AT_ONCE):
        some = split.take(slice(start, start + AT_ONCE))
        n = len(some)
        request = RankRequest(some.histories, np.full(n, candidates(K)), np.full(n, False), (None,) * n, some.seen)
        found.append(rank(recommender.scorer, recommender.counts, request))
    rows, scores = zip(*found, strict=True)
    return np.concatenate(rows), np.concatenate(scores)


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


def curve(recommender: Recommender, data: Dataset, name: SplitName, steps: Sequence[float]) -> list[dict[str, float]]:
    """A row for each step; changes are against the first."""
    directions = directions_of(recommender.scorer)
    texts = [set(text.lower().split()) for text in recommender.texts]
    targets, rows = data.split(name).targets, list[dict[str, float]]()
    some = list(zip(*candidates_of(recommender, data, name), strict=True))
    for diversity in steps:
        start = time.perf_counter()
        lists = np.stack([items[diversified(items, scores, directions, K, diversity)] for items, scores in some])
        row = {"diversity": diversity, "milliseconds": 1000 * (time.perf_counter() - start) / len(targets)}
        row |= figures(lists, targets)
        row |= {"distance": distance(lists, directions), "distance_of_words": distance_of_words(lists, texts)}
        first = rows[0] if rows else row
        row |= {f"{each}_change": row[each] / first[each] - 1 for each in ("ndcg@10", "distance", "distance_of_words")}
        rows.append(row)
        say(f"{name}  " + "  ".join(f"{each} {value:.4g}" for each, value in row.items()))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--diversity", type=float, nargs="+", default=STEPS)
    arguments = parser.parse_args()
    before, data = conditions(__file__), load(arguments.data)
    recommender = Recommender.load(arguments.run)
    valid, test = (curve(recommender, data, name, arguments.diversity) for name in get_args(SplitName))
    allowed = [place for place, row in enumerate(valid) if row["ndcg@10_change"] >= -MOST]
    about = {"run": arguments.run.name, "data": data.fingerprint, "users": len(data.test), "items": len(data.items)}
    keep(
        arguments.out,
        {**about, "valid": valid, "test": test, "chosen_on_validation": test[allowed[-1]], "conditions": before},
    )


if __name__ == "__main__":
    main()
