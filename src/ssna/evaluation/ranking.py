"""Full ranking of the catalogue for every user, under both policies about items already seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssna.compute import distributed
from ssna.core.ragged import Ints, Ragged
from ssna.data.dataset import Split
from ssna.evaluation.metrics import summary
from ssna.scoring import Scorer
from ssna.scoring.best import Best
from ssna.scoring.topk import Tiles, chunks, count_from, hide

Policy = Literal["exclude_seen", "include_seen"]
POLICIES: tuple[Policy, ...] = ("exclude_seen", "include_seen")
TOP = 50


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a scorer did on a split; every metric and every test derives from it.

    ``exclude_seen``: all items of the (uncut) history leave the ranking, and a target among them counts as a miss.
    ``include_seen``: nothing leaves. Ties count against the target. A miss has rank ``items + 1``.

    Attributes:
        targets: ``(n,)`` item rows, in the order of the split's users.
        ranks: policy -> ``(n,)`` rank of the target, from 1.
        lists: policy -> ``(n, min(50, items))`` best item rows, best first; 0 where fewer are left. More if asked for.
        items: size of the catalogue.
    """

    targets: Ints
    ranks: dict[Policy, Ints]
    lists: dict[Policy, NDArray[np.int32]]
    items: int

    def __post_init__(self) -> None:
        for ranks_ in self.ranks.values():
            if ranks_.shape != self.targets.shape or (
                len(ranks_) and (ranks_.min() < 1 or ranks_.max() > self.items + 1)
            ):
                raise ValueError("there is one rank a target, from 1 to items + 1")

    def metrics(self, cutoffs: tuple[int, ...] = (10, 50)) -> dict[str, dict[str, float]]:
        """Policy -> ``{"R@10", "N@10", "R@50", "N@50"}``, means over users."""
        return {policy: summary(self.ranks[policy], self.items, cutoffs) for policy in POLICIES}


def evaluate(scorer: Scorer, split: Split, among: Ints | None = None, top: int = TOP) -> Evaluation:
    """Rank the whole catalogue, or the item rows ``among`` only, for every user of ``split``.

    Users and items go by some at a time: memory does not grow with either.

    Args:
        top: the length of the lists.
    """
    parts = list(_parts(scorer, split, among, dict.fromkeys(POLICIES, min(top, scorer.num_rows - 1))))
    return Evaluation(
        targets=split.targets,
        ranks={policy: torch.cat([part[policy].ranks for part in parts]).numpy() for policy in POLICIES},
        lists={policy: torch.cat([part[policy].best.rows for part in parts]).int().numpy() for policy in POLICIES},
        items=scorer.num_rows - 1,
    )


def ranks(scorer: Scorer, split: Split) -> Ints:
    """``(n,)`` target ranks with seen items excluded: what validation needs after each epoch, and no more.

    Of several processes, each ranks for some of the users.
    """
    own = distributed.shard(len(split))
    parts = _parts(scorer, split.take(own), None, {"exclude_seen": 0})
    found = [torch.zeros(0, dtype=torch.int64), *(part["exclude_seen"].ranks for part in parts)]
    return distributed.gather(torch.cat(found), own, len(split)).numpy()


class Ranking:
    """The targets' ranks and the best items under one policy, tile after tile.

    Attributes:
        targets: ``(n,)`` the targets' own scores, minus infinity where they left the ranking.
        ranks: ``(n,)`` the items (the target among them) that score at least as high. Where it left, every column
            does, that of padding too: items + 1.
    """

    def __init__(self, targets: Tensor, k: int) -> None:
        self.targets, self.ranks = targets, torch.zeros(len(targets), dtype=torch.int64)
        self.best, self.k = Best(len(targets), k), k

    def add(self, start: int, tile: Tensor) -> None:
        """A tile whose rows begin at ``start``."""
        self.ranks += count_from(tile, self.targets)
        if self.k:
            self.best.add(start, tile)


def _parts(
    scorer: Scorer, split: Split, among: Ints | None, lists: dict[Policy, int]
) -> Iterator[dict[Policy, Ranking]]:
    """Some users at a time; ``lists``: the policies asked for, and how long their lists are."""
    excluded = None if among is None else _others(among, scorer.num_rows)
    for first, histories in chunks(split.histories):
        rows = slice(first, first + len(histories))
        tiles, targets = Tiles.of(scorer, histories), torch.from_numpy(split.targets[rows])
        own = tiles.at(targets)
        if excluded is not None:
            own = own.masked_fill(excluded[targets], -torch.inf)
        seen = split.seen.take(rows)
        here = {"include_seen": own, "exclude_seen": without_seen(own, targets, seen)}
        rankings = {policy: Ranking(here[policy], k) for policy, k in lists.items()}
        for start, tile in tiles:
            if excluded is not None:
                tile[:, excluded[start : start + tile.shape[1]]] = -torch.inf
            set_target_scores(tile, own, targets, start)
            if "include_seen" in rankings:
                rankings["include_seen"].add(start, tile)
            hide(tile, seen, start)
            rankings["exclude_seen"].add(start, tile)
        yield rankings


def _others(among: Ints, rows: int) -> Tensor:
    others = torch.ones(rows, dtype=torch.bool)
    others[torch.from_numpy(among)] = False
    return others


def without_seen(own: Tensor, targets: Tensor, seen: Ragged) -> Tensor:
    """``own (n,)`` scores of ``targets (n,)``, minus infinity where the target is among the items ``seen``."""
    found = seen.values == targets.numpy()[seen.row_of_value]
    return own.index_fill(0, torch.from_numpy(seen.row_of_value[found]), -torch.inf)


def set_target_scores(tile: Tensor, own: Tensor, targets: Tensor, start: int) -> None:
    """Put the targets' scores into a tile, in place: rounding of another product must not part a target from itself."""
    columns = targets - start
    here = ((columns >= 0) & (columns < tile.shape[1])).nonzero()[:, 0]
    tile[here, columns[here]] = own[here]
