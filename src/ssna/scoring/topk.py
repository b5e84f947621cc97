"""Rankings of the whole catalogue in bounded memory: some histories at a time, and of these some items at a time.

No result depends on how histories and items are cut, but by rounding: of equal scores the lower row comes first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssna.compute.threads import choose_threads
from ssna.core.errors import TrainingError
from ssna.core.ragged import Ints, Ragged
from ssna.scoring import ScoreFn, Scorer

CHUNK = 512  # histories scored at once,
TILE = 8192  # against so many items: at most CHUNK x TILE scores are held
STRAND = 16  # items of a tile that are looked at by their highest score first,
SHARE = 64  # if those asked for are at most one in so many,
MANY = 32  # and while at most one in so many columns is the first of a strand that reaches far enough
ROUNDING = 1e-5  # of a score: further than that, sums of the same terms in another order never are


class Tiles:
    """The scores of some histories, in tiles ``(n, TILE)`` of the catalogue.

    Every tile is one product of the same shape, the last one too, and so are the scores of single items: equal items
    then score equally in whatever row, which ties and ranks depend on.
    """

    def __init__(self, read: ScoreFn, rows: int) -> None:
        self.read, self.rows, self.width = read, rows, min(TILE, rows)
        self.only = read(slice(0, rows)) if rows <= TILE else None

    @classmethod
    def of(cls, scorer: Scorer, histories: Ragged) -> "Tiles":
        """The scores of ``n`` histories."""
        return cls(scorer.prepare(histories), scorer.num_rows)

    def at(self, items: Tensor) -> Tensor:
        """``(n,)`` item rows, one a history -> ``(n,)`` scores. To be called before tiles are written into."""
        if self.only is not None:
            return self.only.gather(1, items[:, None])[:, 0]
        distinct, column = items.unique(return_inverse=True)
        parts = [self.read(F.pad(part, (0, self.width - len(part)))) for part in distinct.split(self.width)]
        return torch.cat(parts, dim=1).gather(1, column[:, None])[:, 0]

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        """The first row of a tile, and the tile, the caller's to write into; minus infinity in the column of row 0.

        Raises:
            TrainingError: a score is not a number.
        """
        for start in range(0, self.rows, self.width):
            first = min(start, self.rows - self.width)  # the last tile begins where the one before has not ended
            whole = self.read(slice(first, first + self.width)) if self.only is None else self.only
            tile = whole[:, start - first :]
            if start == 0:
                tile[:, 0] = -torch.inf
            _check(tile)
            yield start, tile


class Best:
    """The ``k`` best items of each history among the tiles seen so far, best first.

    Attributes:
        scores: ``(n, k)`` fp32, minus infinity where fewer are left.
        rows: ``(n, k)`` item rows, 0 where fewer are left.
    """

    def __init__(self, histories: int, k: int) -> None:
        self.scores = torch.full((histories, k), -torch.inf)
        self.rows = torch.zeros(histories, k, dtype=torch.int64)

    def add(self, start: int, tile: Tensor) -> None:
        """A tile whose rows begin at ``start``, behind all that were added."""
        scores, columns = _best(tile, min(self.rows.shape[1], tile.shape[1]))
        self._merge(columns + start, scores)

    def insert(self, owner: Tensor, rows: Tensor, scores: Tensor) -> None:
        """Items ``(m,)``, each for the history ``owner (m,)``, behind all that were added."""
        order = (owner * (1 << 32) + rows).argsort()
        owner, rows, scores = owner[order], rows[order], scores[order]
        counts = owner.bincount(minlength=len(self.rows))
        place = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
        shape = len(counts), int(counts.max())
        self._merge(
            rows.new_zeros(shape).index_put_((owner, place), rows),
            scores.new_full(shape, -torch.inf).index_put_((owner, place), scores),
        )

    def _merge(self, rows: Tensor, scores: Tensor) -> None:
        """Items ``(n, m)``, of equal scores the lower row first, behind all that were added."""
        rows = rows.masked_fill(scores == -torch.inf, 0)
        scores, rows = torch.cat([self.scores, scores], dim=1), torch.cat([self.rows, rows], dim=1)
        scores, order = scores.sort(dim=1, descending=True, stable=True)
        k = self.rows.shape[1]
        self.scores, self.rows = scores[:, :k], rows.gather(1, order[:, :k])


@dataclass(frozen=True, eq=False)
class HistoryMasks:
    """Items that leave rankings, history by history.

    Attributes:
        masks: each ``(I + 1,)`` bool.
        of: ``(n,)`` which of these is a history's.
    """

    masks: Sequence[Tensor]
    of: Tensor

    def take(self, histories: Ints | slice) -> "HistoryMasks":
        """Those of some histories."""
        return HistoryMasks(self.masks, self.of[histories])

    def columns(self, items: Tensor) -> "HistoryMasks":
        """Those of some items, which are renumbered."""
        return HistoryMasks([mask[items] for mask in self.masks], self.of)

    def hide(self, tile: Tensor, start: int) -> None:
        """As :func:`hide`."""
        here = [mask[start : start + tile.shape[1]] for mask in self.masks]
        tile.masked_fill_(here[0] if len(here) == 1 else torch.stack(here)[self.of], -torch.inf)


Excluded = Tensor | HistoryMasks | None


def top(
    scorer: Scorer, histories: Ragged, k: int, exclude: Ragged | None = None, excluded: Excluded = None
) -> tuple[Ints, np.ndarray[Any, Any]]:
    """The ``k`` best rows of each history, best first; of equal scores the lower row.

    Args:
        exclude: items that leave the ranking, history by history.
        excluded: ``(I + 1,)`` bool, items that leave every ranking; or those that leave some.

    Returns:
        ``(n, k)`` item rows and ``(n, k)`` fp32 scores; row 0 and minus infinity where fewer than ``k`` are left.
    """
    k = min(k, scorer.num_rows)
    found = []
    for first, chunk in chunks(histories):
        gone = None if exclude is None else exclude.take(slice(first, first + len(chunk)))
        hidden = excluded
        if isinstance(excluded, HistoryMasks):
            hidden = excluded.take(slice(first, first + len(chunk)))
        found.append(_from_approximation(scorer, chunk, k, gone, hidden) or _exact(scorer, chunk, k, gone, hidden))
    if not found:
        return np.zeros((0, k), dtype=np.int64), np.zeros((0, k), dtype=np.float32)
    return torch.cat([best.rows for best in found]).numpy(), torch.cat([best.scores for best in found]).numpy()


def _exact(scorer: Scorer, histories: Ragged, k: int, gone: Ragged | None, excluded: Excluded) -> Best:
    best = Best(len(histories), k)
    for start, tile in Tiles.of(scorer, histories):
        _leave_out(tile, start, gone, excluded)
        best.add(start, tile)
    return best


def _from_approximation(
    scorer: Scorer, histories: Ragged, k: int, gone: Ragged | None, excluded: Excluded
) -> Best | None:
    """From nearly right scores, all items that may be among the best scored rightly; where these are too many, from all
    scores. None where that would not pay."""
    if SHARE * k > min(TILE, scorer.num_rows) or (approximation := scorer.approximate(histories)) is None:
        return None
    best, crowded = Best(len(histories), k), torch.zeros(len(histories), dtype=torch.bool)
    limit = min(TILE, scorer.num_rows) // MANY
    for start in range(0, scorer.num_rows, TILE):
        tile, right = approximation.read(slice(start, min(start + TILE, scorer.num_rows)))
        if start == 0:
            tile[:, 0] = -torch.inf
        _leave_out(tile, start, gone, excluded)
        highest = _highest(tile)
        _check(highest)
        least = best.scores[:, -1]  # what an item has to score
        if (least == -torch.inf).any() and k <= highest.shape[1]:  # k strands hold one that scores at least so much
            least = torch.maximum(least, highest.topk(k, dim=1).values[:, -1] - approximation.error)
        least = (least - approximation.error - ROUNDING * least.abs())[:, None]
        reach = (highest >= least) & (highest > -torch.inf)
        crowded |= reach.sum(dim=1) > limit
        if crowded.all():
            break
        owner, strand = (reach & ~crowded[:, None]).nonzero().unbind(1)
        columns = strand[:, None] + torch.arange(0, tile.shape[1], reach.shape[1])
        scores = tile[owner[:, None], columns.clamp(max=tile.shape[1] - 1)]
        few = (scores >= least[owner]) & (scores > -torch.inf) & (columns < tile.shape[1])
        owner, columns = owner[few.nonzero()[:, 0]], columns[few]
        best.insert(owner, columns + start, right(owner, columns))
    others = crowded.numpy().nonzero()[0]
    if len(others):
        hidden = excluded.take(others) if isinstance(excluded, HistoryMasks) else excluded
        exact = _exact(scorer, histories.take(others), k, None if gone is None else gone.take(others), hidden)
        best.scores[crowded], best.rows[crowded] = exact.scores, exact.rows
    return best


def _highest(tile: Tensor) -> Tensor:
    """``(n, q)`` fp32: of each row of ``tile (n, w)`` the highest of the columns ``j``, ``j + q``, ...: a strand. About
    ``STRAND`` columns make one."""
    strands = max(tile.shape[1] // STRAND, 1)
    whole = tile.shape[1] // strands * strands
    highest: Tensor = tile[:, :whole].unflatten(1, (-1, strands)).amax(dim=1)
    rest = tile[:, whole:]
    highest[:, : rest.shape[1]] = torch.maximum(highest[:, : rest.shape[1]], rest)
    return highest.float()


def _leave_out(tile: Tensor, start: int, gone: Ragged | None, excluded: Excluded) -> None:
    if gone is not None:
        hide(tile, gone, start)
    if isinstance(excluded, HistoryMasks):
        excluded.hide(tile, start)
    elif excluded is not None:
        tile[:, excluded[start : start + tile.shape[1]]] = -torch.inf


def _check(tile: Tensor) -> None:
    if torch.isnan(tile.sum()):  # as any term would make it, at a fraction of the cost of looking at each
        raise TrainingError("a score is not a number; the model has diverged, lower training.learning_rate")


def chunks(histories: Ragged) -> Iterator[tuple[int, Ragged]]:
    """Runs of at most ``CHUNK`` histories, with the row where each starts. Whatever ranks comes by here."""
    choose_threads()
    for start in range(0, len(histories), CHUNK):
        yield start, histories.take(slice(start, start + CHUNK))


def hide(tile: Tensor, items: Ragged, start: int) -> None:
    """Set ``tile[i, items[i] - start]`` to minus infinity, in place, where the tile has such a column."""
    columns = items.values.astype(np.int64) - start
    here = np.flatnonzero((columns >= 0) & (columns < tile.shape[1]))
    tile[torch.from_numpy(items.row_of_value[here]), torch.from_numpy(columns[here])] = -torch.inf


def count_from(tile: Tensor, scores: Tensor) -> Tensor:
    """``(n,)`` how many of each row of ``tile (n, w)`` are at least ``scores (n,)``."""
    reached = torch.ge(tile, scores[:, None], out=torch.empty_like(tile))  # floats add up faster than truth values
    return reached.sum(dim=1).long()


def _best(tile: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Scores and columns ``(n, k)``, best first; of equal scores the lower column."""
    scores, columns = tile.topk(k, dim=1)
    last = scores[:, -1]
    torn = ((count_from(tile, last) > k) & (last > -torch.inf)).nonzero()[:, 0]
    if len(torn):  # equal scores on both sides of the last place: torch takes any of them
        some, edge = tile[torn], last[torn, None]
        above, tied = some > edge, some == edge
        kept = above | (tied & (tied.cumsum(dim=1) <= k - above.sum(dim=1, keepdim=True)))
        columns[torn] = kept.nonzero()[:, 1].view(-1, k)
        scores[torn] = some.gather(1, columns[torn])
    columns, order = columns.sort(dim=1)
    scores, order = scores.gather(1, order).sort(dim=1, descending=True, stable=True)
    return scores, columns.gather(1, order)
