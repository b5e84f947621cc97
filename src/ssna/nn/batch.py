"""One optimizer step in four parts: sequences to read, targets to predict, candidates to rank, and a teacher's logits.

Where processes share a step, sequences and the teacher's logits are of this process alone; targets and candidates are
of the whole step. A padded batch (see :mod:`ssna.training.static_batch`) has padding items and padding samples.
"""

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from ssna.nn.attention import Tiles


@dataclass(frozen=True, eq=False)
class Sequences:
    """Packed inputs of the sequence model.

    Attributes:
        items: ``(N,)`` item rows.
        positions: ``(N,)`` position in its sequence, from 0.
        offsets: ``(B + 1,)`` where sequences begin.
        index: ``(N,)``, ``items = candidates.items[index]``.
        tiles: where the inputs are for attention, if that is known.
    """

    items: Tensor
    positions: Tensor
    offsets: Tensor
    index: Tensor
    tiles: Tiles | None = None

    def shard(self, segments: slice) -> "Sequences":
        """Those between two ``offsets``, ``segments`` being the slice of these with both ends."""
        offsets = self.offsets[segments]
        inputs = slice(int(offsets[0]), int(offsets[-1]))
        return Sequences(self.items[inputs], self.positions[inputs], offsets - inputs.start, self.index[inputs])


@dataclass(frozen=True, eq=False)
class Targets:
    """Samples: an input, and an item that follows it.

    Attributes:
        items: ``(P,)`` item rows; 0 for a padding sample.
        index: ``(P,)``, ``items = candidates.items[index]``.
        input_row: ``(p,)`` the packed input after which each is predicted; p = P unless processes share the step. An
            input occurs once for each of its targets.
        users: ``(P,)`` whose sample each is, numbered from 0, below P; None: no two are of one user.
        weights: ``(P,)`` what each counts in the mean; None: all alike.
        own: of the P samples, the p of this process.
    """

    items: Tensor
    index: Tensor
    input_row: Tensor
    users: Tensor | None = None
    weights: Tensor | None = None
    own: slice = field(default_factory=lambda: slice(None))

    def __len__(self) -> int:
        return len(self.items)

    @property
    def share(self) -> float:
        """Of the weight of all samples, how much is of this process."""
        if self.weights is None:
            return len(self.input_row) / len(self.items)
        return float(self.weights[self.own].sum() / self.weights.sum())

    def shard(self, start: Tensor, stop: Tensor) -> "Targets":
        """The same samples, of which those that follow the inputs from ``start`` to ``stop`` are of this process."""
        own = slice(*torch.searchsorted(self.input_row, torch.stack([start, stop])).tolist())
        return replace(self, input_row=self.input_row[own] - start, own=own)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The distinct items of a step, each encoded once: targets first, then items that are inputs alone, then random
    negatives.

    Attributes:
        items: ``(U,)`` item rows; 0 for a padding item.
        num_targets: how many, the first ones, are targets.
        num_in_batch: how many are targets or inputs; the others, ``S``, are random negatives.
        log_inclusion_prob: ``(num_targets + S,)`` log of the probability that a step has the item as a target or as a
            random negative.
        catalogue_size: ``I``.
        padding_items: ``(U,)`` True for those; None: there are none.
    """

    items: Tensor
    num_targets: int
    num_in_batch: int
    log_inclusion_prob: Tensor | None = None
    catalogue_size: int = 0
    padding_items: Tensor | None = None

    def contrasted(self, rows: Tensor) -> Tensor:
        """Of ``rows (U, ...)``, those of targets and random negatives: ``(num_targets + S, ...)``."""
        return torch.cat([rows[: self.num_targets], rows[self.num_in_batch :]])


@dataclass(frozen=True, eq=False)
class TeacherLogits:
    """What a teacher ranks next.

    Attributes:
        logits: ``(R, num_targets + S)`` of targets and random negatives, after each of ``R`` inputs.
        row: ``(p,)`` each own sample's row of ``logits``.
    """

    logits: Tensor
    row: Tensor

    def shard(self, own: slice) -> "TeacherLogits":
        """Of the samples ``own``."""
        row = self.row[own]
        return TeacherLogits(self.logits[int(row[0]) : int(row[-1]) + 1], row - row[0])


@dataclass(frozen=True, eq=False)
class Batch:
    """The parts of one optimizer step."""

    sequences: Sequences
    targets: Targets
    candidates: Candidates
    teacher: TeacherLogits | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch there."""
        return Batch(
            _moved(self.sequences, device),
            _moved(self.targets, device),
            _moved(self.candidates, device),
            None if self.teacher is None else _moved(self.teacher, device),
        )

    def shard(self, segments: slice) -> "Batch":
        """The sequences ``segments`` (see :meth:`Sequences.shard`) and their samples as this process's own."""
        targets = self.targets.shard(*self.sequences.offsets[segments][[0, -1]])
        teacher = None if self.teacher is None else self.teacher.shard(targets.own)
        return Batch(self.sequences.shard(segments), targets, self.candidates, teacher)


PartT = TypeVar("PartT", Sequences, Targets, Candidates, TeacherLogits)


def _moved(part: PartT, device: torch.device) -> PartT:
    tensors: dict[str, Any] = {name: v.to(device) for name, v in vars(part).items() if isinstance(v, Tensor)}
    return replace(part, **tensors)
