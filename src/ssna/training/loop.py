"""The only training loop."""

import copy
import math
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ssna.data.dataset import Dataset
from ssna.device import choose_device
from ssna.errors import TrainingError
from ssna.evaluation import ranks
from ssna.methods import ItemEncoder
from ssna.metrics import summary
from ssna.nn.catalogue import Catalogue
from ssna.nn.losses import LOSSES, Candidates
from ssna.nn.sasrec import SASRec
from ssna.scoring import VectorScorer
from ssna.training.batches import Batch, Batches
from ssna.training.settings import RunSettings, TrainingSettings

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Epoch:
    """One pass over all targets (or over ``batches`` batches of them): mean loss, seconds of training, and validation
    metrics (seen excluded)."""

    number: int
    loss: float
    seconds: float
    batches: int
    valid: dict[str, float]


@dataclass(frozen=True, eq=False)
class Fit:
    """What training gave: the model with the best weights, ready to rank, and the road there."""

    scorer: VectorScorer
    sequence: SASRec
    epochs: tuple[Epoch, ...]
    best_epoch: int
    batches: int
    """How many a whole epoch has."""


class Model(nn.Module):
    """The two halves that learn together: items to vectors, vectors to intents."""

    def __init__(self, encoder: ItemEncoder, sequence: SASRec) -> None:
        super().__init__()
        self.encoder, self.sequence = encoder, sequence

    def forward(self, batch: Batch) -> Candidates:
        """Encode each distinct item of the step once, then read all sequences."""
        vectors = self.encoder(batch.unique)  # (U, D)
        intents = self.sequence(vectors[batch.input_index], batch.positions, batch.offsets)  # (N, D)
        return Candidates(
            intents[batch.predict],
            vectors,
            batch.target_index,
            batch.in_batch,
            batch.users,
            batch.log_share,
            Catalogue(self.encoder, batch.items, batch.targets),
        )

    def scorer(self, items: int, max_history: int) -> VectorScorer:
        """The model as it stands, ready to rank on the CPU: in evaluation mode until the next epoch."""
        self.eval()
        return VectorScorer(
            self.encoder.matrix(items).cpu(), on_cpu(self.sequence), max_history, on_cpu(self.encoder.admission())
        )

    def learned(self) -> Weights:
        """Copies of all that training changes; frozen language models stay where they are."""
        frozen = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        return {name: weight.clone() for name, weight in self.state_dict().items() if name not in frozen}


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
) -> Fit:
    """Train ``encoder`` and a new SASRec on the training histories of ``data``; keep the best weights on validation.

    Random numbers come from torch's current generator and from ``settings.seed``; see :func:`ssna.experiments.train`.

    Args:
        on_epoch: called after every epoch with its figures, and the weights if they are the best so far, else ``{}``.
        on_step: called after every batch with its loss.

    Raises:
        TrainingError: there is nothing to learn from, or the loss is not finite.
    """
    batches = Batches(
        data.train,
        len(data.items),
        formulation=settings.batches.formulation,
        max_history=data.max_history,
        batch_size=settings.training.batch_size,
        samples=settings.loss.samples,
        rng=np.random.default_rng(settings.seed),
    )
    if not len(batches):
        raise TrainingError("no user has two training events, so there is nothing to learn from; give longer histories")
    model = Model(encoder, SASRec(settings.dim, data.max_history, **settings.sequence.model_dump()))
    model.to(choose_device(settings.training.device))
    each_epoch = min(len(batches), settings.training.batches or len(batches))
    steps = -(-each_epoch // settings.training.accumulate)
    trainer = _Trainer(model, settings, total_steps=steps * settings.training.epochs)
    epochs: list[Epoch] = []
    best, best_weights = 0, dict[str, Tensor]()
    for number in range(1, settings.training.epochs + 1):
        start = time.perf_counter()
        loss = trainer.epoch(islice(batches, each_epoch), on_step)
        seconds = time.perf_counter() - start
        valid = summary(ranks(model.scorer(len(data.items), data.max_history), data.valid), len(data.items))
        epochs.append(Epoch(number, loss, seconds, each_epoch, valid))
        if best == 0 or valid["R@10"] > epochs[best - 1].valid["R@10"]:
            best, best_weights = number, model.learned()
        on_epoch(epochs[-1], best_weights if best == number else {})
        if number - best >= settings.training.patience:
            break
    model.load_state_dict(best_weights, strict=False)
    scorer = model.scorer(len(data.items), data.max_history)
    return Fit(scorer, model.sequence, tuple(epochs), best, len(batches))


class _Trainer:
    """Optimizer, schedule and precision around one model."""

    def __init__(self, model: Model, settings: RunSettings, total_steps: int) -> None:
        self.model, self.settings, self.step = model, settings.training, 0
        self.device = next(model.parameters()).device
        self.temperature = settings.loss.temperature
        self.loss = LOSSES[settings.loss.name]
        model.encoder.plan(total_steps)
        self.optimizer = _optimizer(model, self.settings)
        self.schedule = _schedule(self.optimizer, self.settings, total_steps)

    def epoch(self, batches: Iterable[Batch], on_step: Callable[[float], None]) -> float:
        """The mean loss over all targets."""
        self.model.train()
        total, targets, remaining = 0.0, 0, iter(batches)
        while group := tuple(islice(remaining, self.settings.accumulate)):
            self.optimizer.zero_grad(set_to_none=True)
            for batch in group:
                value = self.accumulate(batch.to(self.device), 1 / len(group))
                total, targets = total + value * len(batch.targets), targets + len(batch.targets)
                on_step(value)
            self.optimizer.step()
            self.model.encoder.after_step(self.step)
            self.schedule.step()
            self.step += 1
        return total / targets

    def accumulate(self, batch: Batch, share: float) -> float:
        """Add ``share`` of the gradient of a batch's loss and of the method's penalty; the loss itself."""
        with autocast(self.settings.precision, self.device.type):
            loss = self.loss(self.model(batch), self.temperature)
        if not math.isfinite(value := loss.item()):
            raise TrainingError(f"the loss became {value} at step {self.step}; lower training.learning_rate")
        ((loss + self.model.encoder.penalty()) * share).backward()
        return value


def autocast(precision: str, device: str = "cpu") -> AbstractContextManager[object]:
    """bf16 matrix products where asked for, or where ``auto`` finds a device that has them; fp32 otherwise."""
    wanted = precision == "bf16" or (precision == "auto" and _has_bf16(device))
    return torch.autocast(device, dtype=torch.bfloat16, enabled=wanted)


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _optimizer(model: Model, settings: TrainingSettings) -> torch.optim.Optimizer:
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in learned if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def _schedule(
    optimizer: torch.optim.Optimizer, settings: TrainingSettings, total_steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    warmup = settings.warmup * total_steps

    def factor(step: int) -> float:
        if step < warmup:
            return min((step + 1) / warmup, 1.0)
        progress = (step - warmup) / max(total_steps - warmup, 1)
        return 0.5 * (1 + math.cos(math.pi * progress)) if settings.decay else 1.0

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
