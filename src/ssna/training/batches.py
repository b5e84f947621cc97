"""Histories to packed batches, under the two objectives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ssna.compute import distributed
from ssna.core.errors import TrainingError
from ssna.core.ragged import Ints, Ragged
from ssna.nn.batch import Batch, Candidates, Sequences, Targets, TeacherLogits

Teacher = Callable[[Ints, Ints], NDArray[np.float32]]
"""Events ``(R,)``, as indices of the values of all histories, and distinct items ``(C,)`` -> ``(R, C)`` logits of these
as what follows."""

DISCOUNT = np.float32(0.5)  # what an event counts as a target, for each step further into the future


@dataclass(frozen=True, eq=False)
class Segments:
    """Runs of events. Input ``p`` of a segment, once read, predicts the event after it.

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


OBJECTIVES: dict[str, Callable[[Ragged, int], Segments]] = {"prefix": prefix, "autoregressive": autoregressive}


def inclusion_counts(histories: Ragged, segments: Segments, items: int, future_targets: int = 1) -> Ints:
    """``(2, items + 1)`` in how many of ``segments`` each item is a target, and in how many it is at all."""
    first, events = histories.offsets[segments.user], len(histories.values) + 1
    end = first + np.minimum(segments.stop + future_targets, histories.lengths[segments.user])
    ended = np.cumsum(np.bincount(end, minlength=events))[:-1]  # segments that end at an event or before it
    item_of_user = histories.row_of_value.astype(np.int64) * (items + 1) + histories.values
    order = np.argsort(item_of_user, kind="stable")
    again = np.flatnonzero(np.diff(item_of_user[order]) == 0)
    earlier, later = order[again], order[again + 1]  # an event, and the next one of the same user and item
    found = []
    for begin in (first + segments.stop - segments.fresh + 1, first + segments.start):
        began = np.cumsum(np.bincount(begin, minlength=events))[:-1]
        over = began - ended  # how many segments an event is in
        over[later] -= np.maximum(began[earlier] - ended[later], 0)  # those that have it already
        found.append(np.bincount(histories.values, weights=over, minlength=items + 1))
    return np.stack(found).astype(np.int64)


def log_inclusion_probs(counts: Ints, segment_share: float, drawn: float) -> NDArray[np.float32]:
    """``(n,)`` log of the probability that an item is a target of a step, or is not in it and is drawn as a negative.

    Args:
        counts: ``(2, n)`` see :func:`inclusion_counts`.
        segment_share: of all segments, how many are in the step.
        drawn: of the items that are not in the step, how many are drawn.
    """
    no_target, absent = (1.0 - segment_share) ** counts
    log_probs: NDArray[np.float32] = np.log(1 - no_target + absent * drawn).astype(np.float32)
    return log_probs


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
    """The batch of ``segments[chosen]``, with ``num_negatives`` random items (fewer if the catalogue runs out).

    Args:
        counts: what :func:`inclusion_counts` gives, if it is known.
        future_targets: every input predicts the next so many events of its user, as far as there are.
        segment_share: the probability of each segment to be in a step; None: as many as are in this one.
        teacher: gives logits of what follows on every input that carries a loss.
    """
    start, lengths = segments.start[chosen], segments.stop[chosen] - segments.start[chosen]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    from_end = np.repeat(lengths, lengths) - (np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths))
    user = segments.user[chosen]
    event = np.arange(offsets[-1]) + np.repeat(histories.offsets[user] + start - offsets[:-1], lengths)
    inputs = histories.values[event].astype(np.int64)
    input_rows = np.flatnonzero(from_end <= np.repeat(segments.fresh[chosen], lengths))
    events = event[input_rows, None] + 1 + np.arange(future_targets)  # (R, future_targets): what each input predicts
    exists = events < np.repeat(histories.offsets[user + 1], lengths)[input_rows, None]
    row, distance = np.nonzero(exists)
    targets = histories.values[events[exists]].astype(np.int64)
    distinct, index, num_targets = _distinct(inputs, targets)
    negatives = sample_negatives(distinct, items, num_negatives, rng)
    counts = inclusion_counts(histories, segments, items, future_targets) if counts is None else counts
    contrasted = np.concatenate([distinct[:num_targets], negatives])
    segment_share = len(chosen) / max(len(segments.user), 1) if segment_share is None else segment_share
    log_prob = log_inclusion_probs(counts[:, contrasted], segment_share, len(negatives) / max(items - len(distinct), 1))
    whose = np.unique(np.repeat(user, lengths)[input_rows[row]], return_inverse=True)[1]
    weights = None if future_targets == 1 else torch.from_numpy(DISCOUNT ** distance.astype(np.float32))
    teacher_logits = None if teacher is None else torch.from_numpy(teacher(event[input_rows], contrasted))
    return Batch(
        Sequences(
            torch.from_numpy(inputs),
            torch.from_numpy(np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)),
            torch.from_numpy(offsets),
            torch.from_numpy(index[: len(inputs)]),
        ),
        Targets(
            torch.from_numpy(targets),
            torch.from_numpy(index[len(inputs) :]),
            torch.from_numpy(input_rows[row]),
            torch.from_numpy(whose),
            weights,
        ),
        Candidates(
            torch.from_numpy(np.concatenate([distinct, negatives])),
            num_targets,
            len(distinct),
            torch.from_numpy(log_prob),
            items,
        ),
        None if teacher_logits is None else TeacherLogits(teacher_logits, torch.from_numpy(row)),
    )


def _distinct(inputs: Ints, targets: Ints) -> tuple[Ints, Ints, int]:
    """Distinct items, targets first; where in them ``inputs`` and then ``targets`` are; how many are targets."""
    distinct, index = np.unique(np.concatenate([inputs, targets]), return_inverse=True)
    is_target = np.zeros(len(distinct), dtype=bool)
    is_target[index[len(inputs) :]] = True
    order = np.argsort(~is_target, kind="stable")
    return distinct[order], np.argsort(order)[index], int(is_target.sum())


def sample_negatives(present: Ints, items: int, num_negatives: int, rng: np.random.Generator) -> Ints:
    """At most ``num_negatives`` distinct item rows, uniformly from those not ``present``."""
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
    count, rank = distributed.world_size(), distributed.rank()
    if (items := len(batch.candidates.items)) < count:
        raise TrainingError(f"a step of {items} items is too small for {count} processes; start fewer")
    lengths = batch.sequences.offsets.diff().numpy()
    bounds = [*balanced_starts(lengths, count, 1), len(lengths)]
    return batch.shard(slice(bounds[rank], bounds[rank + 1] + 1))


def balanced_starts(sizes: Ints, parts: int, least: int) -> Ints:
    """``(parts,)`` where stretches of about equal sums of ``sizes`` begin, each of ``least`` members at least."""
    part = np.arange(parts)
    first = np.searchsorted((np.cumsum(sizes) - sizes) * parts, part * sizes.sum())
    first = np.maximum.accumulate(first - least * part) + least * part  # none is short of members, however large they
    begin: Ints = np.minimum(first, len(sizes) - least * (parts - part))  # are, and there are as many as planned
    return begin


class Batches:
    """All targets of the training histories, once an epoch, in a new order each time.

    Where several processes train, each goes through the same steps and gets its own shard of every one.

    Args:
        objective: a name in ``OBJECTIVES``.
        batch_size: targets a step, over all processes, of those next in line. Segments are not torn, so steps hold
            about as many.
        future_targets: events that each input predicts.
        rng: shuffles segments and samples negatives; its state must be the same in all processes.
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
        rng: np.random.Generator,
    ) -> None:
        self.histories, self.items, self.rng = histories, items, rng
        self.num_negatives, self.future_targets = num_negatives, future_targets
        self.segments = OBJECTIVES[objective](histories, max_history)
        self.counts = inclusion_counts(histories, self.segments, items, future_targets)
        count = distributed.world_size()
        if 0 < (found := len(self.segments.user)) < count:
            raise TrainingError(f"{found} sequences cannot be shared by {count} processes; start fewer")
        self.targets = int(self.segments.fresh.sum())
        self.steps = min(max(round(self.targets / batch_size), 1), len(self.segments.user) // count)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch()

    def epoch(self, teacher: Teacher | None = None) -> Iterator[Batch]:
        """One epoch, in which ``teacher`` gives logits of what follows on every input."""
        order = self.rng.permutation(len(self.segments.user))
        first = balanced_starts(self.segments.fresh[order], self.steps, distributed.world_size())
        for chosen in np.split(order, first[1:]):
            batch = collate(
                self.histories,
                self.segments,
                chosen,
                self.items,
                self.num_negatives,
                self.rng,
                self.counts,
                self.future_targets,
                1 / self.steps,  # long segments fill a step sooner than short ones
                teacher,
            )
            yield shard(batch)
