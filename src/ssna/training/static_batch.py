"""Batches of one shape in one place, so that a CUDA graph of one step can be launched for many.

A batch is padded with blanks: samples of no one, items that are nobody's candidates, inputs that nobody reads. Its loss
and its gradients stay what they were, but for random numbers.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssna.nn.attention import TILE, Tiles, tile_by
from ssna.nn.padding import MULTIPLE
from ssna.training.batches import Batch

HEADROOM = 8  # a room that grows has an eighth more than the batch that needs it
_ALIGNED = 16  # bytes


class BatchCapacity(NamedTuple):
    """How many of each kind a batch has, or a frame has place for."""

    inputs: int
    samples: int
    targets: int
    """Distinct ones."""
    others: int
    """Items that are inputs alone."""
    draws: int
    tiles: int
    rows: int
    """That a teacher speaks of."""

    @staticmethod
    def of(batch: Batch, tiles: Tiles) -> "BatchCapacity":
        """What ``batch`` has; an input more, so that in a frame one is always a blank."""
        others, draws = batch.in_batch - batch.in_targets, len(batch.unique) - batch.in_batch
        count, _, size, _ = tiles.hidden.shape
        full = count * size == int(tiles.place.max()) + 1
        rows = 0 if batch.teacher_logits is None else len(batch.teacher_logits)
        return BatchCapacity(
            len(batch.inputs) + 1, len(batch.targets), batch.in_targets, others, draws, count + full, rows
        )

    def fits(self, other: "BatchCapacity") -> bool:
        """Whether ``other`` finds place."""
        return all(here >= there for here, there in zip(self, other, strict=True))

    def enlarged(self, other: "BatchCapacity") -> "BatchCapacity":
        """Place for both, and for what is likely to follow."""
        most = BatchCapacity(*map(max, self, other))
        if most == self:
            return self
        roomy = BatchCapacity(*(-(-(count + count // HEADROOM) // MULTIPLE) * MULTIPLE for count in most))
        return roomy._replace(tiles=most.tiles + -(-most.tiles // HEADROOM))


def tiled(batch: Batch, longest: int) -> Tiles:
    """The tiles of a batch, of one size for all batches whose sequences have at most ``longest`` inputs."""
    return tile_by(batch.offsets, max(TILE, longest))


class StaticBatch:
    """A batch on a device whose memory stays where it is: one copy replaces what it holds.

    Args:
        room: for what; every batch that it holds can stand here.
        size: rows of a tile.
        items: how many the catalogue has.
    """

    def __init__(self, room: BatchCapacity, size: int, items: int, device: torch.device) -> None:
        self.capacity = room
        parts = _parts(room, size)
        ends = np.cumsum(
            [-(-np.dtype(kind).itemsize * np.prod(shape) // _ALIGNED) * _ALIGNED for kind, shape in parts.values()]
        )
        starts = dict(zip(parts, [0, *ends.tolist()], strict=False))
        self.block = torch.zeros(int(ends[-1]), dtype=torch.uint8, device=device)
        there = {name: _view(self.block, starts[name], *part) for name, part in parts.items()}
        self.batch = _batch(there, room, items)
        hosts = [torch.zeros(int(ends[-1]), dtype=torch.uint8, pin_memory=device.type == "cuda") for _ in range(2)]
        self.hosts = [
            (host, {name: _view(host, starts[name], *part).numpy() for name, part in parts.items()}) for host in hosts
        ]

    def stage(self, batch: Batch, tiles: Tiles) -> None:
        """Have ``batch`` ready to be sent. The copy before the last one must have ended; the last may be under way."""
        self.hosts.reverse()
        room, (_, at) = self.capacity, self.hosts[0]
        targets, shift = batch.in_targets, room.targets - batch.in_targets  # what is input alone stands further behind
        _put(at["inputs"], batch.inputs)
        _put(at["positions"], batch.positions)
        index = batch.input_index.numpy()
        _put(at["input_index"], np.where(index < targets, index, index + shift))
        _put(at["place"], tiles.place, at["hidden"].shape[0] * at["hidden"].shape[2] - 1)
        _put(at["predict"], batch.predict, room.inputs - 1)
        _put(at["targets"], batch.targets)
        _put(at["target_index"], batch.target_index)
        _put(at["users"], batch.users, room.samples - 1)
        _put(at["weights"], np.ones(len(batch.targets)) if batch.weights is None else batch.weights, 0)
        ends = (room.targets, room.targets + room.others)
        for place, items in zip(
            np.split(at["unique"], ends), np.split(batch.unique.numpy(), (targets, batch.in_batch)), strict=True
        ):
            _put(place, items)
        np.equal(at["unique"], 0, out=at["blank"])
        chances = batch.log_inclusion_prob.numpy()
        _put(at["log_chance"][: room.targets], chances[:targets], np.inf)
        _put(at["log_chance"][room.targets :], chances[targets:], np.inf)
        if batch.teacher_logits is not None and batch.teacher_row is not None:
            at["taught"].fill(0)
            there, taught = at["taught"][: len(batch.teacher_logits)], batch.teacher_logits.numpy()
            there[:, :targets] = taught[:, :targets]
            there[:, room.targets : room.targets + taught.shape[1] - targets] = taught[:, targets:]
            _put(at["row"], batch.teacher_row)
        size = tiles.hidden.shape[-1]
        _put(at["hidden"], tiles.hidden, np.triu(np.ones((size, size), dtype=bool), 1))

    def copy_to_device(self) -> Batch:
        """What was laid, on the device; the copy may still be under way."""
        self.block.copy_(self.hosts[0][0], non_blocking=True)
        return self.batch


def _parts(room: BatchCapacity, size: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Types and shapes of what a step reads."""
    of_input = dict.fromkeys(("inputs", "positions", "input_index", "place"), (np.int64, (room.inputs,)))
    of_sample = dict.fromkeys(("predict", "targets", "target_index", "users"), (np.int64, (room.samples,)))
    items = (room.targets + room.others + room.draws,)
    return {
        **of_input,
        **of_sample,
        "weights": (np.float32, (room.samples,)),
        "unique": (np.int64, items),
        "blank": (np.bool_, items),
        "log_chance": (np.float32, (room.targets + room.draws,)),
        "taught": (np.float32, (room.rows, room.targets + room.draws)),
        "row": (np.int64, (room.samples if room.rows else 0,)),
        "hidden": (np.bool_, (room.tiles, 1, size, size)),
    }


def _view(block: Tensor, start: int, kind: type, shape: tuple[int, ...]) -> Tensor:
    dtype = {np.int64: torch.int64, np.float32: torch.float32, np.bool_: torch.bool}[kind]
    return block[start : start + np.dtype(kind).itemsize * int(np.prod(shape))].view(dtype).view(shape)


def _put(place: NDArray[Any], values: Any, blank: Any = 0) -> None:
    place[: len(values)] = values
    place[len(values) :] = blank


def _batch(at: dict[str, Tensor], room: BatchCapacity, items: int) -> Batch:
    return Batch(
        inputs=at["inputs"],
        positions=at["positions"],
        offsets=at["positions"][:0],  # the tiles say it
        predict=at["predict"],
        targets=at["targets"],
        users=at["users"],
        weights=at["weights"],
        unique=at["unique"],
        in_targets=room.targets,
        in_batch=room.targets + room.others,
        log_inclusion_prob=at["log_chance"],
        items=items,
        input_index=at["input_index"],
        target_index=at["target_index"],
        own=slice(None),
        teacher_logits=at["taught"] if room.rows else None,
        teacher_row=at["row"] if room.rows else None,
        padding_items=at["blank"],
        tiles=Tiles(at["place"], at["hidden"]),
    )
