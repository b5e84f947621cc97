"""CUDA graph steps against eager steps: on a CPU with a graph that is made by hand, on a GPU, where there is one, with
the real one."""

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
from ssna.nn.losses import Loss
from ssna.nn.sasrec import SASRec
from ssna.runs import resolve
from ssna.training import RunSettings
from ssna.training.batches import Batches, Teacher
from ssna.training.cuda_graph import CUDAGraphStep, _Captured
from ssna.training.loop import batches_of
from ssna.training.profiler import Profiler
from ssna.training.trainer import Model, Trainer, TrainerHooks

SMALL = ["dim=8", "sequence.ffn_dim=8", "sequence.dropout=0", "training.batch_size=24", "training.precision=fp32"]
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"))


class FakeGraph:
    """Does again what was done, as a graph would, and leaves the loss where it was."""

    def __init__(self, step, batch, loss) -> None:
        self.step, self.batch, self.loss = step, batch, loss

    def replay(self) -> None:
        self.loss.copy_(self.step(self.batch))


class GraphStepOnCpu(CUDAGraphStep):
    def _first(self, batch, static_batch):
        loss = self.step(batch)
        self.captured = _Captured(static_batch, FakeGraph(self.step, batch, loss), loss)
        return loss.clone()


@pytest.fixture(scope="module")
def data(random_data):
    return random_data(seed=4)


def settings_of(*assignments: str) -> RunSettings:
    return resolve(method="ids", settings=[*SMALL, *assignments])


def trainer_of(
    data, settings: RunSettings, device: str, graph: bool, ids: bool = False, hooks: TrainerHooks | None = None
) -> tuple[Trainer, Batches]:
    torch.manual_seed(1)
    states = torch.randn(2, len(data.items) + 1, 5)
    states[:, 0] = 0
    adapters = LayerAdapters(2, 5, 8, 2, "gru")
    for adapter in adapters.adapters:
        torch.nn.init.constant_(adapter.route_deviation, 0)
        adapter.route_deviation.requires_grad_(False)
    encoder = Ids(len(data.items), 8) if ids else FrozenEncoder(states, adapters, 8)
    model = Model(encoder, SASRec(8, data.max_history, **settings.sequence.model_dump())).to(device)
    batches = batches_of(data, settings)
    loss = Loss(settings.loss.name, settings.loss.temperature, settings.distillation.weight)
    trainer = Trainer(model, settings.training, loss, total_steps=3 * len(batches), hooks=hooks)
    if not graph:
        trainer.graph_step = None
    elif device == "cpu":
        trainer.graph_step = GraphStepOnCpu(trainer._captured_step, torch.device("cpu"), data.max_history)
    return trainer, batches


@pytest.fixture(autouse=True)
def _without_noise(monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)


def teacher_of(data) -> Teacher:
    return LinearTeacher.fit(EaseSettings(ridge=5), data, None, 8).logits


def steps_of(
    trainer: Trainer, batches: Batches, epochs: int = 2, teacher: Teacher | None = None
) -> Iterator[tuple[float, tuple[int, ...]]]:
    for _ in range(epochs):
        yield from trainer.steps(batches.epoch(teacher), lambda loss: None)


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("loss", ["in-batch", "in-batch-logq", "sampled", "distillation"])
def test_cuda_graph_steps_give_the_losses_and_weights_of_eager_steps(data, device, loss):
    teacher = teacher_of(data) if loss == "distillation" else None
    name = f"loss.name={'in-batch-logq' if teacher else loss}"
    settings = settings_of(name, "loss.num_negatives=3", "training.future_targets=2", "training.lr_schedule=cosine")
    one, of_one = trainer_of(data, settings, device, graph=False)
    other, of_other = trainer_of(data, settings, device, graph=True)
    left, right = (list(steps_of(*pair, teacher=teacher)) for pair in ((one, of_one), (other, of_other)))
    assert [targets for _, targets in left] == [targets for _, targets in right]
    np.testing.assert_allclose([total for total, _ in left], [total for total, _ in right], rtol=1e-4)
    for name, weight in one.model.trainable_state_dict().items():
        torch.testing.assert_close(other.model.trainable_state_dict()[name], weight, rtol=1e-2, atol=1e-4)
    assert one.step == other.step == len(left)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_a_teacher_may_come_and_go_between_epochs(data, device):
    teacher, found = teacher_of(data), []
    for graph in (False, True):
        trainer, batches = trainer_of(data, settings_of("loss.name=in-batch-logq"), device, graph=graph)
        losses = []
        for of_epoch in (teacher, None, None, teacher):
            losses += [total for total, _ in steps_of(trainer, batches, epochs=1, teacher=of_epoch)]
        found.append(losses)
    np.testing.assert_allclose(*found, rtol=1e-4)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_most_batches_fit_the_static_batch_of_the_one_before(data, device):
    trainer, batches = trainer_of(data, settings_of(), device, graph=True)
    static_batches = []
    for _ in steps_of(trainer, batches, epochs=3):
        if not any(trainer.graph_step.captured.static_batch is known for known in static_batches):
            static_batches.append(trainer.graph_step.captured.static_batch)
    assert 1 <= len(static_batches) < len(batches)


def test_the_next_batch_is_staged_before_the_loss_is_read(data):
    trainer, batches = trainer_of(data, settings_of(), "cpu", graph=True)
    fetched = []
    watched = (fetched.append(batch) or batch for batch in batches)
    next(trainer.steps(watched, lambda loss: None))
    assert len(fetched) == 2


def test_no_batch_is_staged_beyond_those_given(data):
    trainer, batches = trainer_of(data, settings_of(), "cpu", graph=True)
    few = [batch for batch, _ in zip(batches, range(3), strict=False)]
    assert len(list(trainer.steps(iter(few), lambda loss: None))) == 3


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_cuda_graph_steps_resume_from_a_state_dict(data, device):
    trainer, batches = trainer_of(data, settings_of("training.warmup_ratio=0.5"), device, graph=True)
    epoch = list(batches)
    list(trainer.steps(iter(epoch[:4]), lambda loss: None))
    kept = {name: tensor.clone() for name, tensor in trainer.state_dict().items()}
    unbroken = [total for total, _ in trainer.steps(iter(epoch[4:]), lambda loss: None)]
    again, _ = trainer_of(data, settings_of("training.warmup_ratio=0.5"), device, graph=True)
    again.load_state_dict(4, kept)
    resumed = [total for total, _ in again.steps(iter(epoch[4:]), lambda loss: None)]
    np.testing.assert_allclose(resumed, unbroken, rtol=1e-4)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_cuda_graph_steps_restart_from_the_initial_state_dict(data, device):
    trainer, batches = trainer_of(data, settings_of("training.warmup_ratio=0.5"), device, graph=True)
    initial = {name: tensor.clone() for name, tensor in trainer.state_dict().items()}
    epoch = list(batches)
    first = [total for total, _ in trainer.steps(iter(epoch), lambda loss: None)]
    trainer.load_state_dict(0, initial)
    assert trainer.graph_step.captured is None
    assert [total for total, _ in trainer.steps(iter(epoch), lambda loss: None)] == pytest.approx(first, rel=1e-4)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_a_loss_that_is_not_finite_is_an_error_in_a_cuda_graph_step(data, device):
    trainer, batches = trainer_of(data, settings_of(), device, graph=True, ids=True)
    taking = trainer.steps(batches, lambda loss: None)
    next(taking)
    with torch.no_grad():
        trainer.model.encoder.vectors.weight.fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"step 1; lower training\.learning_rate"):
        next(taking)


def test_a_profiler_makes_steps_eager_until_it_is_done(data):
    said: list[str] = []
    profiler = Profiler(said.append)
    trainer, batches = trainer_of(data, settings_of(), "cpu", graph=True, hooks=profiler)
    graph_step = trainer.graph_step
    profiler.watch(trainer, len(batches))
    list(trainer.steps(batches, lambda loss: None))
    with profiler.evaluation():
        pass
    assert "from the next epoch on, a step is launched whole" in said[0]
    assert trainer.graph_step is graph_step
    assert graph_step.captured is None
    list(trainer.steps(batches, lambda loss: None))
    assert graph_step.captured is not None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize(
    ("assignment", "captured"),
    [("loss.name=sampled", True), ("loss.name=full", False), ("training.gradient_accumulation_steps=2", False)],
)
def test_on_a_gpu_steps_are_cuda_graphs_where_they_can_be(data, assignment, captured):
    trainer, _ = trainer_of(data, settings_of(assignment), "cuda", graph=True)
    assert (trainer.graph_step is not None) == captured


def test_on_a_cpu_no_step_is_a_cuda_graph(data):
    trainer, _ = trainer_of(data, settings_of(), "cpu", graph=False)
    assert trainer._make_graph_step() is None
