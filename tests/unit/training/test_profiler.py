import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from ssna.core.errors import SettingsError
from ssna.methods import METHODS
from ssna.nn import losses
from ssna.nn.integrate import GruIntegration
from ssna.runs import train
from ssna.runs.recipes import resolve
from ssna.training import fit
from ssna.training import profiler as profiler_module
from ssna.training.profiler import Profiler

pytestmark = pytest.mark.slow

NAP = 0.02
SMALL = ["dim=8", "sequence.ffn_dim=8", "training.batch_size=60", "training.epochs=1", "method.num_experts=2"]


class Slow(torch.autograd.Function):
    """Sleeps forward, and twice as long backward."""

    @staticmethod
    def forward(ctx, x):
        time.sleep(NAP)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        time.sleep(2 * NAP)
        return gradient


@pytest.fixture
def world(random_data: Callable, make_cache: Callable, random_states: Callable) -> tuple:
    data = random_data(seed=6, items=20)
    return data, make_cache(data, random_states(seed=6, items=20))


def fitted(world: tuple, watcher: Profiler | None, *more: str):
    data, cache = world
    settings = resolve(None, "ssna", None, [*SMALL, *more], 0)
    torch.manual_seed(0)
    return fit(METHODS["ssna"].build(settings.method, data, cache, 8), data, settings, profiler=watcher)


def rows(table: str) -> dict[str, list[str]]:
    return {line[:26].strip(): line[26:].split() for line in table.splitlines()[2:]}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(profiler_module, "STEPS", 3)


def test_what_is_slow_in_the_loss_shows_there_forward_and_backward(world, monkeypatch):
    plain, said = losses.LOSSES["in-batch"], []
    monkeypatch.setitem(losses.LOSSES, "in-batch", lambda *given: Slow.apply(plain(*given)))
    fitted(world, Profiler(said.append))
    forward, backward = (float(cell) for cell in rows(said[0])["loss"][:2])
    assert (forward >= NAP * 1e3, backward >= 2 * NAP * 1e3) == (True, True)


def test_what_is_slow_in_a_module_shows_in_its_part_forward_and_backward(world, monkeypatch):
    plain, said = GruIntegration.forward, []
    monkeypatch.setattr(GruIntegration, "forward", lambda self, z: Slow.apply(plain(self, z)))
    fitted(world, Profiler(said.append))
    forward, backward = (float(cell) for cell in rows(said[0])["GRU"][:2])
    assert (forward >= NAP * 1e3, backward >= 2 * NAP * 1e3) == (True, True)


def event(name: str, start: float, end: float, own: float, parent: object = None, number: int = -1) -> SimpleNamespace:
    span = SimpleNamespace(start=start, end=end)
    return SimpleNamespace(
        name=name, time_range=span, cpu_parent=parent, sequence_nr=number, self_cpu_time_total=own * 1e3,
        cpu_time_total=(end - start) * 1e3,
    )  # fmt: skip


def test_time_goes_to_the_innermost_part_and_backward_to_the_part_whose_forward_it_undoes():
    step = event("ssna: step", 0, 100, own=5)
    loss = event("ssna: loss", 10, 40, own=2, parent=step)
    adapters = event("ssna: adapters", 12, 20, own=1, parent=loss)
    product = event("aten::mm", 13, 19, own=7, parent=adapters, number=3)
    without_gradient = event("aten::arange", 21, 22, own=4, parent=loss, number=4)
    gru = event("ssna: GRU", 41, 50, own=1, parent=step)
    sigmoid = event("aten::sigmoid", 42, 48, own=6, parent=gru, number=4)
    back_gru = event("autograd::engine::evaluate_function: SigmoidBackward0", 60, 70, own=2, parent=step, number=4)
    inner = event("aten::sigmoid_backward", 61, 69, own=3, parent=back_gru, number=9)
    again = event("ssna: adapters", 62, 63, own=8, parent=back_gru)
    back_product = event("autograd::engine::evaluate_function: MmBackward0", 71, 80, own=11, parent=step, number=3)
    other = event("autograd::engine::evaluate_function: AccumulateGrad", 81, 90, own=13, parent=step)
    events = [
        other, back_product, again, inner, back_gru, sigmoid, gru, without_gradient, product, adapters, loss, step
    ]  # fmt: skip
    spent = profiler_module._Spent.of(events, torch.device("cpu"))
    assert spent.wall == 100
    assert spent.forward == {"the rest": 5, "loss": 2 + 4, "adapters": 1 + 7, "GRU": 1 + 6}
    assert spent.backward == {"GRU": 2 + 3 + 8, "adapters": 11, "the rest": 13}


def test_every_part_of_a_step_has_a_row_and_all_rows_together_are_the_step(world):
    said: list[str] = []
    fitted(world, Profiler(said.append))
    table = rows(said[0])
    parts = {
        "batches",
        "items, without the above",
        "adapters",
        "GRU",
        "sequence model",
        "loss",
        "optimizer",
        "the rest",
    }
    assert set(table) == {*parts, "all steps", "evaluation"}
    assert sum(int(table[part][-1].rstrip("%")) for part in parts) == pytest.approx(100, abs=6)
    assert all(float(table[part][1]) > 0 for part in ("adapters", "GRU", "sequence model", "loss"))


def test_one_table_is_given_for_the_first_epoch_and_the_weights_are_those_without_a_profiler(world):
    said: list[str] = []
    two = "training.epochs=2"
    watched, unwatched = fitted(world, Profiler(said.append), two), fitted(world, None, two)
    assert len(said) == 1
    assert torch.equal(watched.scorer.vectors, unwatched.scorer.vectors)
    assert [e.loss for e in watched.epochs] == [e.loss for e in unwatched.epochs]


def test_no_hook_is_left_when_the_profiler_is_done(world):
    fit_ = fitted(world, Profiler(lambda table: None))
    modules = [*fit_.sequence.modules(), *fit_.scorer.text_projection.modules()]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)


def test_a_method_without_epochs_cannot_be_profiled(world):
    with pytest.raises(SettingsError, match="item-knn is fitted at once"):
        train(world[0], method="item-knn", profile=True, quiet=True)
