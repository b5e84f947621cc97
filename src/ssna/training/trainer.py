"""The two halves that learn together, and one optimizer step after the other."""

import copy
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor, nn

from ssna.compute import distributed
from ssna.core.errors import TrainingError
from ssna.data.dataset import Dataset
from ssna.evaluation import ranks
from ssna.evaluation.metrics import summary
from ssna.methods import ItemEncoder
from ssna.nn.batch import Batch
from ssna.nn.catalogue import Catalogue
from ssna.nn.losses import Loss, LossInputs
from ssna.nn.sasrec import SASRec
from ssna.scoring import Scorer, VectorScorer, below, under
from ssna.training.cuda_graph import CUDAGraphStep
from ssna.training.settings import TrainingSettings

Weights = dict[str, Tensor]
EXTRA_STATE = "encoder._extra_state"  # what torch calls that of ItemEncoder.get_extra_state, where a method has one


class Model(nn.Module):
    """The two halves that learn together: items to embeddings, and sequences of these to user embeddings."""

    def __init__(self, encoder: ItemEncoder, sequence: SASRec) -> None:
        super().__init__()
        self.encoder, self.sequence = encoder, sequence

    def forward(self, batch: Batch) -> LossInputs:
        """Encode each distinct item of the step once, by one of the processes, then read one's own sequences."""
        sequences, targets, items = batch.sequences, batch.targets, batch.candidates.items
        mine = distributed.shard(len(items))
        embeddings = distributed.gather(self.encoder(items[mine]), mine, len(items))  # (U, D)
        read = embeddings.index_select(0, sequences.index)
        outputs = self.sequence(read, sequences.positions, sequences.offsets, sequences.tiles)  # (N, D)
        catalogue = Catalogue(self.encoder, batch.candidates.catalogue_size, targets.items, targets.own)
        users = outputs.index_select(0, targets.input_row)
        return LossInputs(users, embeddings, targets, batch.candidates, batch.teacher, catalogue)

    def scorer(self, items: int, max_history: int) -> VectorScorer:
        """The model as it is, ready to rank on the CPU: in evaluation mode until the next epoch."""
        self.eval()
        return VectorScorer(
            self.encoder.item_embeddings(items).cpu(),
            on_cpu(self.sequence),
            max_history,
            on_cpu(self.encoder.text_projection()),
        )

    def validation_metrics(self, data: Dataset) -> dict[str, float]:
        """Validation metrics of the model as it is, on its device; in evaluation mode until the next epoch."""
        self.eval()
        return validation_metrics(
            VectorScorer(self.encoder.item_embeddings(len(data.items)), self.sequence, data.max_history), data
        )

    def trainable_state_dict(self) -> Weights:
        """Copies of all that training changes; frozen language models stay where they are."""
        frozen = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        state = self.state_dict().items()
        return {name: v.clone() for name, v in state if name not in frozen and name != EXTRA_STATE}


def validation_metrics(scorer: Scorer, data: Dataset) -> dict[str, float]:
    """Validation metrics of any scorer, seen excluded."""
    return summary(ranks(scorer, data.valid), len(data.items))


ModuleT = TypeVar("ModuleT", bound=nn.Module | None)


def on_cpu(module: ModuleT) -> ModuleT:
    """``module`` itself if it is there already, else a copy."""
    away = module is not None and any(tensor.device.type != "cpu" for tensor in module.parameters())
    return copy.deepcopy(module).cpu() if away and module is not None else module


class TrainerHooks:
    """What watches a trainer is called around its work; these do nothing."""

    eager = False
    """Whether steps must be launched part by part, so that spans can be told apart."""

    def span(self, name: str) -> AbstractContextManager[object]:
        """Around an optimizer step (``"step"``), and in it around the making of batches (``"batches"``) and the loss
        (``"loss"``)."""
        return nullcontext()

    def on_step_end(self) -> None:
        """After every optimizer step."""

    def on_epoch_end(self) -> None:
        """When there are no more batches."""


class Trainer:
    """Optimizer, schedule and precision around one model.

    Args:
        loss: what is minimized.
        total_steps: optimizer steps that are planned, for the schedule of the learning rate.
        hooks: called around batches, losses and steps.
    """

    def __init__(
        self, model: Model, settings: TrainingSettings, loss: Loss, total_steps: int, hooks: TrainerHooks | None = None
    ) -> None:
        self.model, self.settings, self.step = model, settings, 0
        self.hooks = TrainerHooks() if hooks is None else hooks
        self.device = next(model.parameters()).device
        self.loss = loss
        self.learning_rate, self.device_rate = partial(learning_rate, self.settings, total_steps), float("nan")
        self.graph_step = self._make_graph_step()
        model.encoder.on_train_begin(total_steps)
        self.optimizer = _optimizer(model, self.settings, self.device if self.graph_step else None)

    def _make_graph_step(self) -> CUDAGraphStep | None:
        """On a GPU a step is launched whole where it can be: its parts are short beside the time to launch each."""
        alone = distributed.world_size() == 1 and self.settings.gradient_accumulation_steps == 1
        fixed = self.model.encoder.cuda_graph_safe and self.loss.cuda_graph_safe
        if not (self.device.type == "cuda" and alone and fixed):
            return None
        return CUDAGraphStep(self._captured_step, self.device, self.model.sequence.position.num_embeddings)

    def steps(
        self, batches: Iterable[Batch], on_step: Callable[[float], None]
    ) -> Iterator[tuple[float, tuple[int, ...]]]:
        """One optimizer step after the other: the sum of losses over targets, and how many each of its batches has."""
        self.model.train()
        graph = None if self.hooks.eager else self.graph_step
        steps = self._eager_steps(batches) if graph is None else self._graph_steps(batches, graph)
        while True:
            with self.hooks.span("step"):
                taken = next(steps, None)
            if taken is None:
                break
            losses, targets = taken
            self.step += 1
            for loss in losses:
                on_step(loss)
            self.hooks.on_step_end()
            yield sum(map(operator.mul, losses, targets)), targets
        self.hooks.on_epoch_end()

    def _eager_steps(self, batches: Iterable[Batch]) -> Iterator[tuple[list[float], tuple[int, ...]]]:
        """Steps, each operation launched on its own."""
        remaining = iter(batches)
        while group := self._next_batches(remaining):
            self._set_rate(self.learning_rate(self.step))
            self.optimizer.zero_grad(set_to_none=True)
            losses = [self.accumulate(batch.to(self.device), 1 / len(group)) for batch in group]
            distributed.sum_gradients(self.model.parameters())
            self.optimizer.step()
            self.model.encoder.after_step(self.step)
            yield losses, tuple(len(batch.targets) for batch in group)

    def _next_batches(self, remaining: Iterator[Batch]) -> tuple[Batch, ...]:
        with self.hooks.span("batches"):
            return tuple(islice(remaining, self.settings.gradient_accumulation_steps))

    def _graph_steps(
        self, batches: Iterable[Batch], graph: CUDAGraphStep
    ) -> Iterator[tuple[list[float], tuple[int, ...]]]:
        """Steps of one batch, each launched at once; while the device computes, the next batch is staged."""
        remaining = map(graph.stage, batches)
        staged = next(remaining, None)
        while staged is not None:
            self._set_rate(self.learning_rate(self.step))
            loss, targets = graph.run(staged), staged.targets
            staged = next(remaining, None)
            yield [self._finite(loss)], (targets,)

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            if not isinstance(group["lr"], Tensor):
                group["lr"] = rate
            elif rate != self.device_rate:
                group["lr"].fill_(rate)
        self.device_rate = rate

    def _captured_step(self, batch: Batch) -> Tensor:
        """A step of one batch that asks nothing of the host; the loss stays on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.settings.precision, self.device.type):
            loss = self.objective(self.model(batch))
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def objective(self, inputs: LossInputs) -> Tensor:
        """The loss, between the hooks' marks."""
        with self.hooks.span("loss"):
            return self.loss(inputs)

    def _finite(self, loss: Tensor) -> float:
        if not math.isfinite(value := loss.item()):
            raise TrainingError(f"the loss became {value} at step {self.step}; lower training.learning_rate")
        return value

    def close(self) -> None:
        """Let go of gradients and of what a CUDA graph holds: memory of the device that the next run needs."""
        self.optimizer.zero_grad(set_to_none=True)
        self.graph_step = None

    def state_dict(self) -> Weights:
        """Weights, the optimizer's moments, generators, the method's extra state: for :meth:`load_state_dict`."""
        moments = self.optimizer.state_dict()["state"]
        generators = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            generators["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            **under("weights.", self.model.trainable_state_dict()),
            **{f"moments.{number}.{name}": t for number, state in moments.items() for name, t in state.items()},
            **{f"generator.{name}": distributed.all_gather(state) for name, state in generators.items()},
            **under("method.", self.model.state_dict().get(EXTRA_STATE, {})),
        }

    def load_state_dict(self, step: int, tensors: Weights) -> None:
        """The inverse of :meth:`state_dict`, after ``step`` optimizer steps."""
        self.step = step
        if self.graph_step is not None:
            self.graph_step.reset()
        self.model.load_state_dict(below("weights.", tensors), strict=False)
        moments: dict[int, Weights] = {}
        for name, tensor in below("moments.", tensors).items():
            number, _, moment = name.partition(".")
            moments.setdefault(int(number), {})[moment] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        if EXTRA_STATE in self.model.state_dict():
            self.model.encoder.set_extra_state(below("method.", tensors))
        states = below("generator.", tensors).items()
        generators = {name: rows[distributed.rank()].clone() for name, rows in states}  # torch reads a storage's start
        torch.set_rng_state(generators["cpu"])
        if "cuda" in generators:
            torch.cuda.set_rng_state(generators["cuda"], self.device)

    def accumulate(self, batch: Batch, share: float) -> float:
        """Add ``share`` of the gradient of a batch's loss and of the method's penalty, as far as it is due to this
        process; the loss itself, over all of them."""
        with autocast(self.settings.precision, self.device.type):
            loss = self.objective(self.model(batch)) * batch.targets.share
        value = self._finite(distributed.all_reduce(loss))
        ((loss + self.model.encoder.penalty() / distributed.world_size()) * share).backward()
        return value


def autocast(precision: str, device: str = "cpu") -> AbstractContextManager[object]:
    """bf16 matrix products where asked for, or where ``auto`` finds a device that has them; fp32 otherwise."""
    wanted = precision == "bf16" or (precision == "auto" and _has_bf16(device))
    return torch.autocast(device, dtype=torch.bfloat16, enabled=wanted)


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _optimizer(model: Model, settings: TrainingSettings, captured: torch.device | None = None) -> torch.optim.Optimizer:
    """AdamW; with its learning rate on the device where steps are ``captured``."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in learned if p.ndim < 2], "weight_decay": 0.0},
    ]
    rate = settings.learning_rate if captured is None else torch.tensor(settings.learning_rate, device=captured)
    optimizer = torch.optim.AdamW(groups, lr=rate, fused=True, capturable=captured is not None)
    setattr(optimizer, "_warned_capturable_if_run_uncaptured", True)  # noqa: B010 - first steps run without a graph
    return optimizer


def learning_rate(settings: TrainingSettings, total_steps: int, step: int) -> float:
    """That of step ``step``, from 0: a linear rise, and half a cosine down under the schedule ``cosine``."""
    warmup = settings.warmup_ratio * total_steps
    if step < warmup:
        return settings.learning_rate * min((step + 1) / warmup, 1.0)
    progress = (step - warmup) / max(total_steps - warmup, 1)
    return settings.learning_rate * (
        0.5 * (1 + math.cos(math.pi * progress)) if settings.lr_schedule == "cosine" else 1.0
    )
