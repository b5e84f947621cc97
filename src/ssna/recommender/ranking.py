"""What a ranking is asked for, and the one function that ranks: for the recommender, the service, and files."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from ssna.core.bounds import MOST_EXPOSURE
from ssna.core.errors import SsnaError, option
from ssna.core.ragged import Ints, Ragged
from ssna.scoring import PopularityScorer, ScoreFn, Scorer
from ssna.scoring.topk import Best, Tiles, chunks, hide, top


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
    """

    histories: Ragged
    k: Ints
    exclude_seen: NDArray[np.bool_]
    allow: tuple[Ints | None, ...]
    deny: Ragged
    new_items: NDArray[np.float64] | None = None

    @classmethod
    def uniform(
        cls,
        histories: Ragged,
        k: int,
        exclude_seen: bool = True,
        allow: Ints | None = None,
        new_items: float = 0.0,
    ) -> "RankRequest":
        """The same for every history."""
        n = len(histories)
        nothing = Ragged(np.zeros(0, dtype=np.int64), np.zeros(n + 1, dtype=np.int64))
        raised = np.full(n, new_items) if new_items else None
        return cls(histories, np.full(n, k), np.full(n, exclude_seen), (allow,) * n, nothing, raised)

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
    """
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
        if request.allow[first] is None:
            best = top(chosen, histories, k, exclude, mask)
        else:
            allow = Ragged.from_rows([rows_ for number in members if (rows_ := request.allow[number]) is not None])
            best = _top_allowed(chosen, histories, k, exclude, mask, allow)
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


def _groups(request: RankRequest) -> list[Ints]:
    """The numbers of histories that are scored together: popularity ranks all of them or none, all have a list of
    allowed items or none, and new items are raised alike."""
    group = 2 * np.array([allow is not None for allow in request.allow], dtype=np.int64) + request.fallback
    if request.new_items is not None:
        group += 4 * np.unique(request.new_items, return_inverse=True)[1]
    return [np.flatnonzero(group == number) for number in np.unique(group)]


def _mask(rows: Ints, size: int) -> torch.Tensor:
    """``(size,)`` bool."""
    return torch.zeros(size, dtype=torch.bool).index_fill_(0, torch.from_numpy(rows), True)


def _top_allowed(
    scorer: Scorer, histories: Ragged, k: int, exclude: Ragged, excluded: torch.Tensor | None, allow: Ragged
) -> tuple[Ints, NDArray[np.float32]]:
    """As :func:`ssna.scoring.topk.top`, of the rows in ``allow`` alone, history by history: no others are scored."""
    items = np.unique(allow.values[allow.values > 0])
    items = np.concatenate([[0], items if excluded is None else items[~excluded.numpy()[items]]])
    exclude, allow, rows = _columns(exclude, items), _columns(allow, items), torch.from_numpy(items)
    found = []
    for first, chunk in chunks(histories):
        some = slice(first, first + len(chunk))
        best = Best(len(chunk), k)
        for start, tile in Tiles(_score_of(rows, scorer.prepare(chunk)), len(items)):
            _keep(tile, allow.take(some), start)
            hide(tile, exclude.take(some), start)
            best.add(start, tile)
        found.append(best)
    return items[torch.cat([best.rows for best in found]).numpy()], torch.cat([best.scores for best in found]).numpy()


def _columns(rows: Ragged, items: Ints) -> Ragged:
    """Where ``rows`` are in ``items``, which ascend; -1 for those that are not."""
    column = np.searchsorted(items, rows.values).clip(max=len(items) - 1)
    return Ragged(np.where(items[column] == rows.values, column, -1), rows.offsets)


def _score_of(rows: torch.Tensor, score: ScoreFn) -> ScoreFn:
    """The scores of ``rows (m,)``, by their numbers in it."""
    return lambda columns: score(rows[columns])


def _keep(tile: torch.Tensor, items: Ragged, start: int) -> None:
    """The opposite of :func:`ssna.scoring.topk.hide`: all but ``tile[i, items[i] - start]`` become minus infinity."""
    columns = items.values - start
    here = np.flatnonzero((columns >= 0) & (columns < tile.shape[1]))
    cells = torch.from_numpy(items.row_of_value[here]), torch.from_numpy(columns[here])
    scores = tile[cells]
    tile.fill_(-torch.inf)
    tile[cells] = scores
