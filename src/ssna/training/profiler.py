"""Where an epoch's time goes, part by part: marks around the parts of some steps, read by torch's profiler."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.hooks import RemovableHandle

from ssna.methods import ItemEncoder
from ssna.nn.adapter import MLPAdapter, MoEWhiteningAdapter
from ssna.nn.integrate import INTEGRATIONS, GruIntegration
from ssna.nn.sasrec import SASRec
from ssna.training.trainer import Trainer, TrainerHooks

WARM, STEPS = 3, 20  # steps left alone, so that what is set up once does not count; then steps that are profiled
MARK, BACKWARD = "ssna: ", "autograd::engine::evaluate_function"
STEP, REST = "step", "the rest"
PARTS: dict[type[nn.Module] | tuple[type[nn.Module], ...], str] = {
    (MoEWhiteningAdapter, MLPAdapter): "adapters",
    GruIntegration: "GRU",
    tuple(INTEGRATIONS.values()): "integration",
    SASRec: "sequence model",
    ItemEncoder: "items, without the above",  # the gather of states and ids, or a language model that is tuned
}
ORDER = ("batches", "items, without the above", "adapters", "GRU", "integration", "sequence model", "loss", "optimizer")


class Profiler(TrainerHooks):
    """Watches the first epoch of one training, and then says where its time went.

    Args:
        say: gets the table, once.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self.spent, self.steps, self.all_steps = say, _Spent(), 0, 0
        self.eager, self.apart = True, False
        self._warm_up = 0  # steps that are not profiled yet
        self._hooks: list[RemovableHandle] = []
        self._profiler: profile | None = None

    def watch(self, trainer: Trainer, steps: int) -> None:
        """Mark the parts of ``trainer``, whose epochs have ``steps`` optimizer steps."""
        self.all_steps, self.device = steps, trainer.device
        self.apart = trainer.graph_step is not None  # a step that is launched whole has no parts
        for module in trainer.model.modules():
            label = next((label for kinds, label in PARTS.items() if isinstance(module, kinds)), None)
            if label is not None:
                self._mark(module.register_forward_pre_hook, module.register_forward_hook, label)
        optimizer = trainer.optimizer
        self._mark(optimizer.register_step_pre_hook, optimizer.register_step_post_hook, "optimizer")
        self._warm_up = max(min(WARM, self.all_steps - 1), 0)
        if self._warm_up == 0:
            self._start()

    def span(self, name: str) -> AbstractContextManager[object]:
        """A mark while the first epoch lasts."""
        return record_function(MARK + name) if self.eager else nullcontext()

    def on_step_end(self) -> None:
        """Start once the first steps are done, and stop when enough are profiled."""
        if self._profiler is not None:
            self.steps += 1
            if self.steps == STEPS:
                self._stop()
        elif self._warm_up:
            self._warm_up -= 1
            if self._warm_up == 0:
                self._start()

    def on_epoch_end(self) -> None:
        """What was profiled by then is enough."""
        self._stop()

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Around the evaluation after an epoch; the first one is followed by the table."""
        start = time.perf_counter()
        yield
        if self.steps:
            self.say(self.table(time.perf_counter() - start))
            self.steps = 0

    def table(self, evaluation: float) -> str:
        """Milliseconds a step and seconds an epoch of each part; ``evaluation`` in seconds."""
        wall = self.spent.wall / self.steps
        header = f"{'':26}{'forward':>10}{'backward':>10}{'an epoch':>11}"
        lines = [f"an epoch has {self.all_steps} steps; {self.steps} were profiled on {self.device}, in ms:", header]
        if self.apart:
            lines.insert(1, "they were launched part by part; from the next epoch on, a step is launched whole")
        labels = [label for label in (*ORDER, REST) if label in self.spent.forward or label in self.spent.backward]
        for label in labels:
            there, back = (spent.get(label, 0.0) / self.steps for spent in (self.spent.forward, self.spent.backward))
            lines.append(_line(label, there, back, self.all_steps, wall))
        if (idle := wall - self.spent.total / self.steps) > 0 and self.device.type == "cuda":
            lines.append(_line("device idle", idle, 0.0, self.all_steps, wall))
        lines.append(f"{'all steps':46}{wall * self.all_steps / 1e3:9.2f} s")
        lines.append(f"{'evaluation':46}{evaluation:9.2f} s")
        return "\n".join(lines)

    def _mark(self, before: Callable[..., Any], after: Callable[..., Any], label: str) -> None:
        entered: list[record_function] = []

        def enter(*_: Any) -> None:
            entered.append(record_function(MARK + label))
            entered[-1].__enter__()

        def leave(*_: Any) -> None:
            entered.pop().__exit__(None, None, None)

        self._hooks += [before(enter), after(leave)]

    def _start(self) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the library under torch's profiler talks to standard error
        cuda = [ProfilerActivity.CUDA] if self.device.type == "cuda" else []
        self._profiler = profile(activities=[ProfilerActivity.CPU, *cuda], acc_events=True)
        self._profiler.start()

    def _stop(self) -> None:
        if self._profiler is not None:
            self._profiler.stop()
            events = self._profiler.events() or []
            self.spent = _Spent.of([event for event in events if event.device_type.name == "CPU"], self.device)
            self._profiler = None
        self.eager, self._warm_up = False, 0
        while self._hooks:
            self._hooks.pop().remove()


class _Spent:
    """Milliseconds of each part, by label.

    A step of backward belongs to the part whose forward it undoes: both carry autograd's sequence number.
    """

    def __init__(self) -> None:
        self.forward: dict[str, float] = {}
        self.backward: dict[str, float] = {}
        self.wall = 0.0

    @property
    def total(self) -> float:
        return sum(self.forward.values()) + sum(self.backward.values())

    @classmethod
    def of(cls, events: list[Any], device: torch.device) -> "_Spent":
        spent, part_of = cls(), dict[int, str]()
        events = sorted(events, key=lambda event: (event.time_range.start, -event.time_range.end))
        owners = _owners(events)
        for event, (label, going_back) in zip(events, owners, strict=True):
            if not going_back and event.sequence_nr >= 0:
                part_of[event.sequence_nr] = label  # of several the last, which is the one that autograd recorded
        for event, (label, going_back) in zip(events, owners, strict=True):
            if event.name == MARK + STEP:
                spent.wall += event.cpu_time_total / 1e3
            own = event.self_device_time_total if device.type == "cuda" else event.self_cpu_time_total
            part = part_of.get(int(label), REST) if going_back else label
            side = spent.backward if going_back else spent.forward
            side[part] = side.get(part, 0.0) + own / 1e3
        return spent


def _owners(events: list[Any]) -> list[tuple[str, bool]]:
    """For each event, parents first: the innermost part around it; or within backward its sequence number."""
    found: dict[int, tuple[str, bool]] = {}
    for event in events:
        label, going_back = found.get(id(event.cpu_parent), (REST, False))
        if not going_back and event.name.startswith(BACKWARD):
            label, going_back = str(event.sequence_nr), True
        elif not going_back and event.name.startswith(MARK):
            name = event.name.removeprefix(MARK)
            label = REST if name == STEP else name
        found[id(event)] = label, going_back
    return [found[id(event)] for event in events]


def _line(label: str, there: float, back: float, steps: int, wall: float) -> str:
    backward = f"{back:10.2f}" if back else " " * 10
    epoch = (there + back) * steps / 1e3
    return f"{label:26}{there:10.2f}{backward}{epoch:9.2f} s{(there + back) / wall:6.0%}"
