"""Rankings of the whole catalogue in bounded memory: some histories at a time, and of these some items at a time.

No result depends on how histories and items are cut, but by rounding: of equal scores the lower row comes first.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssna.compute.threads import choose_threads
from ssna.core.ragged import Ints, Ragged
from ssna.scoring import ScoreFn, Scorer
from ssna.scoring.best import Best
from ssna.scoring.candidates import candidates, not_a_number

CHUNK = 512  # histories scored at once,
TILE = 8192  # against so many items: at most CHUNK x TILE scores are held
SHARE = 64  # candidates are looked for if those asked for are at most one in so many,
MANY = 16  # and while at most one in so many columns is the first of a strand that reaches far enough


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
            yield start, _checked(tile)


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
    if math.isnan(approximation.worst):
        raise not_a_number()
    best, crowded = Best(len(histories), k), np.zeros(len(histories), dtype=np.bool_)
    limit = min(TILE, scorer.num_rows) // MANY
    for start in range(0, scorer.num_rows, TILE):
        tile, right = approximation.read(slice(start, min(start + TILE, scorer.num_rows)))
        if start == 0:
            tile[:, 0] = -torch.inf
        _leave_out(tile, start, gone, excluded)
        last = best.last.masked_fill(torch.from_numpy(crowded), torch.finfo(torch.float32).max)
        found = candidates(tile, last, k, approximation, limit)
        crowded |= found.crowded
        if crowded.all():
            break
        owner, columns = torch.from_numpy(found.owner), torch.from_numpy(found.columns)
        best.insert(owner, columns + start, _checked(right(owner, columns)))
    others = crowded.nonzero()[0]
    if len(others):
        hidden = excluded.take(others) if isinstance(excluded, HistoryMasks) else excluded
        best.put(others, _exact(scorer, histories.take(others), k, None if gone is None else gone.take(others), hidden))
    return best


def _leave_out(tile: Tensor, start: int, gone: Ragged | None, excluded: Excluded) -> None:
    if gone is not None:
        hide(tile, gone, start)
    if isinstance(excluded, HistoryMasks):
        excluded.hide(tile, start)
    elif excluded is not None:
        tile[:, excluded[start : start + tile.shape[1]]] = -torch.inf


def _checked(scores: Tensor) -> Tensor:
    if torch.isnan(scores.sum()):  # as any term would make it, at a fraction of the cost of looking at each
        raise not_a_number()
    return scores


def chunks(histories: Ragged) -> Iterator[tuple[int, Ragged]]:
    """Runs of at most ``CHUNK`` histories, with the row where each starts. Whatever ranks comes by here."""
    choose_threads()
    for start in range(0, len(histories), CHUNK):
        yield start, histories.take(slice(start, start + CHUNK))


def hide(tile: Tensor, items: Ragged, start: int, value: float = -torch.inf) -> None:
    """Set ``tile[i, items[i] - start]`` to ``value``, in place, where the tile has such a column."""
    columns = items.values.astype(np.int64) - start
    here = np.flatnonzero((columns >= 0) & (columns < tile.shape[1]))
    tile[torch.from_numpy(items.row_of_value[here]), torch.from_numpy(columns[here])] = value


def count_from(tile: Tensor, scores: Tensor) -> Tensor:
    """``(n,)`` how many of each row of ``tile (n, w)`` are at least ``scores (n,)``."""
    reached = torch.ge(tile, scores[:, None], out=torch.empty_like(tile))  # floats add up faster than truth values
    return reached.sum(dim=1).long()
