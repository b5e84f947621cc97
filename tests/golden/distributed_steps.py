"""What a training step does, alone or shared; run by torchrun, each process writes into a folder what it got."""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ssna.compute import distributed
from ssna.core.ragged import Ragged
from ssna.data.dataset import Dataset, Histories, IdMap
from ssna.methods.ease import EaseSettings
from ssna.methods.frozen import FrozenEncoder
from ssna.methods.linear_teacher import LinearTeacher
from ssna.methods.ssna import SSNASettings, over_states
from ssna.nn import catalogue
from ssna.nn.losses import LOSSES, Loss
from ssna.nn.sasrec import SASRec
from ssna.runs import resolve
from ssna.training import RunSettings, fit
from ssna.training.loop import batches_of
from ssna.training.trainer import Model, Trainer

ITEMS, DIM = 41, 8
EASE = EaseSettings(ridge=5)


def settings_of(*assignments: str) -> RunSettings:
    small = (f"dim={DIM}", "sequence.ffn_dim=8", "training.batch_size=24", "training.precision=fp32")
    return resolve(method="ids", settings=[*small, "training.device=cpu", *assignments])


def data() -> Dataset:
    rng = np.random.default_rng(5)
    packed = Ragged.from_rows([rng.integers(1, ITEMS + 1, rng.integers(3, 13)).tolist() for _ in range(31)])
    return Dataset(
        IdMap(tuple(f"u{user}" for user in range(len(packed)))),
        IdMap(tuple(f"i{row}" for row in range(1, ITEMS + 1))),
        ("", *(f"text {row}" for row in range(1, ITEMS + 1))),
        Histories(packed.values.astype(np.int32), None, packed.offsets),
        6,
    )


class Penalised(FrozenEncoder):
    """As AdaLoRA, adds to the loss something that depends on no sample; draws numbers before the first step."""

    drawn: Tensor

    def on_train_begin(self, total_steps: int) -> None:
        self.drawn = torch.rand(3)

    def penalty(self) -> Tensor:
        return torch.stack([parameter.square().sum() for parameter in self.text.parameters()]).sum() / 10


def encoder(seed: int = 1) -> Penalised:
    torch.manual_seed(seed)
    states = torch.randn(2, ITEMS + 1, 12)
    states[:, 0] = 0
    plain = over_states(states, DIM, SSNASettings(layers=2, num_experts=3, integrate="gru"))
    penalised = Penalised(states, plain.text, DIM)
    assert penalised.ids is not None
    torch.nn.init.normal_(penalised.ids.weight, std=0.1)
    return penalised


def step(loss: str, future_targets: int) -> dict[str, Tensor]:
    """Losses and the gradient of one step of two accumulated batches, without noise or dropout."""
    negatives = 0 if loss in ("in-batch", "full") else 7
    name, teacher = (loss, None)
    if loss == "distillation":
        name, teacher = ("in-batch-logq", LinearTeacher.fit(EASE, data(), None, DIM).logits)
    settings = settings_of(
        f"loss.name={name}",
        f"loss.num_negatives={negatives}",
        f"training.future_targets={future_targets}",
        "distillation.weight=3",
    )
    model = Model(encoder(), SASRec(DIM, 6, **settings.sequence.model_dump()))
    trainer = Trainer(
        model,
        settings.training,
        Loss(settings.loss.name, settings.loss.temperature, settings.distillation.weight),
        total_steps=1,
    )
    batches = batches_of(data(), settings).epoch(teacher)
    model.eval()
    losses = [trainer.accumulate(next(batches), 1 / 2) for _ in range(2)]
    distributed.sum_gradients(model.parameters())
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    return gradients | {"losses": torch.tensor(losses, dtype=torch.float64)}


def epochs() -> dict[str, Tensor]:
    """Weights and validation after two epochs with noise and dropout, and what generators gave before."""
    model = encoder(seed=1 + distributed.rank())  # as if built otherwise in every process
    torch.manual_seed(0)
    fitted = fit(model, data(), settings_of("training.epochs=2", "training.early_stopping_patience=5"))
    valid = [list(epoch.valid.values()) for epoch in fitted.epochs]
    weights: dict[str, Tensor] = {f"weight {name}": weight for name, weight in model.named_parameters()}
    return weights | {"valid": torch.tensor(valid, dtype=torch.float64), "drawn": model.drawn}


if __name__ == "__main__":
    torch.set_num_threads(1)
    catalogue.CHUNK = 7
    with distributed.process_group(torch.device("cpu")):
        names = [(name, future_targets) for name in (*LOSSES, "distillation") for future_targets in (1, 3)]
        results = {f"{name} {future_targets}": step(name, future_targets) for name, future_targets in names}
        results["epochs"] = epochs()
        for name, tensors in results.items():
            whole = {key: tensor.detach().contiguous() for key, tensor in tensors.items()}
            save_file(whole, Path(sys.argv[1]) / f"{name}-{distributed.rank()}.safetensors")
