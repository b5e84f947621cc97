"""Scorers: histories in, a score for every item out. Everything that ranks, serves or is compared is one of these.

Item rows start at 1; row 0 is padding. :mod:`ssna.streaming` ranks with any scorer in bounded memory.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol, cast

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssna.device import multiplies_bf16
from ssna.errors import ArtifactError
from ssna.nn.adapter import ADAPTERS
from ssna.nn.sasrec import RecencyMean, SASRec
from ssna.ragged import Ragged

BF16_ERROR = 3.2 * 2**-8
"""Of a product of two vectors of length 1: half a unit in the last place for each of both, and for the result."""

AT_ONCE = 64  # histories whose few items are gathered together: of each, a vector

Config = dict[str, Any]
Reading = Callable[[slice | Tensor], Tensor]
"""Item rows ``(c,)``, or a slice of them -> their scores ``(n, c)`` fp32, the caller's to write into. Those of row 0
mean nothing."""


class Sketch(NamedTuple):
    """Scores at a fraction of the cost, nearly right.

    Attributes:
        read: a slice of item rows -> their scores ``(n, c)``, and what gives the right ones of a few of these: columns
            ``(n, m)`` -> ``(n, m)``. Both fp32, the caller's to write into.
        error: no score is further from the right one.
    """

    read: Callable[[slice], tuple[Tensor, Callable[[Tensor], Tensor]]]
    error: float


class Scorer(Protocol):
    """Scores of any kind; equal for one history alone and among others, to rounding."""

    kind: ClassVar[str]
    layers: int
    """The top layers that :meth:`extended` reads: at most ``a``."""

    @property
    def rows(self) -> int:
        """``I + 1``: item rows that have a score, padding among them."""
        ...

    def read(self, histories: Ragged) -> Reading:
        """Read ``n`` histories, once; what comes back gives scores of as many items at a time as are asked for.

        An empty history says nothing: every item scores 0, or its popularity where that is all that counts.
        """
        ...

    def sketch(self, histories: Ragged) -> Sketch | None:
        """As :meth:`read`, to find the few best with; None where nothing is cheaper than the scores themselves."""
        return None

    def score(self, histories: Ragged) -> Tensor:
        """``n`` histories -> ``(n, I + 1)`` fp32, minus infinity in column 0: for catalogues that are not large."""
        scores = self.read(histories)(slice(0, self.rows))
        scores[:, 0] = -torch.inf
        return scores

    def extended(self, h: Tensor) -> "Scorer":
        """A scorer of ``n`` more items, put last, from their states ``h (a, n, d)``, top layer first.

        Raises:
            ArtifactError: the scorer cannot give an item a vector from its text.
        """
        ...

    def kept(self, rows: Tensor) -> "Scorer":
        """A scorer of the item rows ``(n,)`` alone, in this order; row 0, padding, comes first. Scores stay."""
        ...

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        """What :func:`restore` rebuilds the scorer from: JSON values and tensors."""
        ...


class PopularityScorer(Scorer):
    """The number of training events of each item, whatever the history."""

    kind: ClassVar[str] = "popularity"
    layers: int = 0

    def __init__(self, counts: Tensor) -> None:
        self.counts = counts.float()  # (I + 1,)

    @property
    def rows(self) -> int:
        """See :class:`Scorer`."""
        return len(self.counts)

    def read(self, histories: Ragged) -> Reading:
        """See :class:`Scorer`."""
        return lambda items: self.counts[items].repeat(len(histories), 1)

    def extended(self, h: Tensor) -> "PopularityScorer":
        """See :class:`Scorer`; a new item has no events."""
        return PopularityScorer(F.pad(self.counts, (0, h.shape[1])))

    def kept(self, rows: Tensor) -> "PopularityScorer":
        """See :class:`Scorer`."""
        return PopularityScorer(self.counts[rows])

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        """See :class:`Scorer`."""
        return {}, {"counts": self.counts}

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "PopularityScorer":
        """The inverse of :meth:`state`."""
        return cls(tensors["counts"])


class NeighbourScorer(Scorer):
    """A sparse item-to-item matrix, summed over the last ``window`` items, each step back weighted by ``decay``."""

    kind: ClassVar[str] = "neighbour"
    layers: int = 0

    def __init__(self, similarity: sparse.csr_array, window: int, decay: float) -> None:
        self.similarity, self.window, self.decay = similarity, window, decay  # (I + 1, I + 1)

    @property
    def rows(self) -> int:
        """See :class:`Scorer`."""
        return int(self.similarity.shape[0])

    def read(self, histories: Ragged) -> Reading:
        """See :class:`Scorer`."""
        recent = histories.last(self.window)
        back = recent.lengths[recent.row_of_value] - 1 - recent.position_of_value
        weights = sparse.csr_array(
            (self.decay ** back.astype(np.float32), (recent.row_of_value, recent.values)),
            shape=(len(recent), self.rows),
        )
        votes = (weights @ self.similarity).tocsc()  # (n, I + 1): by columns, so that a tile is one stretch of it

        def read(items: slice | Tensor) -> Tensor:
            columns = votes[:, items if isinstance(items, slice) else items.numpy()]
            return torch.from_numpy(columns.toarray(order="C").astype(np.float32, copy=False))

        return read

    def sketch(self, histories: Ragged) -> Sketch | None:
        """See :class:`Scorer`; right already."""
        read = self.read(histories)

        def rough(items: slice) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            scores = read(items)
            return scores, lambda columns: scores.gather(1, columns)

        return Sketch(rough, 0.0)

    def extended(self, h: Tensor) -> "NeighbourScorer":
        """See :class:`Scorer`; a new item has no neighbours."""
        size = self.similarity.shape[0] + h.shape[1]
        offsets = np.pad(self.similarity.indptr, (0, h.shape[1]), mode="edge")
        wider = sparse.csr_array((self.similarity.data, self.similarity.indices, offsets), shape=(size, size))
        return NeighbourScorer(wider, self.window, self.decay)

    def kept(self, rows: Tensor) -> "NeighbourScorer":
        """See :class:`Scorer`."""
        chosen = rows.numpy()
        return NeighbourScorer(sparse.csr_array(self.similarity[chosen][:, chosen]), self.window, self.decay)

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        """See :class:`Scorer`."""
        matrix = self.similarity
        tensors = {
            "values": torch.from_numpy(matrix.data.astype(np.float32)),
            "columns": torch.from_numpy(matrix.indices.astype(np.int32)),
            "offsets": torch.from_numpy(matrix.indptr.astype(np.int64)),
        }
        return {"window": self.window, "decay": self.decay}, tensors

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "NeighbourScorer":
        """The inverse of :meth:`state`."""
        size = len(tensors["offsets"]) - 1
        parts = (tensors["values"].numpy(), tensors["columns"].numpy(), tensors["offsets"].numpy())
        return cls(sparse.csr_array(parts, shape=(size, size)), config["window"], config["decay"])


class VectorScorer(Scorer):
    """An item matrix and a sequence model: Eq. 7, the cosine of the intent after the last item with every item.

    Args:
        vectors: ``(I + 1, D)``, row 0 zero.
        sequence: maps packed item vectors to packed intents, and has ``last`` for the last ones alone, as
            :class:`ssna.nn.sasrec.SASRec`.
        max_history: items of a history that are read, the latest.
        admission: one of ``ADAPTERS``, states of new texts to vectors; None where only known items have a vector.
    """

    kind: ClassVar[str] = "vector"

    def __init__(
        self, vectors: Tensor, sequence: nn.Module, max_history: int, admission: nn.Module | None = None
    ) -> None:
        self.vectors, self.sequence, self.max_history = vectors.float(), sequence.eval(), max_history
        self.admission = None if admission is None else admission.eval()
        self.layers = 0 if admission is None else int(cast(Config, admission.config).get("layers", 1))
        self.directions = F.normalize(self.vectors, dim=-1)
        self._last = cast(Callable[[Tensor, Tensor, Tensor], Tensor], self.sequence.last)

    @property
    def rows(self) -> int:
        """See :class:`Scorer`."""
        return len(self.vectors)

    def read(self, histories: Ragged) -> Reading:
        """See :class:`Scorer`."""
        intents = F.normalize(self.intents(histories), dim=-1)
        return lambda items: intents @ self.directions[items].T

    def sketch(self, histories: Ragged) -> Sketch | None:
        """See :class:`Scorer`: products of bf16, where the processor multiplies these several times faster."""
        if not multiplies_bf16():
            return None
        intents = F.normalize(self.intents(histories), dim=-1)
        rounded = intents.bfloat16()

        def rough(items: slice) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            directions = self.directions[items]

            def right(columns: Tensor) -> Tensor:  # sums, not a product of matrices: equal items score equally
                pairs = zip(columns.split(AT_ONCE), intents.split(AT_ONCE), strict=True)
                return torch.cat([(F.embedding(few, directions) * each[:, None]).sum(-1) for few, each in pairs])

            return (rounded @ self._rounded[items].T).float(), right

        return Sketch(rough, BF16_ERROR)

    @cached_property
    def _rounded(self) -> Tensor:
        return self.directions.bfloat16()

    @torch.no_grad()
    def intents(self, histories: Ragged) -> Tensor:
        """``n`` histories -> ``(n, D)``; zero for an empty one."""
        recent = histories.last(self.max_history)
        intents = self.vectors.new_zeros(len(recent), self.vectors.shape[1])
        filled = np.flatnonzero(recent.lengths)
        if len(filled):
            packed = recent if len(filled) == len(recent) else recent.take(filled)
            x = F.embedding(torch.from_numpy(packed.values.astype(np.int64)), self.vectors)
            positions, offsets = torch.from_numpy(packed.position_of_value), torch.from_numpy(packed.offsets)
            intents[torch.from_numpy(filled)] = self._last(x, positions, offsets).float()
        return intents

    @torch.no_grad()
    def extended(self, h: Tensor) -> "VectorScorer":
        """See :class:`Scorer`."""
        if self.admission is None:
            raise ArtifactError(
                "this model cannot admit items by their texts: its vectors are learned for each item (ids), or by a "
                "language model that is not kept (lora, adalora, full), and neighbours joined to them do not help; "
                "ssna, tmlp, tmoe and text-knn can"
            )
        vectors = torch.cat([self.vectors, self.admission(h[: self.layers]).float()])
        return VectorScorer(vectors, self.sequence, self.max_history, self.admission)

    def kept(self, rows: Tensor) -> "VectorScorer":
        """See :class:`Scorer`."""
        return VectorScorer(self.vectors[rows], self.sequence, self.max_history, self.admission)

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        """See :class:`Scorer`."""
        config: Config = {"max_history": self.max_history, "sequence": _describe(self.sequence, SEQUENCES)}
        tensors = {"vectors": self.vectors, **under("sequence.", self.sequence.state_dict())}
        if self.admission is not None:
            config["admission"] = _describe(self.admission, ADAPTERS)
            tensors |= under("admission.", self.admission.state_dict())
        return config, tensors

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "VectorScorer":
        """The inverse of :meth:`state`."""
        sequence = _rebuild(config["sequence"], SEQUENCES, below("sequence.", tensors))
        described = config.get("admission")
        admission = _rebuild(described, ADAPTERS, below("admission.", tensors)) if described else None
        return cls(tensors["vectors"], sequence, config["max_history"], admission)


class Part(NamedTuple):
    """One scorer of a :class:`Blend`: its scores are divided by ``scale``, then weighted by ``weight``."""

    scorer: Scorer
    weight: float
    scale: float


class Blend(Scorer):
    """A convex combination of scorers, each brought to unit deviation first."""

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

        def rough(items: slice) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            read = [sketch.read(items) for sketch in sketches]
            total = read[0][0] * self._shares[0]
            for (scores, _), share in zip(read[1:], self._shares[1:], strict=True):
                total.add_(scores, alpha=share)

            def right(columns: Tensor) -> Tensor:
                parts = [share * exact(columns) for (_, exact), share in zip(read, self._shares, strict=True)]
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


def vector_part(scorer: Scorer) -> VectorScorer | None:
    """The scorer itself, or a blend's first part that has vectors: the model, where neighbours are joined to one."""
    if isinstance(scorer, Blend):
        return next((found for part in scorer.parts if (found := vector_part(part.scorer)) is not None), None)
    return scorer if isinstance(scorer, VectorScorer) else None


def name_of(scorer: Scorer) -> str:
    """What people call a part of a blend."""
    if isinstance(scorer, VectorScorer):
        return "text neighbours" if isinstance(scorer.sequence, RecencyMean) else "model"
    return "item neighbours" if isinstance(scorer, NeighbourScorer) else scorer.kind


SCORERS: dict[str, Any] = {cls.kind: cls for cls in (PopularityScorer, NeighbourScorer, VectorScorer, Blend)}
SEQUENCES: dict[str, type[nn.Module]] = {"sasrec": SASRec, "recency": RecencyMean}


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


def blended(readings: Sequence[Reading], shares: Sequence[float]) -> Reading:
    """The sum of ``readings``, each times its share."""

    def read(items: slice | Tensor) -> Tensor:
        total = readings[0](items).mul_(shares[0])
        for reading, share in zip(readings[1:], shares[1:], strict=True):
            total.add_(reading(items), alpha=share)
        return total

    return read


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix``, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`below`."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _describe(module: nn.Module, table: Mapping[str, type[nn.Module]]) -> Config:
    kind = next(name for name, cls in table.items() if type(module) is cls)
    return {"kind": kind, **cast(Config, module.config)}


def _rebuild(described: Config, table: Mapping[str, type[nn.Module]], weights: Mapping[str, Tensor]) -> nn.Module:
    arguments = dict(described)
    module = table[arguments.pop("kind")](**arguments)
    module.load_state_dict(weights)
    return module
