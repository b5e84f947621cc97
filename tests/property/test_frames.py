"""A batch in a frame is the batch: its loss, its gradients, and nothing of the blanks."""

from itertools import zip_longest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssna.core.ragged import Ragged
from ssna.methods.frozen import FrozenEncoder
from ssna.methods.ids import Ids
from ssna.nn.adapter import LayerAdapters
from ssna.nn.attention import TILE
from ssna.nn.losses import LOSSES, distillation
from ssna.nn.sasrec import SASRec
from ssna.training.batches import OBJECTIVES, Batch, shard, collate
from ssna.training.static_batch import StaticBatch, BatchCapacity, tiled
from ssna.training.trainer import Model

ITEMS, LONGEST, DIM = 30, 6, 8
CPU = torch.device("cpu")

histories = st.lists(st.lists(st.integers(1, ITEMS), min_size=2, max_size=12), min_size=1, max_size=8)
formulations = st.sampled_from(sorted(OBJECTIVES))
more = st.tuples(*[st.integers(0, 20)] * 5, st.integers(0, 2), st.integers(0, 20)).map(
    lambda counts: BatchCapacity(*counts)
)
ALL = {**{name: loss for name, loss in LOSSES.items() if name != "full"}, "distillation": distillation}


def taught(events: np.ndarray, items: np.ndarray) -> np.ndarray:
    """A teacher of some opinion."""
    return (3 * np.sin(1.7 * events[:, None] + 0.9 * items)).astype(np.float32)


def batch_of(rows: list[list[int]], formulation: str, draws: int, ahead: int) -> Batch:
    histories = Ragged.from_rows(rows)
    segments = OBJECTIVES[formulation](histories, LONGEST)
    chosen = np.arange(len(segments.user))
    generator = np.random.default_rng(0)
    return shard(collate(histories, segments, chosen, ITEMS, draws, generator, future_targets=ahead, teacher=taught))


def framed(batch: Batch, extra: BatchCapacity) -> Batch:
    """In a frame that has place for so many more of each kind, and has held another batch."""
    tiles = tiled(batch, LONGEST)
    room = BatchCapacity(*map(sum, zip(BatchCapacity.of(batch, tiles), extra, strict=True)))
    frame = StaticBatch(room, tiles.hidden.shape[-1], ITEMS, CPU)
    for host, _ in frame.hosts:
        host.fill_(1)  # what was there does not matter
    frame.stage(batch, tiles)
    return frame.copy_to_device()


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
@given(histories, formulations, st.sampled_from([0, 5, ITEMS]), st.integers(1, 3), more, st.booleans())
@settings(deadline=None, max_examples=25)
def test_blanks_change_neither_the_loss_nor_a_gradient(name, rows, formulation, draws, ahead, extra, ids):
    batch = batch_of(rows, formulation, draws, ahead)
    loss, gradients = loss_and_gradients(batch, name, ids)
    of_padded, gradients_of_padded = loss_and_gradients(framed(batch, extra), name, ids)
    torch.testing.assert_close(of_padded, loss)
    assert gradients.keys() == gradients_of_padded.keys()
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(
            gradients_of_padded[parameter], gradient, rtol=1e-4, atol=1e-5, msg=lambda text, p=parameter: f"{p}: {text}"
        )


@given(histories, formulations, st.integers(0, 5), more)
@settings(deadline=None, max_examples=50)
def test_a_frame_has_the_shapes_of_its_room_and_the_items_of_the_batch(rows, formulation, draws, extra):
    batch = batch_of(rows, formulation, draws, 2)
    room = BatchCapacity(*map(sum, zip(BatchCapacity.of(batch, tiled(batch, LONGEST)), extra, strict=True)))
    full = framed(batch, extra)
    assert (
        BatchCapacity(
            len(full.inputs),
            len(full.targets),
            full.in_targets,
            full.in_batch - full.in_targets,
            len(full.unique) - full.in_batch,
            len(full.tiles.hidden),
            len(full.teacher_logits),
        )
        == room
    )
    assert sorted(full.unique[~full.padding_items].tolist()) == sorted(batch.unique.tolist())
    assert torch.equal(full.unique[full.input_index][: len(batch.inputs)], batch.inputs)
    assert torch.equal(full.unique[full.target_index][: len(batch.targets)], batch.targets)
    assert int((full.weights > 0).sum()) == len(batch.targets)
    real = full.tiles.place[: len(batch.inputs)]
    assert not torch.isin(full.tiles.place[len(batch.inputs) :], real).any()


@given(histories, histories, formulations)
@settings(deadline=None)
def test_a_room_that_has_grown_holds_both_and_does_not_grow_for_what_it_holds(left, right, formulation):
    batches = [batch_of(rows, formulation, 3, 1) for rows in (left, right)]
    needed = [BatchCapacity.of(batch, tiled(batch, LONGEST)) for batch in batches]
    room = needed[0].enlarged(needed[1])
    assert all(room.fits(need) and room.enlarged(need) == room for need in needed)
    assert not room.fits(room._replace(samples=room.samples + 1))


@given(st.lists(histories, min_size=2, max_size=5), formulations, st.integers(1, 2))
@settings(deadline=None, max_examples=25)
def test_a_frame_holds_one_batch_after_another_in_the_same_memory(all_rows, formulation, ahead):
    batches = [batch_of(rows, formulation, 3, ahead) for rows in all_rows]
    room = BatchCapacity(0, 0, 0, 0, 0, 0, 0)
    for batch in batches:
        room = room.enlarged(BatchCapacity.of(batch, tiled(batch, LONGEST)))
    frame = StaticBatch(room, TILE, ITEMS, CPU)
    memory = addresses(frame.batch)
    frame.stage(batches[0], tiled(batches[0], LONGEST))
    for batch, following in zip_longest(batches, batches[1:]):
        there = frame.copy_to_device()
        if following is not None:  # as training does, while the device computes
            frame.stage(following, tiled(following, LONGEST))
        assert addresses(there) == memory
        for name in ("in-batch-logq", "distillation"):
            loss, _ = loss_and_gradients(there, name)
            torch.testing.assert_close(loss, loss_and_gradients(batch, name)[0])


def addresses(batch: Batch) -> list[int]:
    return [value.data_ptr() for value in vars(batch).values() if isinstance(value, Tensor)]
