"""The only training loop."""

import copy
import math
import operator
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ssna import processes
from ssna.data.dataset import Dataset
from ssna.device import choose_device
from ssna.errors import TrainingError
from ssna.evaluation import ranks
from ssna.methods import ItemEncoder
from ssna.methods.teacher import LinearTeacher
from ssna.metrics import summary
from ssna.nn.catalogue import Catalogue
from ssna.nn.losses import LOSSES, Candidates, distillation
from ssna.nn.sasrec import SASRec
from ssna.scoring import Scorer, VectorScorer, below, under
from ssna.steady import steady
from ssna.training.batches import Batch, Batches
from ssna.training.checkpoint import Checkpoint, Position
from ssna.training.graph import WholeSteps
from ssna.training.profile import Profile
from ssna.training.settings import RunSettings, TrainingSettings

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Epoch:
    """One pass over all targets (or over ``batches`` batches of them): mean loss, a teacher's part in it where there is
    one, seconds of training, and validation metrics (seen excluded)."""

    number: int
    loss: float
    seconds: float
    batches: int
    valid: dict[str, float]
    taught: bool = False
    """A teacher was listened to."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What training gave: the model with the best weights, ready to rank, and the road there."""

    scorer: VectorScorer
    sequence: SASRec
    epochs: tuple[Epoch, ...]
    best_epoch: int | None
    batches: int
    """How many a whole epoch has."""
    weights: Weights
    """The best ones, as :meth:`Model.learned` names them."""


class Model(nn.Module):
    """The two halves that learn together: items to vectors, vectors to intents."""

    def __init__(self, encoder: ItemEncoder, sequence: SASRec) -> None:
        super().__init__()
        self.encoder, self.sequence = encoder, sequence

    def forward(self, batch: Batch) -> Candidates:
        """Encode each distinct item of the step once, by one of the processes, then read one's own sequences."""
        mine = processes.stretch(len(batch.unique))
        vectors = processes.gather(self.encoder(batch.unique[mine]), mine, len(batch.unique))  # (U, D)
        read = vectors.index_select(0, batch.input_index)
        intents = self.sequence(read, batch.positions, batch.offsets, batch.tiles)  # (N, D)
        return Candidates(
            intents.index_select(0, batch.predict),
            vectors,
            batch.target_index,
            batch.in_batch,
            batch.in_targets,
            batch.users,
            batch.log_chance,
            batch.weights,
            batch.taught,
            batch.row,
            Catalogue(self.encoder, batch.items, batch.targets, batch.own),
            batch.blank,
            None if batch.blank is None else batch.targets == 0,
            batch.own,
        )

    def scorer(self, items: int, max_history: int) -> VectorScorer:
        """The model as it stands, ready to rank on the CPU: in evaluation mode until the next epoch."""
        self.eval()
        return VectorScorer(
            self.encoder.matrix(items).cpu(), on_cpu(self.sequence), max_history, on_cpu(self.encoder.admission())
        )

    def validated(self, data: Dataset) -> dict[str, float]:
        """Validation metrics of the model as it stands, where it stands; in evaluation mode until the next epoch."""
        self.eval()
        return _validated(VectorScorer(self.encoder.matrix(len(data.items)), self.sequence, data.max_history), data)

    def learned(self) -> Weights:
        """Copies of all that training changes; frozen language models stay where they are."""
        frozen = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        return {name: weight.clone() for name, weight in self.state_dict().items() if name not in frozen}


def _validated(scorer: Scorer, data: Dataset) -> dict[str, float]:
    return summary(ranks(scorer, data.valid), len(data.items))


ModuleT = TypeVar("ModuleT", bound=nn.Module | None)


def on_cpu(module: ModuleT) -> ModuleT:
    """``module`` itself if it is there already, else a copy."""
    away = module is not None and any(tensor.device.type != "cpu" for tensor in module.parameters())
    return copy.deepcopy(module).cpu() if away and module is not None else module


def fit(
    encoder: ItemEncoder,
    data: Dataset,
    settings: RunSettings,
    on_epoch: Callable[[Epoch, Weights], None] = lambda epoch, weights: None,
    on_step: Callable[[float], None] = lambda loss: None,
    checkpoint: Checkpoint | None = None,
    profile: Profile | None = None,
    start: Weights | None = None,
    teacher: LinearTeacher | None = None,
) -> Fit:
    """Train ``encoder`` and a new SASRec on the training histories of ``data``; keep the best weights on validation.

    Random numbers come from torch's current generator and from ``settings.seed``; see :func:`ssna.experiments.train`.

    Args:
        on_epoch: called after every epoch with its figures, and the weights if they are the best so far, else ``{}``.
        on_step: called after every batch with its loss.
        checkpoint: written while training, and gone on from if it was left by a run that was cut off: on a CPU the
            figures and weights are then those of an unbroken run, bit for bit.
        profile: watches the first epoch and its evaluation.
        start: weights to begin with, by the names of :meth:`Model.learned`.
        teacher: what ``settings.loss.teacher`` asks for, fitted to ``data``. After ``settings.loss.unaided`` epochs
            it is listened to as long as it ranks validation better than the model did at the end of the epoch before,
            by N@10 (what a worse teacher teaches does harm: Cho and Hariharan, 2019).

    Raises:
        TrainingError: there is nothing to learn from, or the loss is not finite.
    """
    assert (teacher is not None) == settings.taught
    batches = batches_of(data, settings)
    if not len(batches):
        raise TrainingError("no user has two training events, so there is nothing to learn from; give longer histories")
    model = Model(encoder, SASRec(settings.dim, data.max_history, **settings.sequence.model_dump()))
    if start is not None:
        model.load_state_dict(start, strict=False)
    device = choose_device(settings.training.device)
    encoder.place(device)
    model.to(device)
    processes.alike(model.parameters())
    ranked = _validated(teacher.scorer, data)["N@10"] if teacher is not None else 0.0
    reached = model.validated(data)["N@10"] if teacher is not None and start is not None else -1.0
    processes.part_generators(settings.seed)
    each_epoch = min(len(batches), settings.training.batches or len(batches))
    steps = -(-each_epoch // settings.training.accumulate)
    trainer = Trainer(model, settings, total_steps=steps * settings.training.epochs)
    if profile is not None:
        profile.watch(trainer, steps)
    road = _Road(trainer, batches, checkpoint)
    for epoch in road.epochs:
        on_epoch(epoch, {})
    try:
        with steady():
            while not road.ended(settings.training):
                if road.epochs:
                    reached = road.epochs[-1].valid["N@10"]
                heard = teacher is not None and len(road.epochs) >= settings.loss.unaided and ranked > reached
                batches.teacher = teacher.about if teacher is not None and processes.agreed(heard) else None
                loss, seconds = road.epoch(each_epoch, on_step)
                with nullcontext() if profile is None else profile.evaluation():
                    valid = model.validated(data)
                taught = batches.teacher is not None
                better = road.arrive(Epoch(len(road.epochs) + 1, loss, seconds, each_epoch, valid, taught))
                on_epoch(road.epochs[-1], road.best_weights if better else {})
    finally:
        trainer.close()
    weights = road.best_weights or model.learned()
    model.load_state_dict(weights, strict=False)
    scorer = model.scorer(len(data.items), data.max_history)
    return Fit(scorer, model.sequence, tuple(road.epochs), road.best or None, len(batches), weights)


def batches_of(data: Dataset, settings: RunSettings, teacher: LinearTeacher | None = None) -> Batches:
    """The training histories of ``data``, as ``settings`` have them batched, in an order that their seed decides."""
    return Batches(
        data.train,
        len(data.items),
        formulation=settings.batches.formulation,
        max_history=data.max_history,
        batch_size=settings.training.batch_size,
        samples=settings.loss.samples,
        ahead=settings.batches.ahead,
        teacher=None if teacher is None else teacher.about,
        rng=np.random.default_rng(settings.seed),
    )


class _Road:
    """Epoch after epoch, from the start or from a checkpoint; between two steps nothing else needs to be known."""

    def __init__(self, trainer: "Trainer", batches: Batches, checkpoint: Checkpoint | None) -> None:
        self.trainer, self.batches, self.checkpoint = trainer, batches, checkpoint
        self.epochs: list[Epoch] = []
        self.best, self.best_weights = 0, Weights()
        self.position = Position(order=dict(batches.rng.bit_generator.state))
        if checkpoint is not None and (left := checkpoint.read()) is not None:
            self._go_on_from(*left)

    def ended(self, settings: TrainingSettings) -> bool:
        """All epochs are behind, or ``patience`` of them without a better one."""
        number = len(self.epochs)
        return number == settings.epochs or (number > 0 and number - self.best >= settings.patience)

    def epoch(self, each_epoch: int, on_step: Callable[[float], None]) -> tuple[float, float]:
        """What is left of an epoch: the mean loss over all its targets, and its seconds."""
        here, before = self.position, self.position.seconds
        start = time.perf_counter()
        ahead = islice(self.batches, here.done, each_epoch)
        for losses, targets in self.trainer.steps(ahead, on_step):
            here.total, here.targets, here.done = (
                here.total + losses,
                here.targets + sum(targets),
                here.done + len(targets),
            )
            here.seconds = before + time.perf_counter() - start
            if self.checkpoint is not None and processes.agreed(self.checkpoint.due):
                self._write(self.checkpoint)
        return here.total / here.targets, before + time.perf_counter() - start

    def arrive(self, epoch: Epoch) -> bool:
        """The epoch is evaluated; whether it is the best so far."""
        better = self.best == 0 or epoch.valid["R@10"] > self.epochs[self.best - 1].valid["R@10"]
        self.epochs.append(epoch)
        if better:
            self.best, self.best_weights = epoch.number, self.trainer.model.learned()
        self.position = Position(order=dict(self.batches.rng.bit_generator.state))
        return better

    def _write(self, checkpoint: Checkpoint) -> None:
        self.position.epochs, self.position.best = [asdict(epoch) for epoch in self.epochs], self.best
        self.position.step = self.trainer.step
        best = {f"best.{name}": weight for name, weight in self.best_weights.items()}
        checkpoint.write(self.position, {**self.trainer.state(), **best})

    def _go_on_from(self, position: Position, tensors: Weights) -> None:
        self.position = position
        self.epochs, self.best = [Epoch(**epoch) for epoch in position.epochs], position.best
        self.best_weights = below("best.", tensors)
        self.batches.rng.bit_generator.state = position.order
        self.trainer.go_on_from(position.step, tensors)


class Trainer:
    """Optimizer, schedule and precision around one model."""

    def __init__(self, model: Model, settings: RunSettings, total_steps: int) -> None:
        self.model, self.settings, self.step = model, settings.training, 0
        self.device = next(model.parameters()).device
        self.temperature = settings.loss.temperature
        self.loss, self.teaching = LOSSES[settings.loss.name], settings.loss.teaching
        self.rate, self.rate_there = partial(learning_rate, self.settings, total_steps), float("nan")
        self.whole = self._whole_steps(settings.loss.name)
        model.encoder.plan(total_steps)
        self.optimizer = _optimizer(model, self.settings, self.device if self.whole else None)

    def _whole_steps(self, loss: str) -> WholeSteps | None:
        """On a GPU a step is launched whole where it can be: its parts are short beside the time to launch each."""
        alone = processes.count() == 1 and self.settings.accumulate == 1
        fixed = self.model.encoder.repeatable and loss != "full"
        if not (self.device.type == "cuda" and alone and fixed):
            return None
        return WholeSteps(self._whole_step, self.device, self.model.sequence.position.num_embeddings)

    def steps(
        self, batches: Iterable[Batch], on_step: Callable[[float], None]
    ) -> Iterator[tuple[float, tuple[int, ...]]]:
        """One optimizer step after the other: the sum of losses over targets, and how many each of its batches has."""
        self.model.train()
        taken = self._singly(batches) if self.whole is None else self._by_graph(batches, self.whole)
        for losses, targets in taken:
            self.step += 1
            for loss in losses:
                on_step(loss)
            yield sum(map(operator.mul, losses, targets)), targets

    def _singly(self, batches: Iterable[Batch]) -> Iterator[tuple[list[float], tuple[int, ...]]]:
        """Steps, each operation launched on its own."""
        remaining = iter(batches)
        while group := tuple(islice(remaining, self.settings.accumulate)):
            self._set_rate(self.rate(self.step))
            self.optimizer.zero_grad(set_to_none=True)
            losses = [self.accumulate(batch.to(self.device), 1 / len(group)) for batch in group]
            processes.sum_gradients(self.model.parameters())
            self.optimizer.step()
            self.model.encoder.after_step(self.step)
            yield losses, tuple(len(batch.targets) for batch in group)

    def _by_graph(self, batches: Iterable[Batch], whole: WholeSteps) -> Iterator[tuple[list[float], tuple[int, ...]]]:
        """Steps of one batch, each launched at once; while the device computes, the next batch is made ready."""
        remaining = map(whole.ready, batches)
        ready = next(remaining, None)
        while ready is not None:
            self._set_rate(self.rate(self.step))
            loss, targets = whole.start(ready), ready.targets
            ready = next(remaining, None)
            yield [self._finite(loss)], (targets,)

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            if not isinstance(group["lr"], Tensor):
                group["lr"] = rate
            elif rate != self.rate_there:
                group["lr"].fill_(rate)
        self.rate_there = rate

    def _whole_step(self, batch: Batch) -> Tensor:
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
        if candidates.taught is None:
            return loss
        return loss + self.teaching * distillation(candidates, self.temperature)

    def _finite(self, loss: Tensor) -> float:
        if not math.isfinite(value := loss.item()):
            raise TrainingError(f"the loss became {value} at step {self.step}; lower training.learning_rate")
        return value

    def close(self) -> None:
        """Let go of gradients and of what a CUDA graph holds: memory of the device that the next run needs."""
        self.optimizer.zero_grad(set_to_none=True)
        self.whole = None

    def state(self) -> Weights:
        """All that :meth:`go_on_from` needs: weights, the optimizer's moments, generators, what the method keeps."""
        moments = self.optimizer.state_dict()["state"]
        generators = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            generators["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            **under("weights.", self.model.learned()),
            **{f"moments.{number}.{name}": t for number, state in moments.items() for name, t in state.items()},
            **{f"generator.{name}": processes.everyones(state) for name, state in generators.items()},
            **under("method.", self.model.encoder.memory()),
        }

    def go_on_from(self, step: int, tensors: Weights) -> None:
        """The inverse of :meth:`state`, after ``step`` optimizer steps."""
        self.step = step
        self.model.load_state_dict(below("weights.", tensors), strict=False)
        moments: dict[int, Weights] = {}
        for name, tensor in below("moments.", tensors).items():
            number, _, moment = name.partition(".")
            moments.setdefault(int(number), {})[moment] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.model.encoder.remember(below("method.", tensors))
        states = below("generator.", tensors).items()
        generators = {name: rows[processes.rank()].clone() for name, rows in states}  # torch reads a storage's start
        torch.set_rng_state(generators["cpu"])
        if "cuda" in generators:
            torch.cuda.set_rng_state(generators["cuda"], self.device)

    def accumulate(self, batch: Batch, share: float) -> float:
        """Add ``share`` of the gradient of a batch's loss and of the method's penalty, as far as it is due to this
        process; the loss itself, over all of them."""
        with autocast(self.settings.precision, self.device.type):
            loss = self.objective(self.model(batch)) * batch.share
        value = self._finite(processes.total(loss))
        ((loss + self.model.encoder.penalty() / processes.count()) * share).backward()
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
    warmup = settings.warmup * total_steps
    if step < warmup:
        return settings.learning_rate * min((step + 1) / warmup, 1.0)
    progress = (step - warmup) / max(total_steps - warmup, 1)
    return settings.learning_rate * (0.5 * (1 + math.cos(math.pi * progress)) if settings.decay else 1.0)
