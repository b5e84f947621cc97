"""Rankings of some items, or by scores that rules change."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ssna.core.ragged import Ints, Ragged
from ssna.data.attributes import Mask
from ssna.recommender.selecting import Boosts
from ssna.recommender.selection import Selection
from ssna.scoring import ScoreFn, Scorer
from ssna.scoring.best import Best
from ssna.scoring.topk import Excluded, HistoryMasks, Tiles, chunks, hide

ANY, FEW, BOOSTED = range(3)
SHARE = 0.125  # of the catalogue: where no more items are allowed, those alone are scored


@dataclass(frozen=True, eq=False)
class Restriction:
    """What some histories may be recommended, and what is added to scores.

    Attributes:
        items: ascending rows, 0 first: those that may be in one of the rankings; None: all.
        hidden: what leaves rankings all the same.
        listed: ``n`` lists of allowed items; None: no list.
        boosts: None: none.
    """

    items: Ints | None
    hidden: Excluded
    listed: tuple[Ints | None, ...]
    boosts: Boosts | None

    @property
    def of_all(self) -> bool:
        """Whether all items may be ranked, by their own scores."""
        return self.items is None and self.boosts is None

    @classmethod
    def of(
        cls,
        selections: Sequence[Selection | None],
        listed: Sequence[Ints | None],
        excluded: torch.Tensor | None,
        rows: int,
    ) -> "Restriction":
        """What ``n`` histories of one :func:`kind` ask for.

        Args:
            listed: rows of the only items that are ranked, history by history.
            excluded: ``(I + 1,)`` bool, items that leave every ranking.
            rows: ``I + 1``.
        """
        only = [None if each is None else each.only for each in selections]
        hidden = excluded if all(mask is None for mask in only) else _hidden(only, excluded, rows)
        boosts = Boosts(selections, rows) if any(each and each.boosts for each in selections) else None
        items = _union(only, listed, excluded, rows) if kind(selections[0], listed[0]) == FEW else None
        return cls(items, hidden, tuple(listed), boosts)


def kind(selection: Selection | None, allow: Ints | None) -> int:
    """``ANY`` item may be ranked, by its own score; ``FEW`` may; or any may, and some are ``BOOSTED``."""
    if allow is not None or (selection is not None and _is_narrow(selection.only)):
        return FEW
    return BOOSTED if selection is not None and selection.boosts else ANY


def _is_narrow(mask: Mask | None) -> bool:
    return mask is not None and bool(np.count_nonzero(mask) <= SHARE * len(mask))


def _union(
    only: Sequence[Mask | None], listed: Sequence[Ints | None], excluded: torch.Tensor | None, rows: int
) -> Ints:
    """``(m,)`` rows that are ranked for somebody, 0 first."""
    allowed = np.zeros(rows, dtype=bool)
    for number in [number for number in listed if number is not None]:
        allowed[number] = True
    masks = {id(mask): mask for mask, rows_ in zip(only, listed, strict=True) if rows_ is None and mask is not None}
    for mask in masks.values():
        allowed[: len(mask)] |= mask
    if excluded is not None:
        allowed &= ~excluded.numpy()
    allowed[0] = True
    return np.flatnonzero(allowed)


def _hidden(only: Sequence[Mask | None], excluded: torch.Tensor | None, rows: int) -> HistoryMasks:
    """All but those of ``only``, and the ``excluded``."""
    distinct = {id(mask): mask for mask in only}
    place = {key: number for number, key in enumerate(distinct)}
    masks = []
    for mask in distinct.values():
        hidden = torch.ones(rows, dtype=torch.bool)
        hidden[: rows if mask is None else len(mask)] = False if mask is None else torch.from_numpy(~mask)
        masks.append(hidden if excluded is None else hidden | excluded)
    return HistoryMasks(masks, torch.tensor([place[id(mask)] for mask in only]))


def top_of_some(
    scorer: Scorer, histories: Ragged, k: int, exclude: Ragged, restriction: Restriction
) -> tuple[Ints, NDArray[np.float32]]:
    """As :func:`ssna.scoring.topk.top`, of some items alone: no others are scored."""
    items = np.arange(scorer.num_rows) if restriction.items is None else restriction.items
    rows, exclude = torch.from_numpy(items), _columns(exclude, items)
    listed = torch.tensor([each is not None for each in restriction.listed])
    nothing = np.zeros(0, dtype=np.int64)
    allow = _columns(Ragged.from_rows([nothing if each is None else each for each in restriction.listed]), items)
    hidden = restriction.hidden.columns(rows) if isinstance(restriction.hidden, HistoryMasks) else restriction.hidden
    found = []
    for first, chunk in chunks(histories):
        here = slice(first, first + len(chunk))
        best, score = Best(len(chunk), k), scorer.prepare(chunk)
        if restriction.boosts is not None:
            score = restriction.boosts.take(here).on(score, scorer.num_rows)
        for start, tile in Tiles(score if restriction.items is None else _score_of(rows, score), len(items)):
            _keep(tile, allow.take(here), start, listed[here])
            hide(tile, exclude.take(here), start)
            if isinstance(hidden, HistoryMasks):
                hidden.take(here).hide(tile, start)
            elif (
                hidden is not None and restriction.items is None
            ):  # of some items the excluded ones are left out already
                tile[:, hidden[start : start + tile.shape[1]]] = -torch.inf
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


def _keep(tile: torch.Tensor, items: Ragged, start: int, listed: torch.Tensor) -> None:
    """The opposite of :func:`ssna.scoring.topk.hide`, where ``listed (n,)``: all but ``tile[i, items[i] - start]``
    become minus infinity."""
    if not listed.any():
        return
    columns = items.values - start
    here = np.flatnonzero((columns >= 0) & (columns < tile.shape[1]))
    cells = torch.from_numpy(items.row_of_value[here]), torch.from_numpy(columns[here])
    scores = tile[cells]
    tile.masked_fill_(listed[:, None], -torch.inf)
    tile[cells] = scores
