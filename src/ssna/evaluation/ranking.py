"""Full ranking of the catalogue for every user, under both policies about items already seen."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssna import processes
from ssna.data.dataset import Split
from ssna.errors import TrainingError
from ssna.metrics import summary
from ssna.ragged import Ints
from ssna.scoring import Scorer, chunks, hide

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
        lists: policy -> ``(n, min(50, items))`` best item rows, best first; 0 where fewer are left.
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


def evaluate(scorer: Scorer, split: Split, among: Ints | None = None) -> Evaluation:
    """Rank the whole catalogue, or the item rows ``among`` only, for every user of ``split``, some users at a time."""
    parts: list[dict[str, Any]] = []
    for start, histories in chunks(split.histories):
        rows = slice(start, start + len(histories))
        scores, targets = scorer.score(histories), torch.from_numpy(split.targets[rows])
        if among is not None:
            outside = torch.ones(scores.shape[1], dtype=torch.bool)
            outside[torch.from_numpy(among)] = False
            scores[:, outside] = -torch.inf
        part: dict[str, Any] = {"items": scores.shape[1] - 1}
        part["include_seen"] = target_ranks(scores, targets), _lists(scores)
        hide(scores, split.seen.take(rows))
        part["exclude_seen"] = target_ranks(scores, targets), _lists(scores)
        parts.append(part)
    return Evaluation(
        targets=split.targets,
        ranks={policy: torch.cat([part[policy][0] for part in parts]).numpy() for policy in POLICIES},
        lists={policy: torch.cat([part[policy][1] for part in parts]).numpy() for policy in POLICIES},
        items=parts[0]["items"],
    )


def ranks(scorer: Scorer, split: Split) -> Ints:
    """``(n,)`` target ranks with seen items excluded: what validation needs after each epoch, and no more.

    Of several processes, each ranks for some of the users.
    """
    own = processes.stretch(len(split))
    part = split.take(own)
    result = [torch.zeros(0, dtype=torch.int64)]
    for start, histories in chunks(part.histories):
        rows = slice(start, start + len(histories))
        scores = scorer.score(histories)
        hide(scores, part.seen.take(rows))
        result.append(target_ranks(scores, torch.from_numpy(part.targets[rows])))
    return processes.gather(torch.cat(result), own, len(split)).numpy()


def target_ranks(scores: Tensor, targets: Tensor) -> Tensor:
    """The items (the target among them) that score at least as high as the target.

    A target that left scores minus infinity, as padding does, so that every column is at least as high: items + 1.
    """
    if torch.isnan(scores).any():
        raise TrainingError("a score is not a number; the model has diverged, lower training.learning_rate")
    return (scores >= scores.gather(1, targets[:, None])).sum(dim=1)


def _lists(scores: Tensor) -> Tensor:
    best = scores.topk(min(TOP, scores.shape[1] - 1), dim=1)
    return best.indices.masked_fill(best.values == -torch.inf, 0).int()
