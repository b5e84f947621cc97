"""Steps that are launched whole, against steps operation by operation: on a CPU with a graph that is made by hand, on a
GPU, where there is one, with the real one."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from ssna.core.errors import TrainingError
from ssna.methods.ease import EaseSettings
from ssna.methods.frozen import FrozenEncoder
from ssna.methods.ids import Ids
from ssna.methods.linear_teacher import LinearTeacher
from ssna.nn.adapter import LayerAdapters
from ssna.nn.sasrec import SASRec
from ssna.runs import resolve
from ssna.training import RunSettings
from ssna.training.batches import Batches
from ssna.training.cuda_graph import CUDAGraphStep, _Captured
from ssna.training.loop import batches_of
from ssna.training.profiler import Profiler
from ssna.training.trainer import Model, Trainer

SMALL = ["dim=8", "sequence.inner=8", "sequence.dropout=0", "training.batch_size=24", "training.precision=fp32"]
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"))


class ByHand:
    """Does again what was done, as a graph would, and leaves the loss where it was."""

    def __init__(self, step, batch, loss) -> None:
        self.step, self.batch, self.loss = step, batch, loss

    def replay(self) -> None:
        self.loss.copy_(self.step(self.batch))


class OnCpu(CUDAGraphStep):
    def _first(self, batch, frame):
        loss = self.step(batch)
        self.captured = _Captured(frame, ByHand(self.step, batch, loss), loss)
        return loss.clone()


@pytest.fixture(scope="module")
def data(random_data):
    return random_data(seed=4)


def settings_of(*assignments: str) -> RunSettings:
    return resolve(method="ids", assignments=[*SMALL, *assignments])


def trainer_of(data, settings: RunSettings, device: str, whole: bool, ids: bool = False) -> tuple[Trainer, Batches]:
    torch.manual_seed(1)
    states = torch.randn(2, len(data.items) + 1, 5)
    states[:, 0] = 0
    adapters = LayerAdapters(2, 5, 8, 2, "gru")
    for adapter in adapters.adapters:
        torch.nn.init.constant_(adapter.route_deviation, 0)
        adapter.route_deviation.requires_grad_(False)
    encoder = Ids(len(data.items), 8) if ids else FrozenEncoder(states, adapters, 8)
    model = Model(encoder, SASRec(8, data.max_history, **settings.sequence.model_dump())).to(device)
    teacher = None if settings.loss.teacher == "none" else LinearTeacher.fit(EaseSettings(ridge=5), data, None, 8)
    batches = batches_of(data, settings, teacher)
    trainer = Trainer(model, settings, total_steps=3 * len(batches))
    if not whole:
        trainer.graph_step = None
    elif device == "cpu":
        trainer.graph_step = OnCpu(trainer._captured_step, torch.device("cpu"), data.max_history)
    return trainer, batches


@pytest.fixture(autouse=True)
def _without_noise(monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)


def taken(trainer: Trainer, batches: Batches, epochs: int = 2) -> Iterator[tuple[float, tuple[int, ...]]]:
    for _ in range(epochs):
        yield from trainer.steps(batches, lambda loss: None)


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("loss", ["in-batch", "in-batch-logq", "batch-items", "sampled", "taught"])
def test_whole_steps_give_the_losses_and_weights_of_single_operations(data, device, loss):
    named = ("loss.teacher=ease", "loss.name=in-batch-logq") if loss == "taught" else (f"loss.name={loss}",)
    settings = settings_of(*named, "loss.samples=3", "batches.ahead=2", "training.decay=true")
    one, of_one = trainer_of(data, settings, device, whole=False)
    other, of_other = trainer_of(data, settings, device, whole=True)
    left, right = list(taken(one, of_one)), list(taken(other, of_other))
    assert [targets for _, targets in left] == [targets for _, targets in right]
    np.testing.assert_allclose([total for total, _ in left], [total for total, _ in right], rtol=1e-4)
    for name, weight in one.model.trainable_state_dict().items():
        torch.testing.assert_close(other.model.trainable_state_dict()[name], weight, rtol=1e-2, atol=1e-4)
    assert one.step == other.step == len(left)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_a_teacher_may_come_and_go_between_epochs(data, device):
    settings = settings_of("loss.name=in-batch-logq", "loss.teacher=ease")
    found = []
    for whole in (False, True):
        trainer, batches = trainer_of(data, settings, device, whole=whole)
        about, losses = batches.teacher, []
        for teacher in (about, None, None, about):
            batches.teacher = teacher
            losses += [total for total, _ in taken(trainer, batches, epochs=1)]
        found.append(losses)
    np.testing.assert_allclose(*found, rtol=1e-4)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_most_batches_find_room_in_the_frame_of_the_one_before(data, device):
    trainer, batches = trainer_of(data, settings_of(), device, whole=True)
    frames = []
    for _ in taken(trainer, batches, epochs=3):
        if not any(trainer.graph_step.captured.frame is frame for frame in frames):
            frames.append(trainer.graph_step.captured.frame)
    assert 1 <= len(frames) < len(batches)


def test_the_next_batch_is_made_ready_before_the_loss_is_asked_for(data):
    trainer, batches = trainer_of(data, settings_of(), "cpu", whole=True)
    fetched = []
    watched = (fetched.append(batch) or batch for batch in batches)
    next(trainer.steps(watched, lambda loss: None))
    assert len(fetched) == 2


def test_no_batch_is_taken_beyond_those_asked_for(data):
    trainer, batches = trainer_of(data, settings_of(), "cpu", whole=True)
    few = [batch for batch, _ in zip(batches, range(3), strict=False)]
    assert len(list(trainer.steps(iter(few), lambda loss: None))) == 3


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_whole_steps_go_on_from_what_was_kept(data, device):
    trainer, batches = trainer_of(data, settings_of("training.warmup=0.5"), device, whole=True)
    epoch = list(batches)
    list(trainer.steps(iter(epoch[:4]), lambda loss: None))
    kept = {name: tensor.clone() for name, tensor in trainer.state_dict().items()}
    unbroken = [total for total, _ in trainer.steps(iter(epoch[4:]), lambda loss: None)]
    again, _ = trainer_of(data, settings_of("training.warmup=0.5"), device, whole=True)
    again.load_state_dict(4, kept)
    resumed = [total for total, _ in again.steps(iter(epoch[4:]), lambda loss: None)]
    np.testing.assert_allclose(resumed, unbroken, rtol=1e-4)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_whole_steps_go_back_to_where_they_began(data, device):
    trainer, batches = trainer_of(data, settings_of("training.warmup=0.5"), device, whole=True)
    begun = {name: tensor.clone() for name, tensor in trainer.state_dict().items()}
    epoch = list(batches)
    first = [total for total, _ in trainer.steps(iter(epoch), lambda loss: None)]
    trainer.load_state_dict(0, begun)
    assert trainer.graph_step.captured is None
    assert [total for total, _ in trainer.steps(iter(epoch), lambda loss: None)] == pytest.approx(first, rel=1e-4)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_a_loss_that_is_not_finite_is_an_error(data, device):
    trainer, batches = trainer_of(data, settings_of(), device, whole=True, ids=True)
    taking = trainer.steps(batches, lambda loss: None)
    next(taking)
    with torch.no_grad():
        trainer.model.encoder.vectors.weight.fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"step 1; lower training\.learning_rate"):
        next(taking)


def test_a_profile_sees_the_parts_of_steps_and_then_leaves_them_whole(data):
    trainer, batches = trainer_of(data, settings_of(), "cpu", whole=True)
    whole, said = trainer.graph_step, []
    profile = Profiler(said.append)
    profile.watch(trainer, len(batches))
    list(trainer.steps(batches, lambda loss: None))
    with profile.evaluation():
        pass
    assert "from the next epoch on, a step is launched whole" in said[0]
    assert trainer.graph_step is whole
    assert whole.captured is None
    list(trainer.steps(batches, lambda loss: None))
    assert whole.captured is not None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize(
    ("assignment", "whole"), [("loss.name=sampled", True), ("loss.name=full", False), ("training.accumulate=2", False)]
)
def test_on_a_gpu_steps_are_whole_where_they_can_be(data, assignment, whole):
    trainer, _ = trainer_of(data, settings_of(assignment), "cuda", whole=True)
    assert (trainer.graph_step is not None) == whole


def test_on_a_cpu_no_step_is_whole(data):
    trainer, _ = trainer_of(data, settings_of(), "cpu", whole=False)
    assert trainer._make_graph_step("in-batch") is None
