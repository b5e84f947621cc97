"""A weighted sum of scorers, and every scorer restored from what was saved of it."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ssna.core.errors import ArtifactError
from ssna.core.plugins import Registry
from ssna.core.ragged import Ragged
from ssna.nn.sasrec import RecencyLinear, RecencyMean
from ssna.scoring.counts import NeighbourScorer, PopularityScorer, RepeatConsumptionScorer
from ssna.scoring.frequency import FrequencyWeights
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
    """A weighted sum of scorers, each divided by its scale: as a rule the deviation of its scores.

    Args:
        frequency: how weights follow the training events of an item, and what is added to its score; None: all items
            are treated alike.
    """

    kind: ClassVar[str] = "ensemble"

    def __init__(self, members: Sequence[Member], frequency: FrequencyWeights | None = None) -> None:
        self.members, self.frequency = tuple(members), frequency
        self.layers = max(member.scorer.layers for member in members)

    @property
    def num_rows(self) -> int:
        return self.members[0].scorer.num_rows

    def prepare(self, histories: Ragged) -> ScoreFn:
        score_fns = [member.scorer.prepare(histories) for member in self.members]
        weights, bias = self.item_weights
        said = torch.from_numpy(histories.lengths > 0).float()[:, None]  # an empty history says nothing

        def read(items: slice | Tensor) -> Tensor:
            total = score_fns[0](items).mul_(weights[0, items])
            for score_fn, weight in zip(score_fns[1:], weights[1:], strict=True):
                total.addcmul_(score_fn(items), weight[items])
            return total if self.frequency is None else total.add_(said * bias[items])

        return read

    def approximate(self, histories: Ragged) -> Approximation | None:
        """None if a member has none."""
        approximations = []
        for member in self.members:
            if (approximation := member.scorer.approximate(histories)) is None:
                return None
            approximations.append(approximation)
        weights, bias = self.item_weights
        errors = torch.tensor([approximation.worst for approximation in approximations])
        said = torch.from_numpy(histories.lengths > 0).float()

        def rough(items: slice) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
            read = [approximation.read(items) for approximation in approximations]
            here, added = weights[:, items], bias[items]
            total = read[0][0].float() * here[0]
            for (scores, _), weight in zip(read[1:], here[1:], strict=True):
                total.addcmul_(scores.float(), weight)
            if self.frequency is not None:
                total.add_(said[:, None] * added)

            def right(owner: Tensor, columns: Tensor) -> Tensor:
                parts = [weight[columns] * exact(owner, columns) for (_, exact), weight in zip(read, here, strict=True)]
                return torch.stack(parts).sum(0).add_(said[owner] * added[columns])

            return total, right

        return Approximation(rough, float((weights.abs() * errors[:, None]).sum(dim=0).max()))

    @cached_property
    def item_weights(self) -> tuple[Tensor, Tensor]:
        """``(M, I + 1)`` what the scores of each member are multiplied by, and ``(I + 1,)`` what is added."""
        weights = torch.tensor([member.weight / member.scale for member in self.members])[:, None]
        if self.frequency is None:
            return weights.expand(-1, self.num_rows), torch.zeros(self.num_rows)
        factors, bias = self.frequency.of_items()
        return weights * factors, bias

    def with_exposure(self, exposure: float) -> Scorer:
        if self.frequency is None:
            return super().with_exposure(exposure)
        if exposure == self.frequency.exposure:
            return self
        return Ensemble(self.members, self.frequency.expose(exposure))

    def add_items(self, h: Tensor, texts: Sequence[str] = ()) -> "Ensemble":
        members = [member._replace(scorer=member.scorer.add_items(h, texts)) for member in self.members]
        return Ensemble(members, None if self.frequency is None else self.frequency.add_items(h.shape[1]))

    def with_history_items(self, h: Tensor, texts: Sequence[str] = ()) -> Scorer:
        known = [member.scorer.with_history_items(h, texts) for member in self.members]
        if len({scorer.num_rows for scorer in known}) > 1:  # one of another package puts them among its own
            return self.add_items(h, texts)
        members = [member._replace(scorer=scorer) for member, scorer in zip(self.members, known, strict=True)]
        return Ensemble(members, self.frequency)

    def select_items(self, rows: Tensor) -> "Ensemble":
        members = [member._replace(scorer=member.scorer.select_items(rows)) for member in self.members]
        return Ensemble(members, None if self.frequency is None else self.frequency.select_items(rows))

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        members, tensors = [], {}
        for number, (scorer, weight, scale) in enumerate(self.members):
            config, of_member = scorer.state()
            members.append({"kind": scorer.kind, "weight": weight, "scale": scale, "config": config})
            tensors.update(under(f"{number}.", of_member))
        if self.frequency is not None:
            tensors.update(under("frequency.", self.frequency.tensors()))
        return {"members": members}, tensors

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "Ensemble":
        """The inverse of :meth:`state`."""
        found = []
        for number, member in enumerate(config["members"]):
            scorer = restore(member["kind"], member["config"], below(f"{number}.", tensors))
            found.append(Member(scorer, member["weight"], member["scale"]))
        by_frequency = below("frequency.", tensors)
        frequency = FrequencyWeights.from_tensors(by_frequency) if by_frequency else None
        sizes = (len(found), found[0].scorer.num_rows)
        if frequency is not None and (len(frequency.factors), len(frequency.events)) != sizes:
            raise ValueError("weights by frequency are those of another ensemble")
        return cls(found, frequency)


KINDS = (PopularityScorer, NeighbourScorer, LinearScorer, RepeatConsumptionScorer, VectorScorer, Ensemble)
NAMES = {"neighbour": "item neighbours", "linear": "item weights", RepeatConsumptionScorer.kind: REPEAT_CONSUMPTION}
SCORERS: Registry[Any] = Registry(
    "ssna.scorers", {cls.kind: cls for cls in KINDS}, lambda part: hasattr(part, "from_state")
)
"""Kind -> scorer: those here, and those of installed packages, by their entry points in ``ssna.scorers``."""


def restore(kind: str, config: Config, tensors: Mapping[str, Tensor]) -> Scorer:
    """The scorer that :meth:`Scorer.state` described. Raises :class:`ArtifactError` for anything else."""
    if kind not in SCORERS:
        raise ArtifactError(
            f"unknown kind of scorer {kind!r}; it was saved by another version of ssna, or its package is not installed"
        )
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
