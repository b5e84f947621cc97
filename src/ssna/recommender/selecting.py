"""Lists that keep rules: so many items of a kind, and items that are not alike (MMR)."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ints
from ssna.data.attributes import Mask
from ssna.recommender.selection import Selection
from ssna.scoring import ScoreFn, Scorer, vector_member

CANDIDATES, MOST_CANDIDATES = 10, 1_000
"""MMR chooses among so many times ``k`` of the best items, and among so many at the most, if these are not fewer than
``k``."""
SAMPLE = 1_024  # items, spread evenly over the catalogue, that the deviation of scores is taken of

Floats = NDArray[np.float32]


def candidates(k: int) -> int:
    """How many of the best items MMR chooses ``k`` among."""
    return max(k, min(CANDIDATES * k, MOST_CANDIDATES))


def directions_of(scorer: Scorer) -> Tensor:
    """``(I + 1, D)`` item vectors at unit length. Raises :class:`ArtifactError` where there are none."""
    member = vector_member(scorer)
    if member is None:
        raise ArtifactError(
            "this model has neighbours or counts, no vectors, so diversity must be 0; ssna, ids, text-knn and "
            "text-linear have some"
        )
    return member.directions


class Boosts:
    """What is added to scores, history by history.

    Args:
        selections: ``n``.
        rows: ``I + 1``.
    """

    def __init__(self, selections: Sequence[Selection | None], rows: int) -> None:
        keys = [tuple((id(mask), amount) for mask, amount in each.boosts) if each else () for each in selections]
        distinct = {key: each.boosts if each else () for key, each in zip(keys, selections, strict=True)}
        place = {key: number for number, key in enumerate(distinct)}
        self._added = [_summed(boosts, rows) for boosts in distinct.values()]
        self._of = torch.tensor([place[key] for key in keys], dtype=torch.int64)

    def take(self, histories: slice) -> "Boosts":
        """Those of some histories."""
        found = object.__new__(Boosts)
        found._added, found._of = self._added, self._of[histories]
        return found

    def on(self, score: ScoreFn, rows: int) -> ScoreFn:
        """``score`` of these histories, with what is added."""
        unit = deviation(score, rows)[:, None]

        def boosted(items: slice | Tensor) -> Tensor:
            return score(items).add_(unit * torch.stack([added[items] for added in self._added])[self._of])

        return boosted


def deviation(score: ScoreFn, rows: int) -> Tensor:
    """``(n,)`` the standard deviation of each history's scores, of at most ``SAMPLE`` items that are spread evenly over
    the catalogue's ``rows - 1``; 1 where all score equally."""
    count = min(SAMPLE, rows - 1)
    spread = score(1 + torch.arange(count) * (rows - 1) // count).std(dim=1, unbiased=False)
    return spread.masked_fill_(spread == 0, 1.0)


def _summed(boosts: Sequence[tuple[Mask, float]], rows: int) -> Tensor:
    added = torch.zeros(rows)
    for mask, amount in boosts:
        added[: len(mask)] += amount * torch.from_numpy(mask.astype(np.float32))
    return added


def with_at_least(best: tuple[Ints, Floats], needed: tuple[Ints, Floats], k: int) -> tuple[Ints, Floats]:
    """The best list of ``k`` that holds all that is ``needed``, best first; of equal scores the lower row.

    Args:
        best: ``(w,)`` rows and scores of the ``k`` best items; row 0 where there are fewer.
        needed: those of the best items of the kind that some must be of, ``m`` of them.
    """
    score = {row: value for row, value in zip(needed[0].tolist(), needed[1].tolist(), strict=True) if row}
    first = list(score)
    score |= {row: value for row, value in zip(best[0].tolist(), best[1].tolist(), strict=True) if row}
    others = [row for row in best[0].tolist() if row and row not in first][: k - len(first)]
    chosen = sorted([*first, *others], key=lambda row: (-score[row], row))
    rows, scores = np.zeros_like(best[0]), np.full_like(best[1], -np.inf)
    rows[: len(chosen)], scores[: len(chosen)] = chosen, [score[row] for row in chosen]
    return rows, scores


def diversified(
    rows: Ints, scores: Floats, directions: Tensor, k: int, diversity: float, at_least: tuple[int, Mask] | None = None
) -> list[int]:
    """The places of at most ``k`` candidates, rising. They are chosen one by one: each time the one with the highest
    ``(1 - diversity) r - diversity s``. ``r`` is its score, from 0 for the lowest of the candidates to 1 for the
    highest; ``s`` its mean cosine with those that were chosen. Carbonell and Goldstein (1998) take the highest cosine,
    and keep the order; both cost more accuracy for the same distance (``benchmarks/diversity.py``).

    Args:
        rows, scores: ``(c,)`` of the candidates, best first.
        at_least: so many of the chosen must be of these items, if there are so many.
    """
    relevance = np.ones_like(scores)
    if len(scores) and scores[0] > scores[-1]:
        relevance = (scores - scores[-1]) / (scores[0] - scores[-1])
    vectors = directions[torch.from_numpy(rows)].numpy()
    meets = np.ones(len(rows), dtype=bool) if at_least is None else at_least[1][rows]
    missing = 0 if at_least is None else min(at_least[0], int(meets.sum()))
    alike, chosen = np.zeros_like(scores), list[int]()  # sums of cosines
    free = np.ones(len(rows), dtype=bool)
    for left in range(min(k, len(rows)), 0, -1):
        allowed = free & meets if missing >= left else free
        mean = alike / max(len(chosen), 1)
        place = int(np.where(allowed, (1 - diversity) * relevance - diversity * mean, -np.inf).argmax())
        alike += vectors @ vectors[place]
        chosen.append(place)
        free[place] = False
        missing -= bool(meets[place]) and missing > 0
    return sorted(chosen)
