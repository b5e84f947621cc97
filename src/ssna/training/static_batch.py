"""Batches of one shape in one place, so that a CUDA graph of one step can be launched for many.

A batch is padded: samples of no one, items that are nobody's candidates, inputs that nobody reads. Its loss and its
gradients stay what they were, but for random numbers.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssna.nn.attention import TILE, Tiles, tile_by
from ssna.nn.batch import Batch, Candidates, Sequences, Targets, TeacherLogits
from ssna.nn.padding import MULTIPLE

HEADROOM = 8  # a capacity that is enlarged has an eighth more than the batch that needs it
_ALIGNED = 16  # bytes

Arrays = dict[str, NDArray[Any]]


class BatchCapacity(NamedTuple):
    """How many of each kind a batch has, or a static batch can hold."""

    inputs: int
    samples: int
    targets: int
    """Distinct ones."""
    others: int
    """Items that are inputs alone."""
    negatives: int
    tiles: int
    teacher_rows: int

    @staticmethod
    def of(batch: Batch, tiles: Tiles) -> "BatchCapacity":
        """What ``batch`` has; an input more, so that in a static batch one is always padding."""
        candidates = batch.candidates
        others = candidates.num_in_batch - candidates.num_targets
        negatives = len(candidates.items) - candidates.num_in_batch
        count, _, size, _ = tiles.hidden.shape
        full = count * size == int(tiles.place.max()) + 1
        rows = 0 if batch.teacher is None else len(batch.teacher.logits)
        inputs = len(batch.sequences.items) + 1
        return BatchCapacity(inputs, len(batch.targets), candidates.num_targets, others, negatives, count + full, rows)

    def fits(self, other: "BatchCapacity") -> bool:
        """Whether ``other`` can be held."""
        return all(here >= there for here, there in zip(self, other, strict=True))

    def enlarged(self, other: "BatchCapacity") -> "BatchCapacity":
        """Enough for both, and for what is likely to follow."""
        most = BatchCapacity(*map(max, self, other))
        if most == self:
            return self
        roomy = BatchCapacity(*(-(-(count + count // HEADROOM) // MULTIPLE) * MULTIPLE for count in most))
        return roomy._replace(tiles=most.tiles + -(-most.tiles // HEADROOM))


def tiled(batch: Batch, longest: int) -> Tiles:
    """The tiles of a batch, of one size for all batches whose sequences have at most ``longest`` inputs."""
    return tile_by(batch.sequences.offsets, max(TILE, longest))


class StaticBatch:
    """A batch on a device whose memory stays where it is: one copy replaces what it holds.

    Args:
        capacity: every batch that fits can be held here.
        size: inputs of a tile.
        catalogue_size: items of the catalogue.
    """

    def __init__(self, capacity: BatchCapacity, size: int, catalogue_size: int, device: torch.device) -> None:
        self.capacity = capacity
        layout = _layout(capacity, size)
        lengths = [np.dtype(kind).itemsize * int(np.prod(shape)) for kind, shape in layout.values()]
        ends = np.cumsum([-(-length // _ALIGNED) * _ALIGNED for length in lengths])
        starts = dict(zip(layout, [0, *ends.tolist()], strict=False))
        self.block = torch.zeros(int(ends[-1]), dtype=torch.uint8, device=device)
        self.batch = _batch(
            {name: _view(self.block, starts[name], *spec) for name, spec in layout.items()}, capacity, catalogue_size
        )
        hosts = [torch.zeros(int(ends[-1]), dtype=torch.uint8, pin_memory=device.type == "cuda") for _ in range(2)]
        self.hosts = [
            (host, {name: _view(host, starts[name], *spec).numpy() for name, spec in layout.items()}) for host in hosts
        ]

    def stage(self, batch: Batch, tiles: Tiles) -> None:
        """Have ``batch`` ready to be copied to the device. The copy before the last one must have ended; the last may
        be under way."""
        self.hosts.reverse()
        capacity, (_, at) = self.capacity, self.hosts[0]
        _stage_sequences(at, batch, tiles, capacity)
        _stage_targets(at, batch.targets, capacity)
        _stage_candidates(at, batch.candidates, capacity)
        if batch.teacher is not None:
            _stage_teacher(at, batch.teacher, batch.candidates.num_targets, capacity)

    def copy_to_device(self) -> Batch:
        """What was staged, on the device; the copy may still be under way."""
        self.block.copy_(self.hosts[0][0], non_blocking=True)
        return self.batch


def _stage_sequences(at: Arrays, batch: Batch, tiles: Tiles, capacity: BatchCapacity) -> None:
    sequences, num_targets = batch.sequences, batch.candidates.num_targets
    _put(at["sequences.items"], sequences.items)
    _put(at["sequences.positions"], sequences.positions)
    index, shift = sequences.index.numpy(), capacity.targets - num_targets  # inputs alone are further behind here
    _put(at["sequences.index"], np.where(index < num_targets, index, index + shift))
    hidden, size = at["tiles.hidden"], tiles.hidden.shape[-1]
    _put(at["tiles.place"], tiles.place, hidden.shape[0] * size - 1)
    _put(hidden, tiles.hidden, np.triu(np.ones((size, size), dtype=bool), 1))


def _stage_targets(at: Arrays, targets: Targets, capacity: BatchCapacity) -> None:
    assert targets.users is not None, "batches of training say whose each sample is"
    _put(at["targets.items"], targets.items)
    _put(at["targets.index"], targets.index)
    _put(at["targets.input_row"], targets.input_row, capacity.inputs - 1)
    _put(at["targets.users"], targets.users, capacity.samples - 1)
    _put(at["targets.weights"], np.ones(len(targets)) if targets.weights is None else targets.weights, 0)


def _stage_candidates(at: Arrays, candidates: Candidates, capacity: BatchCapacity) -> None:
    assert candidates.log_inclusion_prob is not None, "batches of training carry the probabilities"
    num_targets, items = candidates.num_targets, at["candidates.items"]
    there = np.split(items, (capacity.targets, capacity.targets + capacity.others))
    here = np.split(candidates.items.numpy(), (num_targets, candidates.num_in_batch))
    for place, values in zip(there, here, strict=True):
        _put(place, values)
    np.equal(items, 0, out=at["candidates.padding_items"])
    log_prob = candidates.log_inclusion_prob.numpy()
    _put(at["candidates.log_inclusion_prob"][: capacity.targets], log_prob[:num_targets], np.inf)
    _put(at["candidates.log_inclusion_prob"][capacity.targets :], log_prob[num_targets:], np.inf)


def _stage_teacher(at: Arrays, teacher: TeacherLogits, num_targets: int, capacity: BatchCapacity) -> None:
    at["teacher.logits"].fill(0)
    there, logits = at["teacher.logits"][: len(teacher.logits)], teacher.logits.numpy()
    there[:, :num_targets] = logits[:, :num_targets]
    there[:, capacity.targets : capacity.targets + logits.shape[1] - num_targets] = logits[:, num_targets:]
    _put(at["teacher.row"], teacher.row)


def _layout(capacity: BatchCapacity, size: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Types and shapes of what a step reads, by part and attribute."""
    input_, sample = (np.int64, (capacity.inputs,)), (np.int64, (capacity.samples,))
    items = (capacity.targets + capacity.others + capacity.negatives,)
    contrasted = capacity.targets + capacity.negatives
    return {
        **dict.fromkeys(("sequences.items", "sequences.positions", "sequences.index", "tiles.place"), input_),
        **dict.fromkeys(("targets.input_row", "targets.items", "targets.index", "targets.users"), sample),
        "targets.weights": (np.float32, (capacity.samples,)),
        "candidates.items": (np.int64, items),
        "candidates.padding_items": (np.bool_, items),
        "candidates.log_inclusion_prob": (np.float32, (contrasted,)),
        "teacher.logits": (np.float32, (capacity.teacher_rows, contrasted)),
        "teacher.row": (np.int64, (capacity.samples if capacity.teacher_rows else 0,)),
        "tiles.hidden": (np.bool_, (capacity.tiles, 1, size, size)),
    }


def _view(block: Tensor, start: int, kind: type, shape: tuple[int, ...]) -> Tensor:
    dtype = {np.int64: torch.int64, np.float32: torch.float32, np.bool_: torch.bool}[kind]
    return block[start : start + np.dtype(kind).itemsize * int(np.prod(shape))].view(dtype).view(shape)


def _put(place: NDArray[Any], values: Any, padding: Any = 0) -> None:
    place[: len(values)] = values
    place[len(values) :] = padding


def _batch(at: dict[str, Tensor], capacity: BatchCapacity, catalogue_size: int) -> Batch:
    positions = at["sequences.positions"]
    return Batch(
        Sequences(
            at["sequences.items"],
            positions,
            positions[:0],  # where sequences begin, the tiles say
            at["sequences.index"],
            Tiles(at["tiles.place"], at["tiles.hidden"]),
        ),
        Targets(
            at["targets.items"],
            at["targets.index"],
            at["targets.input_row"],
            at["targets.users"],
            at["targets.weights"],
        ),
        Candidates(
            at["candidates.items"],
            capacity.targets,
            capacity.targets + capacity.others,
            at["candidates.log_inclusion_prob"],
            catalogue_size,
            at["candidates.padding_items"],
        ),
        TeacherLogits(at["teacher.logits"], at["teacher.row"]) if capacity.teacher_rows else None,
    )
