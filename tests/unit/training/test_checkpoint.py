"""The file that training resumes from: what it holds, and what is said of one that cannot be used."""

import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ssna.core.errors import ArtifactError, SettingsError
from ssna.training.checkpoint import FORMAT, Checkpoint, Position

IDENTITY = {"settings": {"dim": 8}, "data": "f00d"}


@pytest.fixture
def checkpoint(tmp_path) -> Checkpoint:
    """One that was written."""
    made = Checkpoint(tmp_path / "checkpoint", IDENTITY)
    made.write(Position(step=3, discarded_epochs=1, sampler_rng_state={"a": 1}), {"weights.w": torch.arange(4.0)})
    return made


def test_a_checkpoint_gives_back_position_and_tensors(checkpoint):
    position, tensors = checkpoint.read()
    assert position == Position(step=3, discarded_epochs=1, sampler_rng_state={"a": 1})
    assert tensors.keys() == {"weights.w"}
    assert torch.equal(tensors["weights.w"], torch.arange(4.0))


def test_without_a_file_there_is_nothing_to_resume_from(tmp_path):
    assert Checkpoint(tmp_path / "checkpoint", IDENTITY).read() is None


def test_a_removed_checkpoint_is_gone(checkpoint):
    checkpoint.remove()
    checkpoint.remove()
    assert checkpoint.read() is None


def test_a_checkpoint_is_due_when_its_interval_is_over(checkpoint):
    assert not checkpoint.due
    assert Checkpoint(checkpoint.path, IDENTITY, every=0.0).due


@pytest.mark.parametrize("old", ["2", "1", None])
def test_a_checkpoint_of_another_format_says_so_in_one_line(checkpoint, old):
    with safe_open(checkpoint.path, "pt") as file:
        about = {**file.metadata(), "format": old} if old else {"position": "{}"}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, checkpoint.path, about)
    message = f"{checkpoint.path} has format {old!r}, this ssna reads {FORMAT}; delete it"
    with pytest.raises(ArtifactError, match=f"^{re.escape(message)}$"):
        checkpoint.read()


@pytest.mark.parametrize("length", [0, 4, 60])
def test_a_damaged_checkpoint_says_so_in_one_line(checkpoint, length):
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:length])
    with pytest.raises(ArtifactError, match=r"is damaged \(.*\); delete it, and the run begins anew") as caught:
        checkpoint.read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({**IDENTITY, "data": "beef"}, "left by a run with other data; train without resume"),
        ({**IDENTITY, "settings": {}}, "left by a run with other settings; train without resume"),
        ({**IDENTITY, "initial weights": "0123"}, "left by a run with other initial weights; train without resume"),
    ],
)
def test_a_checkpoint_of_another_run_names_what_differs(checkpoint, identity, message):
    with pytest.raises(SettingsError, match=message):
        Checkpoint(checkpoint.path, identity).read()


def test_a_checkpoint_of_more_processes_names_their_number(checkpoint, monkeypatch):
    monkeypatch.setattr("ssna.training.checkpoint.distributed.world_size", lambda: 4)
    other = Checkpoint(checkpoint.path, IDENTITY)
    monkeypatch.undo()
    with pytest.raises(SettingsError, match="left by a run with 1 processes; train without resume"):
        other.read()
