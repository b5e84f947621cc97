"""What a ranking is asked for, and the one function that ranks: for the recommender, the service, and files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from ssna.core.bounds import MOST_EXPOSURE
from ssna.core.errors import SsnaError, option
from ssna.core.ragged import Ints, Ragged
from ssna.recommender.restriction import Restriction, kind, top_of_some
from ssna.recommender.selecting import candidates, directions_of, diversified, with_at_least
from ssna.recommender.selection import Selection
from ssna.scoring import PopularityScorer, Scorer
from ssna.scoring.best import Best
from ssna.scoring.topk import top


@dataclass(frozen=True, eq=False)
class RankRequest:
    """``n`` histories and what is wanted for each. Items are rows of the catalogue; a row 0 is nobody's and ignored.

    Attributes:
        histories: ``n`` histories of known items, oldest first; an empty one is ranked by popularity.
        k: ``(n,)`` how many items are wanted.
        exclude_seen: ``(n,)`` bool, whether the items of the history are excluded.
        allow: ``n`` times the only items that are ranked, or None for all of them.
        deny: ``n`` rows of items that are excluded.
        new_items: ``(n,)`` how far new items are raised, in scores; None: nowhere.
        selections: ``n`` rules, or None for a history without; None: nobody has some.
    """

    histories: Ragged
    k: Ints
    exclude_seen: NDArray[np.bool_]
    allow: tuple[Ints | None, ...]
    deny: Ragged
    new_items: NDArray[np.float64] | None = None
    selections: tuple[Selection | None, ...] | None = None

    @classmethod
    def uniform(
        cls,
        histories: Ragged,
        k: int,
        exclude_seen: bool = True,
        allow: Ints | None = None,
        new_items: float = 0.0,
        selection: Selection | None = None,
    ) -> "RankRequest":
        """The same for every history."""
        n = len(histories)
        nothing = Ragged(np.zeros(0, dtype=np.int64), np.zeros(n + 1, dtype=np.int64))
        raised = np.full(n, new_items) if new_items else None
        selections = None if selection is None else (selection,) * n
        return cls(histories, np.full(n, k), np.full(n, exclude_seen), (allow,) * n, nothing, raised, selections)

    def take(self, members: Ints) -> "RankRequest":
        """Those of some histories."""
        return RankRequest(
            self.histories.take(members),
            self.k[members],
            self.exclude_seen[members],
            tuple(self.allow[number] for number in members),
            self.deny.take(members),
            None if self.new_items is None else self.new_items[members],
            None if self.selections is None else tuple(self.selections[number] for number in members),
        )

    @property
    def fallback(self) -> NDArray[np.bool_]:
        """``(n,)`` where popularity ranks, since nothing of the history is known."""
        empty: NDArray[np.bool_] = self.histories.lengths == 0
        return empty

    @cached_property
    def exclude(self) -> Ragged:
        """``n`` rows of items that are excluded: those of the history, where it asks for that, and the denied ones."""
        if self.exclude_seen.all() and not len(self.deny.values):
            return self.histories
        rows = zip(self.histories, self.exclude_seen.tolist(), self.deny, strict=True)
        return Ragged.from_rows(
            [np.concatenate([seen, denied]) if seen_too else denied for seen, seen_too, denied in rows]
        )


def rank(
    scorer: Scorer, counts: NDArray[np.int64], request: RankRequest, excluded: Ints | None = None
) -> tuple[Ints, NDArray[np.float32]]:
    """The best items of each history, best first; of equal scores the lower row.

    Args:
        counts: ``(I + 1,)`` training events of each item, for histories that say nothing.
        excluded: rows of items that are excluded from every ranking.

    Returns:
        ``(n, k)`` item rows and ``(n, k)`` fp32 scores for the largest ``k``; row 0 and minus infinity where a history
        asks for fewer, or fewer are left.

    Raises:
        ArtifactError: diversity is asked for, and there are no vectors.
    """
    if request.selections is None:
        return _ranked(scorer, counts, request, excluded)
    return _chosen(scorer, counts, request, request.selections, excluded)


def _chosen(
    scorer: Scorer,
    counts: NDArray[np.int64],
    request: RankRequest,
    selections: tuple[Selection | None, ...],
    excluded: Ints | None,
) -> tuple[Ints, NDArray[np.float32]]:
    """As :func:`rank`, by rules."""
    wide = [
        candidates(k) if each and each.diversity else k for k, each in zip(request.k.tolist(), selections, strict=True)
    ]
    wider = replace(request, k=np.array(wide, dtype=np.int64))
    rows, scores = _ranked(scorer, counts, wider, excluded)
    needing = np.array([n for n, each in enumerate(selections) if each and each.at_least], dtype=np.int64)
    if len(needing):
        needed = _ranked(scorer, counts, _of_the_kind(wider.take(needing)), excluded)
        for number, *best in zip(needing.tolist(), *needed, strict=True):
            found = with_at_least((rows[number], scores[number]), (best[0], best[1]), min(wide[number], rows.shape[1]))
            rows[number], scores[number] = found
    for number, each in enumerate(selections):
        if each and each.diversity:
            count, k = int((rows[number] > 0).sum()), int(request.k[number])
            found = rows[number, :count], scores[number, :count]
            order = diversified(*found, directions_of(scorer), k, each.diversity, each.at_least)
            rows[number, : len(order)], scores[number, : len(order)] = found[0][order], found[1][order]
            rows[number, len(order) :], scores[number, len(order) :] = 0, -np.inf
    k = min(int(request.k.max(initial=0)), scorer.num_rows)
    return rows[:, :k], scores[:, :k]


def _of_the_kind(request: RankRequest) -> RankRequest:
    """The items that some of each history's must be of, as many as must be."""
    selections, ks = list[Selection](), list[int]()
    for each in request.selections or ():
        assert each is not None
        assert each.at_least is not None
        m, these = each.at_least
        selections.append(replace(each, only=these if each.only is None else these & each.only))
        ks.append(m)
    return replace(request, k=np.array(ks, dtype=np.int64), selections=tuple(selections))


def _ranked(
    scorer: Scorer, counts: NDArray[np.int64], request: RankRequest, excluded: Ints | None
) -> tuple[Ints, NDArray[np.float32]]:
    """As :func:`rank`, with nothing but filters and boosts of rules."""
    shape = len(request.histories), min(int(request.k.max(initial=0)), scorer.num_rows)
    rows, scores = np.zeros(shape, dtype=np.int64), np.full(shape, -np.inf, dtype=np.float32)
    mask = None if excluded is None or not len(excluded) else _mask(excluded, scorer.num_rows)
    for members in _groups(request):
        first = members[0]
        chosen = PopularityScorer(torch.from_numpy(counts)) if request.fallback[first] else scorer
        if request.new_items is not None and not request.fallback[first]:
            chosen = chosen.with_exposure(float(request.new_items[first]))
        histories, exclude = request.histories.take(members), request.exclude.take(members)
        k = min(int(request.k[members].max()), shape[1])
        selections, allow = _selections(request), request.allow
        asked = [selections[number] for number in members], [allow[number] for number in members]
        restriction = Restriction.of(*asked, mask, scorer.num_rows)
        if restriction.of_all:
            best = top(chosen, histories, k, exclude, restriction.hidden)
        else:
            best = top_of_some(chosen, histories, k, exclude, restriction)
        rows[members, :k], scores[members, :k] = best
    unwanted = np.arange(shape[1]) >= request.k[:, None]
    rows[unwanted], scores[unwanted] = 0, -np.inf
    return rows, scores


def best_rows(scores: torch.Tensor, k: int) -> tuple[list[int], list[float]]:
    """The best of ``scores (I + 1,)`` and their rows, best first; of equal scores the lower row, of minus infinity
    none."""
    best = Best(1, min(k, len(scores)))
    best.add(0, scores[None])
    left = int((best.scores[0] > -torch.inf).sum())
    return best.rows[0, :left].tolist(), best.scores[0, :left].tolist()


def check_k(k: int) -> None:
    """Raises :class:`SsnaError` unless ``k`` is at least 1."""
    if k < 1:
        raise SsnaError(f"k is {k}; ask for at least one item")


def check_new_items(exposure: float) -> None:
    """Raises :class:`SsnaError` unless ``exposure`` is a number within reach of scores."""
    if not abs(exposure) <= MOST_EXPOSURE:
        raise SsnaError(f"{option('new_items')} is {exposure}; give a number from {-MOST_EXPOSURE} to {MOST_EXPOSURE}")


def _selections(request: RankRequest) -> Sequence[Selection | None]:
    return request.selections or (None,) * len(request.k)


def _groups(request: RankRequest) -> list[Ints]:
    """The numbers of histories that are scored together: popularity ranks all of them or none, all have few allowed
    items or none, or are boosted, and new items are raised alike."""
    group = (
        2 * np.array([kind(*each) for each in zip(_selections(request), request.allow, strict=True)], dtype=np.int64)
        + request.fallback
    )
    if request.new_items is not None:
        group += 6 * np.unique(request.new_items, return_inverse=True)[1]
    return [np.flatnonzero(group == number) for number in np.unique(group)]


def _mask(rows: Ints, size: int) -> torch.Tensor:
    """``(size,)`` bool."""
    return torch.zeros(size, dtype=torch.bool).index_fill_(0, torch.from_numpy(rows), True)
