"""Scorers joined to one, and every scorer restored from what was saved of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ragged
from ssna.nn.sasrec import RecencyLinear, RecencyMean
from ssna.scoring.counts import LinearScorer, NeighbourScorer, PopularityScorer, RepeatConsumptionScorer
from ssna.scoring.naming import REPEAT_CONSUMPTION, below
from ssna.scoring.scorer import Approximation, Config, ScoreFn, Scorer
from ssna.scoring.vectors import VectorScorer


class Member(NamedTuple):
    """One scorer of a :class:`Blend`: its scores are divided by ``scale``, then weighted by ``weight``."""

    scorer: Scorer
    weight: float
    scale: float


class Ensemble(Scorer):
    """A weighted sum of scorers, each divided by its scale: as a rule the deviation of its scores."""

    kind: ClassVar[str] = "blend"

    def __init__(self, parts: Sequence[Member]) -> None:
        self.members = tuple(parts)
        self.layers = max(part.scorer.layers for part in parts)

    @property
    def num_rows(self) -> int:
        return self.members[0].scorer.num_rows

    def prepare(self, histories: Ragged) -> ScoreFn:
        return weighted_sum([part.scorer.prepare(histories) for part in self.members], self._weights)

    def approximate(self, histories: Ragged) -> Approximation | None:
        """None if a part has none."""
        sketches = []
        for part in self.members:
            if (sketch := part.scorer.approximate(histories)) is None:
                return None
            sketches.append(sketch)
        error = sum(abs(share) * sketch.error for share, sketch in zip(self._weights, sketches, strict=True))

        def rough(items: slice) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
            read = [sketch.read(items) for sketch in sketches]
            total = read[0][0].float() * self._weights[0]
            for (scores, _), share in zip(read[1:], self._weights[1:], strict=True):
                total.add_(scores, alpha=share)

            def right(owner: Tensor, columns: Tensor) -> Tensor:
                parts = [share * exact(owner, columns) for (_, exact), share in zip(read, self._weights, strict=True)]
                return torch.stack(parts).sum(0)

            return total, right

        return Approximation(rough, error)

    @property
    def _weights(self) -> list[float]:
        return [part.weight / part.scale for part in self.members]

    def add_items(self, h: Tensor) -> "Ensemble":
        return Ensemble([part._replace(scorer=part.scorer.add_items(h)) for part in self.members])

    def select_items(self, rows: Tensor) -> "Ensemble":
        return Ensemble([part._replace(scorer=part.scorer.select_items(rows)) for part in self.members])

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        parts, tensors = [], {}
        for number, part in enumerate(self.members):
            config, below_it = part.scorer.state()
            parts.append({"kind": part.scorer.kind, "weight": part.weight, "scale": part.scale, "config": config})
            tensors.update({f"{number}.{name}": tensor for name, tensor in below_it.items()})
        return {"parts": parts}, tensors

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "Ensemble":
        """The inverse of :meth:`state`."""
        return cls(
            [
                Member(
                    restore(part["kind"], part["config"], below(f"{number}.", tensors)), part["weight"], part["scale"]
                )
                for number, part in enumerate(config["parts"])
            ]
        )


def weighted_sum(readings: Sequence[ScoreFn], shares: Sequence[float]) -> ScoreFn:
    """The sum of ``readings``, each times its share."""

    def read(items: slice | Tensor) -> Tensor:
        total = readings[0](items).mul_(shares[0])
        for reading, share in zip(readings[1:], shares[1:], strict=True):
            total.add_(reading(items), alpha=share)
        return total

    return read


KINDS = (PopularityScorer, NeighbourScorer, LinearScorer, RepeatConsumptionScorer, VectorScorer, Ensemble)
NAMES = {"neighbour": "item neighbours", "linear": "item weights", "repeat": REPEAT_CONSUMPTION}
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
    """The scorer itself, or a blend's first part that has vectors: the model, where neighbours are joined to one."""
    if isinstance(scorer, Ensemble):
        return next((found for part in scorer.members if (found := vector_member(part.scorer)) is not None), None)
    return scorer if isinstance(scorer, VectorScorer) else None


def name_of(scorer: Scorer) -> str:
    """What people call a part of a blend."""
    if isinstance(scorer, VectorScorer):
        untrained = {RecencyMean: "text neighbours", RecencyLinear: "text weights"}
        return untrained.get(type(scorer.sequence), "model")
    return NAMES.get(scorer.kind, scorer.kind)
