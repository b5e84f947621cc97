"""The two halves that learn together, and one optimizer step after the other."""

import copy
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
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
from ssna.nn.catalogue import Catalogue
from ssna.nn.losses import LOSSES, Candidates, distillation
from ssna.nn.sasrec import SASRec
from ssna.scoring import Scorer, VectorScorer, below, under
from ssna.training.batches import Batch
from ssna.training.cuda_graph import CUDAGraphStep
from ssna.training.settings import RunSettings, TrainingSettings

Weights = dict[str, Tensor]


class Model(nn.Module):
    """The two halves that learn together: items to vectors, vectors to intents."""

    def __init__(self, encoder: ItemEncoder, sequence: SASRec) -> None:
        super().__init__()
        self.encoder, self.sequence = encoder, sequence

    def forward(self, batch: Batch) -> Candidates:
        """Encode each distinct item of the step once, by one of the processes, then read one's own sequences."""
        mine = distributed.shard(len(batch.unique))
        vectors = distributed.gather(self.encoder(batch.unique[mine]), mine, len(batch.unique))  # (U, D)
        read = vectors.index_select(0, batch.input_index)
        intents = self.sequence(read, batch.positions, batch.offsets, batch.tiles)  # (N, D)
        return Candidates(
            intents.index_select(0, batch.predict),
            vectors,
            batch.target_index,
            batch.in_batch,
            batch.in_targets,
            batch.users,
            batch.log_inclusion_prob,
            batch.weights,
            batch.teacher_logits,
            batch.teacher_row,
            Catalogue(self.encoder, batch.items, batch.targets, batch.own),
            batch.padding_items,
            None if batch.padding_items is None else batch.targets == 0,
            batch.own,
        )

    def scorer(self, items: int, max_history: int) -> VectorScorer:
        """The model as it stands, ready to rank on the CPU: in evaluation mode until the next epoch."""
        self.eval()
        return VectorScorer(
            self.encoder.item_embeddings(items).cpu(),
            on_cpu(self.sequence),
            max_history,
            on_cpu(self.encoder.text_projection()),
        )

    def validation_metrics(self, data: Dataset) -> dict[str, float]:
        """Validation metrics of the model as it stands, where it stands; in evaluation mode until the next epoch."""
        self.eval()
        return validation_metrics(
            VectorScorer(self.encoder.item_embeddings(len(data.items)), self.sequence, data.max_history), data
        )

    def trainable_state_dict(self) -> Weights:
        """Copies of all that training changes; frozen language models stay where they are."""
        frozen = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        return {name: weight.clone() for name, weight in self.state_dict().items() if name not in frozen}


def validation_metrics(scorer: Scorer, data: Dataset) -> dict[str, float]:
    """Validation metrics of any scorer, seen excluded."""
    return summary(ranks(scorer, data.valid), len(data.items))


ModuleT = TypeVar("ModuleT", bound=nn.Module | None)


def on_cpu(module: ModuleT) -> ModuleT:
    """``module`` itself if it is there already, else a copy."""
    away = module is not None and any(tensor.device.type != "cpu" for tensor in module.parameters())
    return copy.deepcopy(module).cpu() if away and module is not None else module


class Trainer:
    """Optimizer, schedule and precision around one model."""

    def __init__(self, model: Model, settings: RunSettings, total_steps: int) -> None:
        self.model, self.settings, self.step = model, settings.training, 0
        self.device = next(model.parameters()).device
        self.temperature = settings.loss.temperature
        self.loss, self.teaching = LOSSES[settings.loss.name], settings.loss.teaching
        self.rate, self.rate_there = partial(learning_rate, self.settings, total_steps), float("nan")
        self.graph_step = self._make_graph_step(settings.loss.name)
        model.encoder.on_train_begin(total_steps)
        self.optimizer = _optimizer(model, self.settings, self.device if self.graph_step else None)

    def _make_graph_step(self, loss: str) -> CUDAGraphStep | None:
        """On a GPU a step is launched whole where it can be: its parts are short beside the time to launch each."""
        alone = distributed.world_size() == 1 and self.settings.gradient_accumulation_steps == 1
        fixed = self.model.encoder.cuda_graph_safe and loss != "full"
        if not (self.device.type == "cuda" and alone and fixed):
            return None
        return CUDAGraphStep(self._captured_step, self.device, self.model.sequence.position.num_embeddings)

    def steps(
        self, batches: Iterable[Batch], on_step: Callable[[float], None]
    ) -> Iterator[tuple[float, tuple[int, ...]]]:
        """One optimizer step after the other: the sum of losses over targets, and how many each of its batches has."""
        self.model.train()
        taken = self._eager_steps(batches) if self.graph_step is None else self._graph_steps(batches, self.graph_step)
        for losses, targets in taken:
            self.step += 1
            for loss in losses:
                on_step(loss)
            yield sum(map(operator.mul, losses, targets)), targets

    def _eager_steps(self, batches: Iterable[Batch]) -> Iterator[tuple[list[float], tuple[int, ...]]]:
        """Steps, each operation launched on its own."""
        remaining = iter(batches)
        while group := tuple(islice(remaining, self.settings.gradient_accumulation_steps)):
            self._set_rate(self.rate(self.step))
            self.optimizer.zero_grad(set_to_none=True)
            losses = [self.accumulate(batch.to(self.device), 1 / len(group)) for batch in group]
            distributed.sum_gradients(self.model.parameters())
            self.optimizer.step()
            self.model.encoder.after_step(self.step)
            yield losses, tuple(len(batch.targets) for batch in group)

    def _graph_steps(
        self, batches: Iterable[Batch], whole: CUDAGraphStep
    ) -> Iterator[tuple[list[float], tuple[int, ...]]]:
        """Steps of one batch, each launched at once; while the device computes, the next batch is made ready."""
        remaining = map(whole.stage, batches)
        ready = next(remaining, None)
        while ready is not None:
            self._set_rate(self.rate(self.step))
            loss, targets = whole.run(ready), ready.targets
            ready = next(remaining, None)
            yield [self._finite(loss)], (targets,)

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            if not isinstance(group["lr"], Tensor):
                group["lr"] = rate
            elif rate != self.rate_there:
                group["lr"].fill_(rate)
        self.rate_there = rate

    def _captured_step(self, batch: Batch) -> Tensor:
        """A step of one batch that asks nothing of the host; the loss stays on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.settings.precision, self.device.type):
            loss = self.objective(self.model(batch))
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def objective(self, candidates: Candidates) -> Tensor:
        """The loss; where there is a teacher, with its word beside."""
        loss = self.loss(candidates, self.temperature)
        if candidates.teacher_logits is None:
            return loss
        return loss + self.teaching * distillation(candidates, self.temperature)

    def _finite(self, loss: Tensor) -> float:
        if not math.isfinite(value := loss.item()):
            raise TrainingError(f"the loss became {value} at step {self.step}; lower training.learning_rate")
        return value

    def close(self) -> None:
        """Let go of gradients and of what a CUDA graph holds: memory of the device that the next run needs."""
        self.optimizer.zero_grad(set_to_none=True)
        self.graph_step = None

    def state_dict(self) -> Weights:
        """All that :meth:`go_on_from` needs: weights, the optimizer's moments, generators, what the method keeps."""
        moments = self.optimizer.state_dict()["state"]
        generators = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            generators["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            **under("weights.", self.model.trainable_state_dict()),
            **{f"moments.{number}.{name}": t for number, state in moments.items() for name, t in state.items()},
            **{f"generator.{name}": distributed.all_gather(state) for name, state in generators.items()},
            **under("method.", self.model.encoder.get_extra_state()),
        }

    def load_state_dict(self, step: int, tensors: Weights) -> None:
        """The inverse of :meth:`state`, after ``step`` optimizer steps."""
        self.step = step
        if self.graph_step is not None:
            self.graph_step.reset()
        self.model.load_state_dict(below("weights.", tensors), strict=False)
        moments: dict[int, Weights] = {}
        for name, tensor in below("moments.", tensors).items():
            number, _, moment = name.partition(".")
            moments.setdefault(int(number), {})[moment] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
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
            loss = self.objective(self.model(batch)) * batch.share
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
    """That of step ``step``, from 0: a linear rise, and half a cosine down where ``settings`` let it fall."""
    warmup = settings.warmup_ratio * total_steps
    if step < warmup:
        return settings.learning_rate * min((step + 1) / warmup, 1.0)
    progress = (step - warmup) / max(total_steps - warmup, 1)
    return settings.learning_rate * (0.5 * (1 + math.cos(math.pi * progress)) if settings.lr_schedule else 1.0)
