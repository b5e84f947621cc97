"""Two processes that share a step do what one does that takes all of it."""

import re
from collections.abc import Callable
from pathlib import Path

import distributed_steps
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from two_processes import torchrun

from ssna.core.errors import TrainingError
from ssna.methods.linear_teacher import LinearTeacher
from ssna.nn import catalogue
from ssna.nn.batch import Batch
from ssna.nn.losses import LOSSES
from ssna.training import batches
from ssna.training.loop import batches_of

pytestmark = [pytest.mark.slow, pytest.mark.fork]
Results = Callable[[str], list[dict[str, Tensor]]]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    """What both processes got, by name."""
    folder = tmp_path_factory.mktemp("results")
    done = torchrun(Path(distributed_steps.__file__), folder)
    assert done.returncode == 0, done.stderr
    return lambda name: [load_file(folder / f"{name}-{rank}.safetensors") for rank in range(2)]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(catalogue, "CHUNK", 7)
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.parametrize("future_targets", [1, 3])
@pytest.mark.parametrize("loss", [*LOSSES, "distillation"])
def test_losses_and_gradients_are_those_of_one_process_with_the_whole_batch(results, loss, future_targets):
    alone = distributed_steps.step(loss, future_targets)
    for shared in results(f"{loss} {future_targets}"):
        assert shared.keys() == alone.keys()
        for name, expected in alone.items():
            assert expected.abs().max() > 0
            scale = expected.abs().max()
            torch.testing.assert_close(shared[name] / scale, expected / scale, rtol=0, atol=2e-6, msg=f"{loss}: {name}")


def test_weights_and_validation_are_the_same_in_all_processes_and_noise_is_not(results):
    one, other = results("epochs")
    assert [name for name in one if not torch.equal(one[name], other[name])] == ["drawn"]


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_the_shards_of_a_step_are_the_step(monkeypatch, world_size):
    monkeypatch.setattr(batches.distributed, "world_size", lambda: world_size)
    teacher = LinearTeacher.fit(distributed_steps.EASE, distributed_steps.data(), None, distributed_steps.DIM)

    def epoch(rank: int) -> list[Batch]:
        monkeypatch.setattr(batches.distributed, "rank", lambda: rank)
        settings = distributed_steps.settings_of("training.batch_size=1", "training.future_targets=2")
        return list(batches_of(distributed_steps.data(), settings).epoch(teacher.logits))

    of_ranks = [epoch(rank) for rank in range(world_size)]
    monkeypatch.setattr(batches, "shard", lambda batch: batch)
    for whole, *shards in zip(epoch(0), *of_ranks, strict=True):
        assert min(len(shard.sequences.offsets) for shard in shards) > 1
        assert torch.equal(torch.cat([shard.sequences.items for shard in shards]), whole.sequences.items)
        lengths = torch.cat([shard.sequences.offsets.diff() for shard in shards])
        assert torch.equal(lengths, whole.sequences.offsets.diff())
        assert torch.equal(torch.cat([whole.targets.items[shard.targets.own] for shard in shards]), whole.targets.items)
        assert torch.equal(torch.cat([shard.teacher.logits for shard in shards]), whole.teacher.logits)
        after_samples = torch.cat([shard.teacher.logits[shard.teacher.row] for shard in shards])
        assert torch.equal(after_samples, whole.teacher.logits[whole.teacher.row])
        positions = whole.sequences.positions[whole.targets.input_row]
        for shard in shards:
            sequences, targets = shard.sequences, shard.targets
            assert sequences.offsets[[0, -1]].tolist() == [0, len(sequences.items)]
            assert torch.equal(shard.candidates.items[sequences.index], sequences.items)
            assert torch.equal(positions[targets.own], sequences.positions[targets.input_row])


def test_fewer_sequences_than_processes_are_an_error_in_words(monkeypatch):
    monkeypatch.setattr(batches.distributed, "world_size", lambda: 1000)
    with pytest.raises(TrainingError, match=re.escape("cannot be shared by 1000 processes; start fewer")):
        batches_of(distributed_steps.data(), distributed_steps.settings_of())
