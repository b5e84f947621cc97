"""The only training loop."""

import math
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ssna.data.dataset import Dataset
from ssna.errors import TrainingError
from ssna.evaluation import ranks
from ssna.methods import ItemEncoder
from ssna.metrics import summary
from ssna.nn.losses import LOSSES, Candidates
from ssna.nn.sasrec import SASRec
from ssna.scoring import VectorScorer
from ssna.training.batches import Batch, Batches
from ssna.training.settings import RunSettings, TrainingSettings

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Epoch:
    """One pass over all targets: mean loss, seconds of training, and validation metrics (seen excluded)."""

    number: int
    loss: float
    seconds: float
    valid: dict[str, float]


@dataclass(frozen=True, eq=False)
class Fit:
    """What training gave: the model with the best weights, ready to rank, and the road there."""

    scorer: VectorScorer
    sequence: SASRec
    epochs: tuple[Epoch, ...]
    best_epoch: int


class Model(nn.Module):
    """The two halves that learn together: items to vectors, vectors to intents."""

    def __init__(self, encoder: ItemEncoder, sequence: SASRec) -> None:
        super().__init__()
        self.encoder, self.sequence = encoder, sequence

    def forward(self, batch: Batch) -> Candidates:
        """Encode each distinct item of the step once, then read all sequences."""
        vectors = self.encoder(batch.unique)  # (U, D)
        intents = self.sequence(vectors[batch.input_index], batch.positions, batch.offsets)  # (N, D)
        return Candidates(intents[batch.predict], vectors, batch.target_index, batch.in_batch)

    def scorer(self, items: int, max_history: int) -> VectorScorer:
        """The model as it stands, ready to rank: in evaluation mode until the next epoch."""
        self.eval()
        return VectorScorer(self.encoder.matrix(items), self.sequence, max_history, self.encoder.admission())


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
        on_step: called after every step with its loss.

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
    trainer = _Trainer(model, settings, total_steps=len(batches) * settings.training.epochs)
    epochs: list[Epoch] = []
    best, best_weights = 0, dict[str, Tensor]()
    for number in range(1, settings.training.epochs + 1):
        start = time.perf_counter()
        loss = trainer.epoch(batches, on_step)
        seconds = time.perf_counter() - start
        valid = summary(ranks(model.scorer(len(data.items), data.max_history), data.valid), len(data.items))
        epochs.append(Epoch(number, loss, seconds, valid))
        if best == 0 or valid["R@10"] > epochs[best - 1].valid["R@10"]:
            best, best_weights = number, {name: weight.clone() for name, weight in model.state_dict().items()}
        on_epoch(epochs[-1], best_weights if best == number else {})
        if number - best >= settings.training.patience:
            break
    model.load_state_dict(best_weights)
    return Fit(model.scorer(len(data.items), data.max_history), model.sequence, tuple(epochs), best)


class _Trainer:
    """Optimizer, schedule and precision around one model."""

    def __init__(self, model: Model, settings: RunSettings, total_steps: int) -> None:
        self.model, self.settings, self.step = model, settings, 0
        self.loss = LOSSES[settings.loss.name]
        model.encoder.plan(total_steps)
        self.optimizer = _optimizer(model, settings.training)
        self.schedule = _schedule(self.optimizer, settings.training, total_steps)

    def epoch(self, batches: Iterable[Batch], on_step: Callable[[float], None]) -> float:
        """The mean loss over all targets."""
        self.model.train()
        total, targets = 0.0, 0
        for batch in batches:
            with autocast(self.settings.training.precision):
                loss = self.loss(self.model(batch), self.settings.loss.temperature)
            if not math.isfinite(value := loss.item()):
                raise TrainingError(f"the loss became {value} at step {self.step}; lower training.learning_rate")
            self.optimizer.zero_grad(set_to_none=True)
            (loss + self.model.encoder.penalty()).backward()
            self.optimizer.step()
            self.model.encoder.after_step(self.step)
            self.schedule.step()
            self.step += 1
            total, targets = total + value * len(batch.targets), targets + len(batch.targets)
            on_step(value)
        return total / targets


def autocast(precision: str) -> AbstractContextManager[object]:
    """bf16 matrix products where asked for, or where ``auto`` finds a processor that has them; fp32 otherwise."""
    wanted = precision == "bf16" or (precision == "auto" and _has_bf16())
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=wanted)


def _has_bf16() -> bool:
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
