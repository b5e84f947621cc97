"""Optimizer steps over several batches, epochs that are cut, and early stopping, of every kind of method."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor
from tuned_models import (
    DIM,
    ITEMS,
    SCHEDULE,
    SMALL,
    TUNED,
    build,
    fit_seeded,
    learned,
    settings_of,
)

from ssna.data.dataset import Dataset
from ssna.methods import ItemEncoder
from ssna.nn.losses import LOSSES
from ssna.nn.sasrec import SASRec
from ssna.runs import Run, train
from ssna.training import Epoch, RunSettings, trainer
from ssna.training.batches import Batches
from ssna.training.trainer import Model

pytestmark = pytest.mark.long


@pytest.fixture
def gradients(monkeypatch) -> list[list[Tensor]]:
    """Of all that learns, just before every optimizer step."""
    taken, step = [], torch.optim.AdamW.step

    def listening(self, *args, **kwargs):
        taken.append([p.grad.clone() for group in self.param_groups for p in group["params"]])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", listening)
    return taken


def naive_gradients(encoder: ItemEncoder, data: Dataset, settings: RunSettings, skip: int, count: int) -> list[Tensor]:
    """Of the mean of losses and penalties of ``count`` batches after the first ``skip``, with untouched weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        model = Model(encoder, SASRec(DIM, data.max_history, **settings.sequence.model_dump())).train()
    batches = Batches(
        data.train,
        ITEMS,
        objective="autoregressive",
        max_history=data.max_history,
        batch_size=8,
        num_negatives=0,
        rng=np.random.default_rng(settings.seed),
    )
    model.zero_grad()
    values = [LOSSES["sampled"](model(batch), 0.07) for batch in islice(batches, skip, skip + count)]
    (sum(value + encoder.penalty() for value in values) / count).backward()
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [p.grad for p in parameters if p.ndim >= 2] + [p.grad for p in parameters if p.ndim < 2]


@pytest.mark.parametrize(("accumulate", "groups"), [(1, [1, 1]), (2, [2, 2, 1]), (3, [3, 3]), (9, [4])])
@pytest.mark.parametrize(
    ("method", "chosen"), [("tmlp", {}), ("lora", {"dropout": 0.0}), ("adalora", {"dropout": 0.0}), ("full", {})]
)
def test_gradient_accumulation_takes_the_gradient_of_the_mean_over_its_batches(
    method, chosen, accumulate, groups, gradients, world
):
    """Penalty included. The steps are too small to change a weight."""
    settings = settings_of(
        method,
        "training.epochs=1",
        f"training.gradient_accumulation_steps={accumulate}",
        f"training.limit_train_batches={sum(groups)}",
        "training.learning_rate=1e-12",
    )
    fit_seeded(build(method, world(), **chosen), world().data, settings)
    assert len(gradients) == len(groups)
    for step, count in enumerate(groups):
        expected = naive_gradients(build(method, world(), **chosen), world().data, settings, sum(groups[:step]), count)
        torch.testing.assert_close(gradients[step], expected, rtol=1e-3, atol=1e-6)


def test_limit_train_batches_cuts_an_epoch_and_the_record_says_so(gradients, world, data):
    def run(*assignments: str) -> Run:
        chosen = [*SMALL, "training.epochs=2", *assignments]
        return train(data, world().cache, method="tmlp", settings=chosen, quiet=True)

    whole = run().record
    assert {epoch["batches"] for epoch in whole.epochs} == {whole.batches}
    gradients.clear()
    cut = run("training.limit_train_batches=5", "training.gradient_accumulation_steps=2").record
    assert (cut.batches, [epoch["batches"] for epoch in cut.epochs]) == (whole.batches, [5, 5])
    assert whole.batches > 5
    assert len(gradients) == 2 * 3


def test_limit_train_batches_above_those_there_are_cuts_nothing(world, data):
    chosen = [*SMALL, "training.epochs=1", "training.limit_train_batches=1000"]
    record = train(data, world().cache, method="tmlp", settings=chosen, quiet=True).record
    assert record.epochs[0]["batches"] == record.batches < 1000


@pytest.mark.parametrize("method", TUNED)
def test_16_bit_training_leaves_weights_and_vectors_in_32_bits(method, world, data):
    encoder, settings = build(method, world()), settings_of(method, "training.epochs=1", "training.precision=bf16")
    fitted = fit_seeded(encoder, data, settings)
    assert np.isfinite(fitted.epochs[0].loss)
    assert {p.dtype for p in encoder.parameters()} | {fitted.scorer.vectors.dtype} == {torch.float32}


@pytest.mark.parametrize("method", TUNED)
def test_early_stopping_restores_the_best_weights(method, world, data, monkeypatch):
    """The ranks of AdaLoRA are among them: those of the second of five epochs."""
    recalls = iter([0.1, 0.3, 0.2, 0.3, 0.1, 0.9])
    monkeypatch.setattr(
        trainer, "ranks", lambda *_: np.array([1] * round(10 * (r := next(recalls))) + [99] * (10 - int(10 * r)))
    )
    chosen = SCHEDULE if method == "adalora" else {}
    encoder, after = build(method, world(), **chosen), []

    def keep(epoch: Epoch, weights: dict[str, Tensor]) -> None:
        after.append(learned(encoder))

    assignments = (
        "training.epochs=9",
        "training.early_stopping_patience=3",
        "training.limit_train_batches=2",
        "training.learning_rate=1e-2",
    )
    fitted = fit_seeded(encoder, data, settings_of(method, *assignments), on_epoch=keep)
    assert (fitted.best_epoch, len(fitted.epochs)) == (2, 5)
    final = learned(encoder)
    assert all(torch.equal(final[name], weight) for name, weight in after[1].items())
    assert not any(torch.equal(final[name], weight) for name, weight in after[4].items())
    torch.testing.assert_close(fitted.scorer.vectors, encoder.eval().item_embeddings(ITEMS))
