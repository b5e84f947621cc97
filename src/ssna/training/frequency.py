"""How the weights of an ensemble follow the training events of an item, 0 of them included; chosen on validation.

None need be held out: every item can be scored as if it were new (:meth:`ssna.scoring.Scorer.as_new`). Items fall into
ten parts at random. Each question is asked twice. As one about a new item: the target and the other items of its
part are new. As one about an old item: the items of another part are new.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ints, Ragged, evenly_spaced
from ssna.data.dataset import Split
from ssna.evaluation.metrics import LAST, monitored, summary
from ssna.evaluation.ranking import without_seen
from ssna.scoring import Ensemble, FrequencyWeights, Member, ScoreFn
from ssna.scoring.frequency import interpolation
from ssna.scoring.topk import TILE, chunks, count_from, hide

OLD, NEW = 400, 200  # items of a question, those that rank first with the weights so far, that weights are chosen by
QUESTIONS = 10_000  # that decide, spread evenly, if there are more
PARTS = 10
RARE = 10  # training events, at most, of a rare item
KEPT = 0.5  # of what all questions gain, so much is left to them when weights are chosen for questions about rare items
STEPS = (0.2, 0.1)  # by which factors and bias are moved
SCALES = (0.6, 0.8, 1.0, 1.2, 1.5, 2.0)  # of all members for new items,
RATIOS = (0.0, 2.0)  # and of one of them beside the others
HALVINGS = 20  # of the range of their bias
EXPOSURES = (0.0, 0.25, 0.5, 1.0, 2.0)  # whose price is told

Prepare = Callable[[Ragged], ScoreFn]


@dataclass(frozen=True)
class Price:
    """What questions about old and new items come to when new ones are raised by ``exposure``: the monitor of both."""

    exposure: float
    old: float
    new: float


def follow_frequency(
    ensemble: Ensemble,
    split: Split,
    events: Ints,
    monitor: str,
    h: Tensor | None,
    texts: Sequence[str],
    cost: float,
    seed: int,
    old_items: bool = True,
) -> tuple[Ensemble, list[Price]]:
    """``ensemble`` with weights that follow training events.

    Args:
        split: validation.
        events: ``(I + 1,)`` training events of each item.
        monitor: a sum of metrics (:data:`ssna.evaluation.metrics.Monitor`).
        h: ``(a, I + 1, d)`` states of all items, top layer first; None where there are none: new items then have the
            weights of others.
        texts: ``I + 1``, of all items.
        cost: the share of the old items' monitor that ranking new ones may cost.
        seed: of the parts.
        old_items: whether the weights of old items follow their events, too.

    Returns:
        The ensemble, and what raising new items further costs; empty without ``h``.
    """
    if len(split) > QUESTIONS:
        split = split.take(evenly_spaced(len(split), QUESTIONS))
    old = OldQuestions(ensemble.members, split, ensemble.num_rows - 1, monitor)
    frequency = FrequencyWeights.equal(len(ensemble.members), events)
    frequency = _for_old_items(old, frequency) if old_items else frequency
    if h is None:
        return Ensemble(ensemble.members, frequency), []
    try:
        prepares = [member.scorer.as_new(h, texts) for member in ensemble.members]
    except ArtifactError:  # a member admits no items by their texts
        return Ensemble(ensemble.members, frequency), []
    new = NewQuestions(old, prepares, frequency, seed)
    factors, bias = _for_new_items(new, len(ensemble.members), cost)
    prices = [Price(x, new.old_value(factors, bias + x), new.new_value(factors, bias + x)) for x in EXPOSURES]
    first = torch.arange(len(frequency.knots)) == 0
    frequency = replace(
        frequency,
        factors=torch.where(first, factors[:, None], frequency.factors),
        bias=torch.where(first, torch.tensor(bias), frequency.bias),
    )
    return Ensemble(ensemble.members, frequency), prices


class OldQuestions:
    """Questions about the items that training knows.

    Args:
        members: of the ensemble.
        items: ``I``.
    """

    def __init__(self, members: Sequence[Member], split: Split, items: int, monitor: str) -> None:
        self.split, self.items, self.monitor = split, items, monitor
        self.weights = torch.tensor([member.weight / member.scale for member in members])
        self.targets = torch.from_numpy(split.targets).long()
        (self.pool,) = Pool.of([member.scorer.prepare for member in members], self.weights, split, items, OLD)
        self.by_member = [scores.contiguous() for scores in self.pool.scores.unbind(2)]
        self.competes = (self.pool.items > 0) & (self.pool.items != self.targets[:, None])
        self._missed = without_seen(torch.zeros(len(split)), self.targets, split.seen) == -torch.inf

    def scores(self, frequency: FrequencyWeights) -> tuple[Tensor, Tensor]:
        """``(n, C)`` of the pool, minus infinity of those that do not compete, and ``(n,)`` of the targets."""
        factors, bias = frequency.of_items()
        items, targets = self.pool.items, self.targets
        pooled, own = bias[items], bias[targets]
        for member, factor in enumerate(factors):
            pooled.addcmul_(factor[items], self.by_member[member])
            own.addcmul_(factor[targets], self.pool.own[:, member])
        return pooled.masked_fill_(~self.competes, -torch.inf), own

    def of_knot(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """``shares (I + 1,)`` that items have of a knot's weights: of the pool ``(n, C)``, of targets ``(n,)``."""
        return shares[self.pool.items], shares[self.targets]

    def moved(
        self, scores: tuple[Tensor, Tensor], of_knot: tuple[Tensor, Tensor], row: int, by: float
    ) -> tuple[Tensor, Tensor]:
        """``scores`` once a knot's factor of a member, or its bias (the row behind these), has moved ``by`` so much."""
        (pooled, own), (shares, own_shares) = scores, of_knot
        if row == len(self.by_member):
            return pooled.add(shares, alpha=by), own.add(own_shares, alpha=by)
        moved = pooled.addcmul(shares, self.by_member[row], value=by)
        return moved, own.addcmul(own_shares, self.pool.own[:, row], value=by)

    def ranks(self, frequency: FrequencyWeights) -> Ints:
        """``(n,)``, among old items alone."""
        return self.ranks_of(self.scores(frequency))

    def ranks_of(self, scores: tuple[Tensor, Tensor]) -> Ints:
        """``(n,)``, among old items alone."""
        pooled, own = scores
        return self.ranks_below(count_from(pooled, own))

    def ranks_below(self, others: Tensor) -> Ints:
        """``(n,)`` ranks of targets that ``others (n,)`` items score at least as high as."""
        ranks: Ints = (others + 1).masked_fill(self._missed, self.items + 1).clamp(max=self.items + 1).numpy()
        return ranks

    def value(self, ranks: Ints) -> float:
        """The monitor."""
        return monitored(summary(ranks, self.items), self.monitor)


class NewQuestions:
    """The same questions, with items as if they were new.

    Args:
        prepares: of the members, see :meth:`ssna.scoring.Scorer.as_new`.
        frequency: of old items.
        seed: of the parts.
    """

    def __init__(self, old: OldQuestions, prepares: Sequence[Prepare], frequency: FrequencyWeights, seed: int) -> None:
        self.old = old
        rng = np.random.default_rng(seed)
        parts = rng.integers(0, PARTS, old.items + 1)
        target_part = parts[old.split.targets]
        rival_part = (target_part + rng.integers(1, PARTS, len(target_part))) % PARTS
        wanted = (target_part, rival_part)
        self.new, rivals = Pool.of(prepares, old.weights, old.split, old.items, NEW, parts, wanted)
        self._competes = (self.new.items > 0) & (self.new.items != old.targets[:, None])
        pooled, self._own = old.scores(frequency)
        part_of_pool = torch.from_numpy(parts)[old.pool.items]
        stays_old = part_of_pool != torch.from_numpy(rival_part)[:, None]
        self._above = ((pooled >= self._own[:, None]) & stays_old).sum(dim=1)
        self._open = (self._above < LAST).nonzero()[:, 0]  # of the others no rank counts, whatever new items do
        self._rivals, self._own_of_open = rivals.scores[self._open], self._own[self._open, None]
        self._rivals.masked_fill_(rivals.items[self._open, :, None] == 0, -torch.inf)
        stays_old = (part_of_pool != torch.from_numpy(target_part)[:, None]) & (old.pool.items > 0)
        self._old_scores = pooled.masked_fill(~stays_old, -torch.inf)

    def old_value(self, factors: Tensor, bias: float) -> float:
        """The monitor of questions about old items, where new ones have ``factors (M,)`` and ``bias``. Minus infinity
        hides them."""
        return self._old_value(self._raised(factors), bias)

    def _raised(self, factors: Tensor) -> Tensor:
        """How far new items are above the targets, without their bias; of open questions."""
        # zero times minus infinity is no number, and it is none that could be above
        return (self._rivals @ factors).nan_to_num_(nan=-torch.inf, neginf=-torch.inf).sub_(self._own_of_open)

    def _old_value(self, raised: Tensor, bias: float) -> float:
        more = count_from(raised, torch.full((len(raised),), -bias))
        return self.old.value(self.old.ranks_below(self._above.index_add(0, self._open, more)))

    def new_value(self, factors: Tensor, bias: float) -> float:
        """The monitor of questions about new items."""
        own = (self.new.own @ factors + bias)[:, None]
        others = ((self.new.scores @ factors + bias >= own) & self._competes).sum(dim=1)
        return self.old.value(self.old.ranks_below(others + (self._old_scores >= own).sum(dim=1)))

    def highest_bias(self, factors: Tensor, cost: float) -> float:
        """That loses old items no more than the share ``cost`` of their monitor."""
        raised = self._raised(factors)
        there = raised[raised > -torch.inf]
        if not len(there):
            return 0.0
        low, high = -float(there.max()) - 1, 1 - float(there.min())  # hides all of them, and puts all of them first
        least = (1 - cost) * self._old_value(raised, -torch.inf)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._old_value(raised, middle) >= least else (low, middle)
        return low


@dataclass(frozen=True, eq=False)
class Pool:
    """The items that may rank high, for ``n`` questions.

    Attributes:
        items: ``(n, C)`` rows, 0 where fewer are left.
        scores: ``(n, C, M)`` of the members, weighted as in the ensemble.
        own: ``(n, M)`` of the targets.
    """

    items: Tensor
    scores: Tensor
    own: Tensor

    @classmethod
    def of(
        cls,
        prepares: Sequence[Prepare],
        weights: Tensor,
        split: Split,
        items: int,
        keep: int,
        parts: Ints | None = None,
        wanted: Sequence[Ints | None] = (None,),
    ) -> "list[Pool]":
        """The highest by the sum of the members' scores, seen items excluded; a pool for each of ``wanted``.

        Args:
            weights: ``(M,)``.
            keep: ``C``.
            parts: ``(I + 1,)`` the part of each item.
            wanted: each ``(n,)``, the part whose items are wanted for a question; None: all are.
        """
        found: list[list[Pool]] = [[] for _ in wanted]
        for first, histories in chunks(split.histories):
            rows = slice(first, first + len(histories))
            score_fns, targets = [prepare(histories) for prepare in prepares], torch.from_numpy(split.targets[rows])
            distinct, column = targets.long().unique(return_inverse=True)
            own = _together(score_fns, distinct)[torch.arange(len(column)), column] * weights
            none = cls(torch.zeros(len(column), 0, dtype=torch.int64), torch.zeros(len(column), 0, len(weights)), own)
            best = [none for _ in wanted]
            for start in range(0, items + 1, TILE):
                scores = _together(score_fns, slice(start, min(start + TILE, items + 1))) * weights
                total = scores.sum(dim=2)
                if start == 0:
                    total[:, 0] = -torch.inf
                hide(total, split.seen.take(rows), start)
                for place, part in enumerate(wanted):
                    here = total
                    if parts is not None and part is not None:
                        of_items = torch.from_numpy(parts[start : start + total.shape[1]])
                        here = total.masked_fill(of_items != torch.from_numpy(part[rows])[:, None], -torch.inf)
                    best[place] = best[place]._with(start, scores, here, keep)
            for pools, pool in zip(found, best, strict=True):
                pools.append(pool)
        return [
            cls(*(torch.cat([getattr(part, name) for part in pools]) for name in ("items", "scores", "own")))
            for pools in found
        ]

    def _with(self, start: int, scores: Tensor, total: Tensor, keep: int) -> "Pool":
        """With the best of a tile, whose rows begin at ``start``."""
        top, columns = total.topk(min(keep, total.shape[1]), dim=1)
        rows = (columns + start).masked_fill(top == -torch.inf, 0)
        items = torch.cat([self.items, rows], dim=1)
        of_members = torch.cat([self.scores, _gathered(scores, columns)], dim=1)
        ranked = of_members.sum(dim=2).masked_fill(items == 0, -torch.inf)
        kept = ranked.topk(min(keep, items.shape[1]), dim=1).indices
        return Pool(items.gather(1, kept), _gathered(of_members, kept), self.own)


def _together(score_fns: Sequence[ScoreFn], items: slice | Tensor) -> Tensor:
    """``(n, c, M)``."""
    return torch.stack([score(items) for score in score_fns], dim=2)


def _gathered(scores: Tensor, columns: Tensor) -> Tensor:
    """``scores (n, c, M)`` of ``columns (n, k)``: ``(n, k, M)``."""
    return scores.gather(1, columns[:, :, None].expand(-1, -1, scores.shape[2]))


def _for_old_items(questions: OldQuestions, start: FrequencyWeights) -> FrequencyWeights:
    """Ascent on the monitor; then on that of questions about rare items, as long as ``KEPT`` of the gain is kept."""
    best = _ascent(questions, start, questions.value)
    rare = start.events[questions.split.targets] <= RARE
    if not rare.any():
        return best
    before, after = (questions.value(questions.ranks(weights)) for weights in (start, best))
    least = before + KEPT * (after - before)
    return _ascent(
        questions, best, lambda ranks: questions.value(ranks[rare]) if questions.value(ranks) >= least else -1.0
    )


def _ascent(questions: OldQuestions, start: FrequencyWeights, value_of: Callable[[Ints], float]) -> FrequencyWeights:
    """One factor or one bias at a time, up or down, of all knots but that of new items. The bias of the knot in the
    middle stays, since only differences count."""
    best, scores = start, questions.scores(start)
    value = value_of(questions.ranks_of(scores))
    beyond = int(start.knots[-1])
    by_events, events = interpolation(start.knots, np.arange(beyond + 1)), np.minimum(start.events, beyond)
    members, knots = start.factors.shape
    places = [(row, knot) for row in range(members + 1) for knot in range(1, knots)]
    places.remove((members, knots // 2))
    for step in STEPS:
        for row, knot in places:
            of_knot = questions.of_knot(by_events[events, knot])
            for move in (step, -step):
                tried, by = _moved(best, row, knot, move)
                there = questions.moved(scores, of_knot, row, by)
                if (found := value_of(questions.ranks_of(there))) > value:
                    best, value, scores = tried, found, there
                    break
    return best


def _moved(weights: FrequencyWeights, row: int, knot: int, by: float) -> tuple[FrequencyWeights, float]:
    """The weights, and by how much one of them has moved: no factor falls below 0."""
    if row == len(weights.factors):
        bias = weights.bias.clone()
        bias[knot] += by
        return replace(weights, bias=bias), by
    factors = weights.factors.clone()
    factors[row, knot] = (factors[row, knot] + by).clamp(min=0)
    return replace(weights, factors=factors), float(factors[row, knot] - weights.factors[row, knot])


def _for_new_items(questions: NewQuestions, members: int, cost: float) -> tuple[Tensor, float]:
    """Factors ``(M,)`` and bias with the highest monitor of questions about new items, at no more than ``cost``."""
    tried = [torch.ones(members)]
    for member in range(1, members):
        tried += [factors.index_fill(0, torch.tensor([member]), ratio) for factors in tried for ratio in RATIOS]
    best, found = -1.0, (tried[0], 0.0)
    for factors in (scale * factors for factors in tried for scale in SCALES):
        bias = questions.highest_bias(factors, cost)
        if (value := questions.new_value(factors, bias)) > best:
            best, found = value, (factors, bias)
    return found
