"""Two processes that share a step do what one does that takes all of it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import shared_steps
import torch
from safetensors.torch import load_file
from torch import Tensor
from two_processes import torchrun

from ssna.methods.linear_teacher import LinearTeacher
from ssna.nn import catalogue
from ssna.nn.losses import LOSSES
from ssna.training import batches
from ssna.training.loop import batches_of

Told = Callable[[str], list[dict[str, Tensor]]]


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Told:
    """What both processes got, by name."""
    folder = tmp_path_factory.mktemp("told")
    done = torchrun(Path(shared_steps.__file__), folder)
    assert done.returncode == 0, done.stderr
    return lambda name: [load_file(folder / f"{name}-{rank}.safetensors") for rank in range(2)]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(catalogue, "CHUNK", 7)
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.parametrize("ahead", [1, 3])
@pytest.mark.parametrize("loss", [*LOSSES, "taught"])
def test_losses_and_gradients_are_those_of_one_process_with_the_joined_batch(told, loss, ahead):
    alone = shared_steps.step(loss, ahead)
    for shared in told(f"{loss} {ahead}"):
        assert shared.keys() == alone.keys()
        for name, expected in alone.items():
            assert expected.abs().max() > 0
            scale = expected.abs().max()
            torch.testing.assert_close(shared[name] / scale, expected / scale, rtol=0, atol=2e-6, msg=f"{loss}: {name}")


def test_weights_and_validation_stay_the_same_in_all_processes_and_noise_does_not(told):
    one, other = told("epochs")
    assert [name for name in one if not torch.equal(one[name], other[name])] == ["drawn"]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_parts_of_a_step_are_the_step(monkeypatch, count):
    monkeypatch.setattr(batches.processes, "count", lambda: count)
    teacher = LinearTeacher.fit(shared_steps.EASE, shared_steps.data(), None, shared_steps.DIM)

    def parts(rank: int) -> list[batches.Batch]:
        monkeypatch.setattr(batches.processes, "rank", lambda: rank)
        settings = shared_steps.settings_of("training.batch_size=1", "batches.ahead=2")
        return list(batches_of(shared_steps.data(), settings, teacher))

    of_ranks = [parts(rank) for rank in range(count)]
    monkeypatch.setattr(batches, "own_part", lambda batch: batch)
    for whole, *shares in zip(parts(0), *of_ranks, strict=True):
        assert min(len(share.offsets) for share in shares) > 1
        assert torch.equal(torch.cat([share.inputs for share in shares]), whole.inputs)
        assert torch.equal(torch.cat([share.offsets.diff() for share in shares]), whole.offsets.diff())
        assert torch.equal(torch.cat([whole.targets[share.own] for share in shares]), whole.targets)
        assert torch.equal(torch.cat([share.taught for share in shares]), whole.taught)
        assert torch.equal(torch.cat([share.taught[share.row] for share in shares]), whole.taught[whole.row])
        for share in shares:
            assert share.offsets[[0, -1]].tolist() == [0, len(share.inputs)]
            assert torch.equal(share.unique[share.input_index], share.inputs)
            assert torch.equal(whole.positions[whole.predict][share.own], share.positions[share.predict])


def test_fewer_sequences_than_processes_are_an_error_in_words(monkeypatch):
    monkeypatch.setattr(batches.processes, "count", lambda: 1000)
    with pytest.raises(batches.TrainingError, match=re.escape("cannot be shared by 1000 processes; start fewer")):
        batches_of(shared_steps.data(), shared_steps.settings_of())
