"""A trained model in an ensemble with training-free scorers, with weights chosen on validation."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ssna.core.ragged import Ints, evenly_spaced
from ssna.data.dataset import Split
from ssna.evaluation.metrics import LAST, monitored, totals
from ssna.evaluation.ranking import set_target_scores, without_seen
from ssna.methods.blend import deviation
from ssna.scoring import Ensemble, Member, RepeatConsumptionScorer, Scorer
from ssna.scoring.topk import Tiles, chunks, hide

AMOUNTS = [0.0, *(sign * 2.0**power for power in range(-2, 7) for sign in (-1, 1))]  # deviations of its scores
RARE = 10  # training events of a rare item, at most
BLOCK = 64  # histories whose rivals are held at once
SCORES, USERS = 100_000_000, 1_000  # of all validation users so many, spread evenly, decide; and never fewer than USERS


def fit_ensemble(
    model: Scorer, others: Sequence[Scorer], split: Split, monitor: str, events: Ints | None = None, cost: float = 0
) -> Ensemble:
    """The convex combination in tenths, one at least for the model, with the highest ``monitor`` (seen excluded).

    Every scorer is divided by the standard deviation of its own scores first, so that weights mean the same anywhere.

    Args:
        model: the trained one.
        others: training-free scorers of the same items.
        split: validation.
        monitor: a sum of metrics (:data:`ssna.evaluation.metrics.Monitor`). N@10 + N@50 tell apart what is alike in
            the first ten, and weights that are best in one are near the best in the other.
        events: ``(I + 1,)`` training events of each item. Needed with ``cost``.
        cost: the share of the highest ``monitor`` that may be given up for the one of rare targets, those with at most
            :data:`RARE` events.
    """
    split = _thin(split, model.num_rows)
    scorers = (model, *others)
    scales = [deviation(scorer, split.histories) for scorer in scorers]
    weights = _simplex(len(scorers)) / 10
    rare = None if events is None or not cost else events[split.targets] <= RARE
    best = weights[_best(scorers, weights / scales, split, monitor, True, None, rare, cost)]
    members = zip(scorers, best.tolist(), scales, strict=True)
    return Ensemble([Member(*member) for member in members if member[1] > 0])


def with_repeat_consumption(model: Ensemble, split: Split, max_history: int, monitor: str) -> Ensemble:
    """``model``, with the items of a history raised or lowered as ``split`` has it: the highest ``monitor`` with seen
    items included. The smallest change does; with none, ``model`` itself. Among items not seen nothing changes.
    """
    split = _thin(split, model.num_rows)
    repeat, scale = RepeatConsumptionScorer(model.num_rows, max_history), deviation(model, split.histories)
    amounts = np.array([[1.0, amount * scale] for amount in AMOUNTS], dtype=np.float32)
    ends = amounts[[amounts[:, 1].argmin(), amounts[:, 1].argmax()]]
    amount = float(f"{amounts[_best((model, repeat), amounts, split, monitor, False, ends), 1]:.3g}")
    if amount == 0:
        return model
    frequency = model.frequency
    if frequency is not None:
        frequency = replace(frequency, factors=F.pad(frequency.factors, (0, 0, 0, 1), value=1.0))
    return Ensemble([*model.members, Member(repeat, amount, 1.0)], frequency)


def _best(
    scorers: Sequence[Scorer],
    weights: NDArray[np.floating],
    split: Split,
    monitor: str,
    exclude_seen: bool,
    ends: NDArray[np.floating] | None = None,
    rare: NDArray[np.bool_] | None = None,
    cost: float = 0,
) -> int:
    """The first row of ``weights (m, members)`` whose weighted sum of scorers has the highest ``monitor``; of those
    with at most ``cost`` less, the one with the highest ``monitor`` of ``rare (n,)`` targets. For ``ends`` see
    :func:`_ranks`."""
    gains, of_rare, items = np.zeros(len(weights)), np.zeros(len(weights)), scorers[0].num_rows - 1
    for first, histories in chunks(split.histories):
        here = slice(first, first + len(histories))
        tiles = [Tiles.of(scorer, histories) for scorer in scorers]
        for row, ranks in enumerate(_ranks(tiles, weights, split.take(here), exclude_seen, ends)):
            gains[row] += monitored(totals(ranks, items), monitor)
            if rare is not None:
                of_rare[row] += monitored(totals(ranks[rare[here]], items), monitor)
    if rare is None:
        return int(gains.argmax())
    return int(np.where(gains >= gains.max() * (1 - cost), of_rare, -1).argmax())


def _ranks(
    tiles: Sequence[Tiles],
    weights: NDArray[np.floating],
    split: Split,
    exclude_seen: bool,
    ends: NDArray[np.floating] | None = None,
) -> Ints:
    """``(m, n)`` target ranks by each weighted sum of scorers, one for each row of ``weights (m, members)``. Of ranks
    beyond :data:`LAST`, which no metric tells apart, some may be too high.

    Args:
        ends: ``(e, members)`` of which every row of ``weights`` is a sum with factors that are not negative; None:
            the scorers alone. An item that all of them score below the target is below it by any weights.
    """
    targets, itself = torch.from_numpy(split.targets), torch.zeros(len(split), dtype=torch.bool)
    own = [part.at(targets) for part in tiles]
    sums = [_weighted(own, weight) for weight in weights]
    at_ends = own if ends is None else [_weighted(own, end) for end in ends]
    found, always = np.ones((len(weights), len(split)), dtype=np.int64), torch.zeros(len(split), dtype=torch.int64)
    if exclude_seen:
        always[without_seen(torch.zeros(len(split)), targets, split.seen) == -torch.inf] = LAST
    for parts in zip(*tiles, strict=True):
        start, scores = parts[0][0], [tile for _, tile in parts]
        read = scores if ends is None else [_weighted(scores, end) for end in ends]
        reach = [tile >= least[:, None] for tile, least in zip(read, at_ends, strict=True)]
        some, every = reach[0].clone(), reach[0]
        for part in reach[1:]:
            some |= part
            every &= part
        for above in (some, every):
            if start == 0:
                above[:, 0] = False
            if exclude_seen:
                hide(above, split.seen, start, False)
            set_target_scores(above, itself, targets, start)
        always += every.sum(dim=1)
        some[always >= LAST] = False
        for first in range(0, len(split), BLOCK):
            few = slice(first, first + BLOCK)
            owner, column = some[few].nonzero().unbind(1)
            owner += first
            values, last = [tile[owner, column] for tile in scores], some[few].sum(dim=1).cumsum(0).numpy()
            for row, (weight, least) in enumerate(zip(weights, sums, strict=True)):
                counts = np.pad((_weighted(values, weight) >= least[owner]).numpy().cumsum(), (1, 0))
                found[row, few] += np.diff(counts[last], prepend=0)
    found[:, (always >= LAST).numpy()] = max(LAST, tiles[0].rows - 1) + 1
    return found


def _weighted(scores: Sequence[Tensor], weights: NDArray[np.floating]) -> Tensor:
    """As an :class:`Ensemble` sums them, but of weight zero nothing: zero times minus infinity is no number."""
    total = scores[0] * float(weights[0])
    for part, weight in zip(scores[1:], weights[1:].tolist(), strict=True):
        if weight:
            total.add_(part, alpha=weight)
    return total


def _simplex(members: int) -> Ints:
    """``(m, members)``: all that sum to ten, the first above zero, the largest first one first."""
    return np.array([row for row in product(range(10, -1, -1), repeat=members) if sum(row) == 10 and row[0] > 0])


def _thin(split: Split, items: int) -> Split:
    users = max(SCORES // items, USERS)
    return split if len(split) <= users else split.take(evenly_spaced(len(split), users))
