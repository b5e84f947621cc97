"""A weighted sum of scorers, and every scorer restored from what was saved of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ragged
from ssna.nn.sasrec import RecencyLinear, RecencyMean
from ssna.scoring.counts import NeighbourScorer, PopularityScorer, RepeatConsumptionScorer
from ssna.scoring.linear import LinearScorer
from ssna.scoring.naming import REPEAT_CONSUMPTION, below, under
from ssna.scoring.scorer import Approximation, Config, ScoreFn, Scorer
from ssna.scoring.vectors import VectorScorer


class Member(NamedTuple):
    """One scorer of an :class:`Ensemble`: its scores are divided by ``scale``, then weighted by ``weight``."""

    scorer: Scorer
    weight: float
    scale: float


class Ensemble(Scorer):
    """A weighted sum of scorers, each divided by its scale: as a rule the deviation of its scores."""

    kind: ClassVar[str] = "ensemble"

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)
        self.layers = max(member.scorer.layers for member in members)

    @property
    def num_rows(self) -> int:
        return self.members[0].scorer.num_rows

    def prepare(self, histories: Ragged) -> ScoreFn:
        return weighted_sum([member.scorer.prepare(histories) for member in self.members], self._weights)

    def approximate(self, histories: Ragged) -> Approximation | None:
        """None if a member has none."""
        approximations = []
        for member in self.members:
            if (approximation := member.scorer.approximate(histories)) is None:
                return None
            approximations.append(approximation)
        errors = [approximation.error for approximation in approximations]
        error = sum(abs(weight) * error for weight, error in zip(self._weights, errors, strict=True))

        def rough(items: slice) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
            read = [approximation.read(items) for approximation in approximations]
            total = read[0][0].float() * self._weights[0]
            for (scores, _), weight in zip(read[1:], self._weights[1:], strict=True):
                total.add_(scores, alpha=weight)

            def right(owner: Tensor, columns: Tensor) -> Tensor:
                parts = [weight * exact(owner, columns) for (_, exact), weight in zip(read, self._weights, strict=True)]
                return torch.stack(parts).sum(0)

            return total, right

        return Approximation(rough, error)

    @property
    def _weights(self) -> list[float]:
        return [member.weight / member.scale for member in self.members]

    def add_items(self, h: Tensor) -> "Ensemble":
        return Ensemble([member._replace(scorer=member.scorer.add_items(h)) for member in self.members])

    def select_items(self, rows: Tensor) -> "Ensemble":
        return Ensemble([member._replace(scorer=member.scorer.select_items(rows)) for member in self.members])

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        members, tensors = [], {}
        for number, (scorer, weight, scale) in enumerate(self.members):
            config, of_member = scorer.state()
            members.append({"kind": scorer.kind, "weight": weight, "scale": scale, "config": config})
            tensors.update(under(f"{number}.", of_member))
        return {"members": members}, tensors

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "Ensemble":
        """The inverse of :meth:`state`."""
        found = []
        for number, member in enumerate(config["members"]):
            scorer = restore(member["kind"], member["config"], below(f"{number}.", tensors))
            found.append(Member(scorer, member["weight"], member["scale"]))
        return cls(found)


def weighted_sum(score_fns: Sequence[ScoreFn], weights: Sequence[float]) -> ScoreFn:
    """The sum of ``score_fns``, each times its weight."""

    def read(items: slice | Tensor) -> Tensor:
        total = score_fns[0](items).mul_(weights[0])
        for score_fn, weight in zip(score_fns[1:], weights[1:], strict=True):
            total.add_(score_fn(items), alpha=weight)
        return total

    return read


KINDS = (PopularityScorer, NeighbourScorer, LinearScorer, RepeatConsumptionScorer, VectorScorer, Ensemble)
NAMES = {"neighbour": "item neighbours", "linear": "item weights", RepeatConsumptionScorer.kind: REPEAT_CONSUMPTION}
SCORERS: dict[str, Any] = {cls.kind: cls for cls in KINDS}


def restore(kind: str, config: Config, tensors: Mapping[str, Tensor]) -> Scorer:
    """The scorer that :meth:`Scorer.state` described. Raises :class:`ArtifactError` for anything else."""
    if kind not in SCORERS:
        raise ArtifactError(f"unknown kind of scorer {kind!r}; it was saved by another version of ssna")
    try:
        scorer: Scorer = SCORERS[kind].from_state(config, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as cause:
        reason = " ".join(str(cause).split())  # torch writes several lines
        raise ArtifactError(f"the saved {kind} scorer is damaged ({reason}); train it again") from None
    return scorer


def vector_member(scorer: Scorer) -> VectorScorer | None:
    """The scorer itself, or an ensemble's first member with vectors: the trained model, if there is one."""
    if isinstance(scorer, Ensemble):
        return next((found for member in scorer.members if (found := vector_member(member.scorer)) is not None), None)
    return scorer if isinstance(scorer, VectorScorer) else None


def name_of(scorer: Scorer) -> str:
    """What a member of an ensemble is called in answers and explanations."""
    if isinstance(scorer, VectorScorer):
        untrained = {RecencyMean: "text neighbours", RecencyLinear: "text weights"}
        return untrained.get(type(scorer.sequence), "model")
    return NAMES.get(scorer.kind, scorer.kind)
