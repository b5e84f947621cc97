"""Histories to packed batches, in the two formulations of one objective."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssna.compute import distributed
from ssna.core.errors import TrainingError
from ssna.core.ragged import Ints, Ragged
from ssna.nn.attention import Tiles

Teacher = Callable[[Ints, Ints], NDArray[np.float32]]
"""Events, as places in the values of all histories, ``(R,)``, and distinct items ``(C,)`` -> ``(R, C)`` logits of these
as what follows."""

DISCOUNT = np.float32(0.5)  # what an event counts as a target, for each step that it is further ahead


@dataclass(frozen=True, eq=False)
class Segments:
    """Stretches of histories. Row ``p`` of a segment, once read, predicts the event after it.

    Attributes:
        user: ``(S,)`` rows of the histories.
        start, stop: ``(S,)`` the inputs are events ``start`` to ``stop``, exclusive, of that user.
        fresh: ``(S,)`` the last so many inputs carry a loss; the others are context only.
    """

    user: Ints
    start: Ints
    stop: Ints
    fresh: Ints


def autoregressive(histories: Ragged, max_history: int) -> Segments:
    """One segment a user; a history of more than ``max_history`` inputs gets several, each half as long apart.

    Each event but the first of a history is a target once, with at least half of ``max_history`` inputs before it
    as far as the history has them.
    """
    inputs = histories.lengths - 1
    stride = max(max_history // 2, 1)
    count = np.where(inputs > 0, 1 + np.maximum(-(-(inputs - max_history) // stride), 0), 0)
    user = np.repeat(np.arange(len(histories)), count)
    last_first = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
    stop = inputs[user] - last_first * stride
    start = np.maximum(stop - max_history, 0)
    earliest = last_first == count[user] - 1
    return Segments(user, start, stop, np.where(earliest, stop - start, stride))


def prefix(histories: Ragged, max_history: int) -> Segments:
    """One segment a target, holding the at most ``max_history`` events before it (the paper's sub-sequences)."""
    targets = np.flatnonzero(histories.position_of_value > 0)
    stop = histories.position_of_value[targets]
    start = np.maximum(stop - max_history, 0)
    return Segments(histories.row_of_value[targets], start, stop, np.ones_like(stop))


OBJECTIVES: dict[str, Callable[[Ragged, int], Segments]] = {"prefixes": prefix, "causal": autoregressive}


@dataclass(frozen=True, eq=False)
class Batch:
    """Packed segments of one optimizer step.

    Attributes:
        inputs: ``(N,)`` item rows. ``positions (N,)``: place in the segment, from 0. ``offsets (B + 1,)``.
        predict: ``(P,)`` rows that carry a loss. ``targets (P,)``: the item each should give. ``users (P,)``: to whom,
            numbered from 0 in this step. A row stands once for each of its targets.
        weights: ``(P,)`` what each counts; None: all alike.
        unique: ``(U,)`` distinct items, each encoded once: ``in_targets`` targets, then what is input alone, then, from
            ``in_batch`` on, ``S`` random draws. ``items``: how many the catalogue has.
        log_chance: ``(in_targets + S,)`` logarithms of the chances that a step like this one has these items as targets
            or draws.
        input_index: ``(N,)``, ``inputs = unique[input_index]``. ``target_index (P,)`` likewise.
        blank: ``(U,)`` True where ``unique`` stands for no item, in a batch that is padded (see ``frame.py``); the
            samples of no one have the target 0.
        taught: ``(R, in_targets + S)`` what a teacher says of these items as what follows on each of ``R`` rows, as
            logits; None: nobody teaches. ``row (P,)``: each sample's row among them.
        tiles: where ``inputs`` stand for attention, if that is known.
        own: the targets whose segments stand here. Where processes share a step, ``inputs``, ``positions``,
            ``offsets``, ``predict`` and ``input_index`` are of these segments alone, all else is of the whole step.
    """

    inputs: Tensor
    positions: Tensor
    offsets: Tensor
    predict: Tensor
    targets: Tensor
    users: Tensor
    weights: Tensor | None
    unique: Tensor
    in_targets: int
    in_batch: int
    log_inclusion_prob: Tensor
    items: int
    input_index: Tensor
    target_index: Tensor
    own: slice
    teacher_logits: Tensor | None = None
    teacher_row: Tensor | None = None
    padding_items: Tensor | None = None
    tiles: Tiles | None = None

    @property
    def share(self) -> float:
        """Of the step's targets, how much of their weight has its segments here."""
        if self.weights is None:
            return len(self.predict) / len(self.targets)
        return float(self.weights[self.own].sum() / self.weights.sum())

    def to(self, device: torch.device) -> "Batch":
        """The same batch there."""
        values: dict[str, Any] = {name: v.to(device) if isinstance(v, Tensor) else v for name, v in vars(self).items()}
        return Batch(**values)


def inclusion_counts(histories: Ragged, segments: Segments, items: int, future_targets: int = 1) -> Ints:
    """``(2, items + 1)`` in how many of ``segments`` each item is a target, and in how many it stands at all."""
    first, events = histories.offsets[segments.user], len(histories.values) + 1
    end = first + np.minimum(segments.stop + future_targets, histories.lengths[segments.user])
    ended = np.cumsum(np.bincount(end, minlength=events))[:-1]  # segments that end at an event or before it
    item_of_user = histories.row_of_value.astype(np.int64) * (items + 1) + histories.values
    order = np.argsort(item_of_user, kind="stable")
    again = np.flatnonzero(np.diff(item_of_user[order]) == 0)
    earlier, later = order[again], order[again + 1]  # an event, and the next one of the same user and item
    found = []
    for begin in (first + segments.stop - segments.fresh + 1, first + segments.start):
        begun = np.cumsum(np.bincount(begin, minlength=events))[:-1]
        over = begun - ended  # how many segments an event is in
        over[later] -= np.maximum(begun[earlier] - ended[later], 0)  # those that have it already
        found.append(np.bincount(histories.values, weights=over, minlength=items + 1))
    return np.stack(found).astype(np.int64)


def log_inclusion_probs(counts: Ints, segment_share: float, drawn: float) -> NDArray[np.float32]:
    """``(n,)`` logarithms of the chances that items are targets in a step, or do not stand in it and are drawn.

    Args:
        occurring: ``(2, n)`` see :func:`occurrences`.
        share: of all segments, how many stand in the step.
        drawn: of the items that do not stand in the step, how many are drawn.
    """
    no_target, absent = (1.0 - segment_share) ** counts
    chances: NDArray[np.float32] = np.log(1 - no_target + absent * drawn).astype(np.float32)
    return chances


def collate(
    histories: Ragged,
    segments: Segments,
    chosen: Ints,
    items: int,
    num_negatives: int,
    rng: np.random.Generator,
    counts: Ints | None = None,
    future_targets: int = 1,
    segment_share: float | None = None,
    teacher: Teacher | None = None,
) -> Batch:
    """The batch of ``segments[chosen]``, with ``samples`` random items (fewer if the catalogue runs out).

    Args:
        occurring: what :func:`occurrences` gives, if it is known.
        ahead: every row predicts the next so many events of its user, as far as there are.
        share: the chance of each segment to stand in a step; None: as many as stand in this one.
        teacher: says what follows on every row.
    """
    start, stop = segments.start[chosen], segments.stop[chosen]
    lengths = stop - start
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    from_end = np.repeat(lengths, lengths) - (np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths))
    user = segments.user[chosen]
    place = np.arange(offsets[-1]) + np.repeat(
        histories.offsets[user] + start - offsets[:-1], lengths
    )  # in `histories`
    inputs = histories.values[place].astype(np.int64)
    rows = np.flatnonzero(from_end <= np.repeat(segments.fresh[chosen], lengths))
    events = place[rows, None] + 1 + np.arange(future_targets)  # (rows, ahead): what each row predicts
    there = events < np.repeat(histories.offsets[user + 1], lengths)[rows, None]
    row, distance = np.nonzero(there)
    predict = rows[row]
    targets = histories.values[events[there]].astype(np.int64)
    distinct, index, in_targets = _distinct(inputs, targets)
    drawn = sample_negatives(distinct, items, num_negatives, rng)
    counts = inclusion_counts(histories, segments, items, future_targets) if counts is None else counts
    contrasted = np.concatenate([distinct[:in_targets], drawn])
    segment_share = len(chosen) / max(len(segments.user), 1) if segment_share is None else segment_share
    drawn_of = len(drawn) / max(items - len(distinct), 1)
    return Batch(
        inputs=torch.from_numpy(inputs),
        positions=torch.from_numpy(np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)),
        offsets=torch.from_numpy(offsets),
        predict=torch.from_numpy(predict),
        targets=torch.from_numpy(targets),
        users=torch.from_numpy(np.unique(np.repeat(user, lengths)[predict], return_inverse=True)[1]),
        weights=None if future_targets == 1 else torch.from_numpy(DISCOUNT ** distance.astype(np.float32)),
        unique=torch.from_numpy(np.concatenate([distinct, drawn])),
        in_targets=in_targets,
        in_batch=len(distinct),
        log_inclusion_prob=torch.from_numpy(log_inclusion_probs(counts[:, contrasted], segment_share, drawn_of)),
        items=items,
        input_index=torch.from_numpy(index[: len(inputs)]),
        target_index=torch.from_numpy(index[len(inputs) :]),
        own=slice(None),
        teacher_logits=None if teacher is None else torch.from_numpy(teacher(place[rows], contrasted)),
        teacher_row=None if teacher is None else torch.from_numpy(row),
    )


def _distinct(inputs: Ints, targets: Ints) -> tuple[Ints, Ints, int]:
    """Distinct items, targets first; where in them ``inputs`` and then ``targets`` are; how many are targets."""
    distinct, index = np.unique(np.concatenate([inputs, targets]), return_inverse=True)
    is_target = np.zeros(len(distinct), dtype=bool)
    is_target[index[len(inputs) :]] = True
    order = np.argsort(~is_target, kind="stable")
    return distinct[order], np.argsort(order)[index], int(is_target.sum())


def sample_negatives(present: Ints, items: int, num_negatives: int, rng: np.random.Generator) -> Ints:
    """At most ``samples`` distinct item rows, uniformly from those not ``present``."""
    if num_negatives == 0:
        return np.zeros(0, dtype=np.int64)
    absent = np.ones(items + 1, dtype=bool)
    absent[0] = False
    absent[present] = False
    rows = np.flatnonzero(absent)
    return rng.choice(rows, size=num_negatives, replace=False, shuffle=False) if num_negatives < len(rows) else rows


def shard(batch: Batch) -> Batch:
    """The segments of a step that this process reads: neighbours, with about as many inputs as any other's.

    Raises:
        TrainingError: there are fewer distinct items to encode than processes.
    """
    if len(batch.unique) < distributed.world_size():
        raise TrainingError(
            f"a step of {len(batch.unique)} items is too small for {distributed.world_size()} processes"
        )
    lengths = batch.offsets.diff().numpy()
    bounds = [*balanced_starts(lengths, distributed.world_size(), 1), len(lengths)]
    segments = slice(bounds[distributed.rank()], bounds[distributed.rank() + 1] + 1)
    offsets = batch.offsets[segments]
    rows = slice(int(offsets[0]), int(offsets[-1]))
    own = slice(*torch.searchsorted(batch.predict, offsets[[0, -1]]).tolist())
    if batch.teacher_logits is not None and batch.teacher_row is not None:
        row = batch.teacher_row[own]
        batch = replace(
            batch, teacher_logits=batch.teacher_logits[int(row[0]) : int(row[-1]) + 1], teacher_row=row - row[0]
        )
    return replace(
        batch,
        inputs=batch.inputs[rows],
        positions=batch.positions[rows],
        offsets=offsets - rows.start,
        predict=batch.predict[own] - rows.start,
        input_index=batch.input_index[rows],
        own=own,
    )


def balanced_starts(sizes: Ints, parts: int, least: int) -> Ints:
    """``(parts,)`` where stretches of about equal sums of ``sizes`` begin, each of ``least`` members at least."""
    part = np.arange(parts)
    first = np.searchsorted((np.cumsum(sizes) - sizes) * parts, part * sizes.sum())
    first = np.maximum.accumulate(first - least * part) + least * part  # none is short of members, however large they
    begin: Ints = np.minimum(first, len(sizes) - least * (parts - part))  # are, and there are as many as planned
    return begin


class Batches:
    """All targets of the training histories, once an epoch, in a new order each time.

    Where several processes train, each goes through the same steps and gets its own part of every one.

    Args:
        batch_size: targets a step, over all processes, of those next in line. Segments are not torn, so steps hold
            about as many.
        ahead: events that each row predicts.
        teacher: says what follows on every row.
        rng: shuffles segments and draws random items; its state must be the same in all processes.
    """

    def __init__(
        self,
        histories: Ragged,
        items: int,
        *,
        objective: str,
        max_history: int,
        batch_size: int,
        num_negatives: int,
        future_targets: int = 1,
        teacher: Teacher | None = None,
        rng: np.random.Generator,
    ) -> None:
        self.histories, self.items, self.num_negatives, self.future_targets, self.rng = (
            histories,
            items,
            num_negatives,
            future_targets,
            rng,
        )
        self.teacher = teacher
        self.segments = OBJECTIVES[objective](histories, max_history)
        self.counts = inclusion_counts(histories, self.segments, items, future_targets)
        if 0 < (found := len(self.segments.user)) < distributed.world_size():
            raise TrainingError(
                f"{found} sequences cannot be shared by {distributed.world_size()} processes; start fewer"
            )
        self.targets = int(self.segments.fresh.sum())
        self.steps = min(max(round(self.targets / batch_size), 1), len(self.segments.user) // distributed.world_size())

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        order = self.rng.permutation(len(self.segments.user))
        first = balanced_starts(self.segments.fresh[order], self.steps, distributed.world_size())
        for chosen in np.split(order, first[1:]):
            known = (
                self.counts,
                self.future_targets,
                1 / self.steps,
            )  # long segments fill a step sooner than short ones
            part = (self.histories, self.segments, chosen, self.items, self.num_negatives, self.rng)
            yield shard(collate(*part, *known, self.teacher))
