"""Scorers joined to one, and every scorer restored from what was saved of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ragged
from ssna.nn.sasrec import RecencyLinear, RecencyMean
from ssna.scoring.counts import LinearScorer, NeighbourScorer, PopularityScorer, RepeatScorer
from ssna.scoring.naming import REPEATS, below
from ssna.scoring.scorer import Config, Reading, Scorer, Sketch
from ssna.scoring.vectors import VectorScorer


class Part(NamedTuple):
    """One scorer of a :class:`Blend`: its scores are divided by ``scale``, then weighted by ``weight``."""

    scorer: Scorer
    weight: float
    scale: float


class Blend(Scorer):
    """A weighted sum of scorers, each divided by its scale: as a rule the deviation of its scores."""

    kind: ClassVar[str] = "blend"

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self.layers = max(part.scorer.layers for part in parts)

    @property
    def rows(self) -> int:
        """See :class:`Scorer`."""
        return self.parts[0].scorer.rows

    def read(self, histories: Ragged) -> Reading:
        """See :class:`Scorer`."""
        return blended([part.scorer.read(histories) for part in self.parts], self._shares)

    def sketch(self, histories: Ragged) -> Sketch | None:
        """See :class:`Scorer`; None if a part has none."""
        sketches = []
        for part in self.parts:
            if (sketch := part.scorer.sketch(histories)) is None:
                return None
            sketches.append(sketch)
        error = sum(abs(share) * sketch.error for share, sketch in zip(self._shares, sketches, strict=True))

        def rough(items: slice) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
            read = [sketch.read(items) for sketch in sketches]
            total = read[0][0].float() * self._shares[0]
            for (scores, _), share in zip(read[1:], self._shares[1:], strict=True):
                total.add_(scores, alpha=share)

            def right(owner: Tensor, columns: Tensor) -> Tensor:
                parts = [share * exact(owner, columns) for (_, exact), share in zip(read, self._shares, strict=True)]
                return torch.stack(parts).sum(0)

            return total, right

        return Sketch(rough, error)

    @property
    def _shares(self) -> list[float]:
        return [part.weight / part.scale for part in self.parts]

    def extended(self, h: Tensor) -> "Blend":
        """See :class:`Scorer`."""
        return Blend([part._replace(scorer=part.scorer.extended(h)) for part in self.parts])

    def kept(self, rows: Tensor) -> "Blend":
        """See :class:`Scorer`."""
        return Blend([part._replace(scorer=part.scorer.kept(rows)) for part in self.parts])

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        """See :class:`Scorer`."""
        parts, tensors = [], {}
        for number, part in enumerate(self.parts):
            config, below_it = part.scorer.state()
            parts.append({"kind": part.scorer.kind, "weight": part.weight, "scale": part.scale, "config": config})
            tensors.update({f"{number}.{name}": tensor for name, tensor in below_it.items()})
        return {"parts": parts}, tensors

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "Blend":
        """The inverse of :meth:`state`."""
        return cls(
            [
                Part(restore(part["kind"], part["config"], below(f"{number}.", tensors)), part["weight"], part["scale"])
                for number, part in enumerate(config["parts"])
            ]
        )


def blended(readings: Sequence[Reading], shares: Sequence[float]) -> Reading:
    """The sum of ``readings``, each times its share."""

    def read(items: slice | Tensor) -> Tensor:
        total = readings[0](items).mul_(shares[0])
        for reading, share in zip(readings[1:], shares[1:], strict=True):
            total.add_(reading(items), alpha=share)
        return total

    return read


KINDS = (PopularityScorer, NeighbourScorer, LinearScorer, RepeatScorer, VectorScorer, Blend)
NAMES = {"neighbour": "item neighbours", "linear": "item weights", "repeat": REPEATS}
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


def vector_part(scorer: Scorer) -> VectorScorer | None:
    """The scorer itself, or a blend's first part that has vectors: the model, where neighbours are joined to one."""
    if isinstance(scorer, Blend):
        return next((found for part in scorer.parts if (found := vector_part(part.scorer)) is not None), None)
    return scorer if isinstance(scorer, VectorScorer) else None


def name_of(scorer: Scorer) -> str:
    """What people call a part of a blend."""
    if isinstance(scorer, VectorScorer):
        untrained = {RecencyMean: "text neighbours", RecencyLinear: "text weights"}
        return untrained.get(type(scorer.sequence), "model")
    return NAMES.get(scorer.kind, scorer.kind)
