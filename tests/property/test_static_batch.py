"""A batch in a static batch is the batch: its loss and its gradients, whatever the padding."""

from itertools import zip_longest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from soak import examples
from ssna.core.ragged import Ragged
from ssna.methods.frozen import FrozenEncoder
from ssna.methods.ids import Ids
from ssna.nn.adapter import LayerAdapters
from ssna.nn.attention import TILE
from ssna.nn.batch import Batch
from ssna.nn.losses import LOSSES, distillation
from ssna.nn.sasrec import SASRec
from ssna.training.batches import OBJECTIVES, collate, shard
from ssna.training.static_batch import BatchCapacity, StaticBatch, tiled
from ssna.training.trainer import Model

pytestmark = pytest.mark.slow

ITEMS, LONGEST, DIM = 30, 6, 8
CPU = torch.device("cpu")

histories = st.lists(st.lists(st.integers(1, ITEMS), min_size=2, max_size=12), min_size=1, max_size=8)
objectives = st.sampled_from(sorted(OBJECTIVES))
more = st.tuples(*[st.integers(0, 20)] * 5, st.integers(0, 2), st.integers(0, 20)).map(
    lambda counts: BatchCapacity(*counts)
)
ALL = {**{name: loss for name, loss in LOSSES.items() if name != "full"}, "distillation": distillation}


def teacher(events: np.ndarray, items: np.ndarray) -> np.ndarray:
    """A teacher of some opinion."""
    return (3 * np.sin(1.7 * events[:, None] + 0.9 * items)).astype(np.float32)


def batch_of(rows: list[list[int]], objective: str, num_negatives: int, future_targets: int) -> Batch:
    histories = Ragged.from_rows(rows)
    segments = OBJECTIVES[objective](histories, LONGEST)
    chosen = np.arange(len(segments.user))
    generator = np.random.default_rng(0)
    batch = collate(
        histories, segments, chosen, ITEMS, num_negatives, generator, future_targets=future_targets, teacher=teacher
    )
    return shard(batch)


def padded(batch: Batch, extra: BatchCapacity) -> Batch:
    """In a static batch whose capacity is so much larger, and that has held another batch."""
    tiles = tiled(batch, LONGEST)
    capacity = BatchCapacity(*map(sum, zip(BatchCapacity.of(batch, tiles), extra, strict=True)))
    static_batch = StaticBatch(capacity, tiles.hidden.shape[-1], ITEMS, CPU)
    for host, _ in static_batch.hosts:
        host.fill_(1)  # what was there does not matter
    static_batch.stage(batch, tiles)
    return static_batch.copy_to_device()


def model(ids: bool) -> Model:
    """Without anything random: what it gives a batch depends on the batch alone."""
    torch.manual_seed(0)
    states = torch.randn(2, ITEMS + 1, 5)
    states[:, 0] = 0
    encoder = Ids(ITEMS, DIM) if ids else FrozenEncoder(states, LayerAdapters(2, 5, DIM, 2, "gru"), DIM)
    return Model(encoder, SASRec(DIM, LONGEST, 2, 2, 8, 0.5)).double().eval()


def loss_and_gradients(batch: Batch, name: str, ids: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    one = model(ids)
    loss = ALL[name](one(batch), 0.3)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in one.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ALL)
@given(histories, objectives, st.sampled_from([0, 5, ITEMS]), st.integers(1, 3), more, st.booleans())
@settings(deadline=None, max_examples=examples(25))
def test_padding_changes_neither_the_loss_nor_a_gradient(
    name, rows, objective, num_negatives, future_targets, extra, ids
):
    batch = batch_of(rows, objective, num_negatives, future_targets)
    loss, gradients = loss_and_gradients(batch, name, ids)
    of_padded, gradients_of_padded = loss_and_gradients(padded(batch, extra), name, ids)
    torch.testing.assert_close(of_padded, loss)
    assert gradients.keys() == gradients_of_padded.keys()
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(
            gradients_of_padded[parameter], gradient, rtol=1e-4, atol=1e-5, msg=lambda text, p=parameter: f"{p}: {text}"
        )


@given(histories, objectives, st.integers(0, 5), more)
@settings(deadline=None, max_examples=examples(50))
def test_a_static_batch_has_the_shapes_of_its_capacity_and_the_items_of_the_batch(
    rows, objective, num_negatives, extra
):
    batch = batch_of(rows, objective, num_negatives, 2)
    capacity = BatchCapacity(*map(sum, zip(BatchCapacity.of(batch, tiled(batch, LONGEST)), extra, strict=True)))
    full = padded(batch, extra)
    assert (
        BatchCapacity(
            len(full.sequences.items),
            len(full.targets),
            full.candidates.num_targets,
            full.candidates.num_in_batch - full.candidates.num_targets,
            len(full.candidates.items) - full.candidates.num_in_batch,
            len(full.sequences.tiles.hidden),
            len(full.teacher.logits),
        )
        == capacity
    )
    items, inputs, samples = full.candidates.items, len(batch.sequences.items), len(batch.targets)
    assert sorted(items[~full.candidates.padding_items].tolist()) == sorted(batch.candidates.items.tolist())
    assert torch.equal(items[full.sequences.index][:inputs], batch.sequences.items)
    assert torch.equal(items[full.targets.index][:samples], batch.targets.items)
    assert int((full.targets.weights > 0).sum()) == samples
    place = full.sequences.tiles.place
    assert not torch.isin(place[inputs:], place[:inputs]).any()


@given(histories, histories, objectives)
@settings(deadline=None)
def test_an_enlarged_capacity_fits_both_batches_and_is_not_enlarged_for_what_fits(left, right, objective):
    batches = [batch_of(rows, objective, 3, 1) for rows in (left, right)]
    needed = [BatchCapacity.of(batch, tiled(batch, LONGEST)) for batch in batches]
    capacity = needed[0].enlarged(needed[1])
    assert all(capacity.fits(need) and capacity.enlarged(need) == capacity for need in needed)
    assert not capacity.fits(capacity._replace(samples=capacity.samples + 1))


@given(st.lists(histories, min_size=2, max_size=5), objectives, st.integers(1, 2))
@settings(deadline=None, max_examples=examples(25))
def test_a_static_batch_holds_one_batch_after_another_in_the_same_memory(all_rows, objective, future_targets):
    batches = [batch_of(rows, objective, 3, future_targets) for rows in all_rows]
    capacity = BatchCapacity(0, 0, 0, 0, 0, 0, 0)
    for batch in batches:
        capacity = capacity.enlarged(BatchCapacity.of(batch, tiled(batch, LONGEST)))
    static_batch = StaticBatch(capacity, TILE, ITEMS, CPU)
    memory = addresses(static_batch.batch)
    static_batch.stage(batches[0], tiled(batches[0], LONGEST))
    for batch, following in zip_longest(batches, batches[1:]):
        there = static_batch.copy_to_device()
        if following is not None:  # as training does, while the device computes
            static_batch.stage(following, tiled(following, LONGEST))
        assert addresses(there) == memory
        for name in ("in-batch-logq", "distillation"):
            loss, _ = loss_and_gradients(there, name)
            torch.testing.assert_close(loss, loss_and_gradients(batch, name)[0])


def addresses(batch: Batch) -> list[int]:
    parts = (batch.sequences, batch.targets, batch.candidates, batch.teacher)
    found = [value.data_ptr() for part in parts for value in vars(part).values() if isinstance(value, Tensor)]
    assert len(found) == 14
    return found
