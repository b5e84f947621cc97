"""A trained model joined with training-free scorers, in shares chosen on validation."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from ssna.data.dataset import Split
from ssna.evaluation.ranking import target_ranks
from ssna.methods.training_free import deviation
from ssna.metrics import ndcg
from ssna.scoring import Blend, Part, Scorer, chunks, hide

STEPS = 10  # shares are multiples of a tenth
USERS = 20_000  # validation users that decide, spread evenly, when there are more


def join(model: Scorer, partners: Sequence[Scorer], split: Split) -> Blend:
    """The convex combination with the highest N@10 on ``split`` (seen excluded); ``model`` keeps at least a tenth.

    Every scorer is divided by the standard deviation of its own scores first, so that shares mean the same anywhere.
    """
    split = _thin(split)
    scorers = (model, *partners)
    scales = [deviation(scorer, split) for scorer in scorers]
    shares = _simplex(len(scorers))
    gains = np.zeros(len(shares))
    for start, histories in chunks(split.histories):
        rows = slice(start, start + len(histories))
        scaled = torch.stack([s.score(histories) / scale for s, scale in zip(scorers, scales, strict=True)])
        targets = torch.from_numpy(split.targets[rows])
        for number, share in enumerate(shares):
            scores = torch.einsum("s,snc->nc", torch.from_numpy(share), scaled)
            scores[:, 0] = -torch.inf
            hide(scores, split.seen.take(rows))
            gains[number] += ndcg(target_ranks(scores, targets).numpy(), min(10, scores.shape[1] - 1)).sum()
    best = [round(share, 1) for share in shares[int(gains.argmax())].tolist()]
    return Blend([Part(*part) for part in zip(scorers, best, scales, strict=True) if part[1] > 0])


def _simplex(parts: int) -> NDArray[np.float32]:
    """``(m, parts)``: all shares in tenths that sum to one, the first above zero, the largest first share first."""
    tenths = [share for share in product(range(STEPS, -1, -1), repeat=parts) if sum(share) == STEPS and share[0] > 0]
    return np.array(tenths, dtype=np.float32) / np.float32(STEPS)


def _thin(split: Split) -> Split:
    if len(split) <= USERS:
        return split
    return split.take(np.linspace(0, len(split) - 1, USERS).astype(np.int64))
