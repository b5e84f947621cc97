"""What a training step asks of an encoder, reports and leaves behind."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from small_training import settings_of

from ssna.core.errors import TrainingError
from ssna.methods.ids import Ids
from ssna.nn.losses import LOSSES, Loss
from ssna.nn.sasrec import SASRec
from ssna.training import Step, fit
from ssna.training.loop import batches_of
from ssna.training.profiler import Profiler
from ssna.training.trainer import Model, Trainer, TrainerHooks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("seeded")]


def test_training_frees_its_gradients(data, encoder):
    fitted = fit(encoder, data, settings_of())
    assert all(parameter.grad is None for parameter in (*encoder.parameters(), *fitted.sequence.parameters()))


def test_training_that_is_interrupted_frees_its_gradients(data, encoder):
    def interrupt(step: Step) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fit(encoder, data, settings_of(), on_step=interrupt)
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_a_training_set_without_targets_is_an_error_in_words(make_data):
    data = make_data([[1, 2, 3], [3, 2, 1]])
    with pytest.raises(TrainingError, match="nothing to learn from"):
        fit(Ids(3, 8), data, settings_of())


class Diverging(Ids):
    """Its vectors are not numbers while training, or only when evaluating."""

    bad_when_training = True

    def forward(self, items):
        return super().forward(items) * (float("nan") if self.training == self.bad_when_training else 1.0)


def test_a_loss_that_is_not_finite_stops_training_and_names_the_remedy(data):
    with pytest.raises(TrainingError, match=r"step 0; lower training\.learning_rate"):
        fit(Diverging(len(data.items), 8), data, settings_of())


def test_scores_that_are_not_numbers_stop_training_at_validation(data):
    encoder = Diverging(len(data.items), 8)
    encoder.bad_when_training = False
    with pytest.raises(TrainingError, match="not a number"):
        fit(encoder, data, settings_of())


class RecordingEncoder(Ids):
    """Writes down how the trainer calls it."""

    def __init__(self, items: int, dim: int) -> None:
        super().__init__(items, dim)
        self.total_steps: list[int] = []
        self.steps: list[int] = []
        self.gradients: list[bool] = []

    def on_train_begin(self, total_steps: int) -> None:
        self.total_steps.append(total_steps)

    def after_step(self, step: int) -> None:
        self.steps.append(step)
        self.gradients.append(self.vectors.weight.grad is not None)


@pytest.fixture
def recording(data) -> RecordingEncoder:
    encoder = RecordingEncoder(len(data.items), 8)
    fit(encoder, data, settings_of("training.epochs=2"))
    return encoder


class ItemRecorder(Ids):
    """Writes down the items that it is asked for while training."""

    def __init__(self, items: int, dim: int) -> None:
        super().__init__(items, dim)
        self.items_read: list[list[int]] = []

    def forward(self, items):
        if self.training:
            self.items_read.append(items.tolist())
        return super().forward(items)


def test_every_distinct_item_of_a_step_is_encoded_once(data):
    encoder, steps = ItemRecorder(len(data.items), 8), []
    fit(encoder, data, settings_of("training.epochs=1"), on_step=steps.append)
    assert len(encoder.items_read) == len(steps)
    assert all(len(items) == len(set(items)) for items in encoder.items_read)


def test_on_train_begin_is_called_once_with_the_number_of_steps(recording):
    assert recording.total_steps == [len(recording.steps)]


def test_after_step_is_called_with_the_number_of_every_step(recording):
    assert recording.steps == list(range(len(recording.steps)))


def test_gradients_are_still_there_in_after_step(recording):
    assert all(recording.gradients)


class Penalised(Ids):
    def penalty(self):
        return 1000 * self.vectors.weight[0].square().sum()


def test_a_penalty_is_learned_from(data):
    """Row 0 is padding: no loss ever reaches it, only the penalty does."""
    encoder = Penalised(len(data.items), 8)
    before = encoder.vectors.weight[0].norm().item()
    fit(encoder, data, settings_of("training.epochs=1", "training.learning_rate=1e-3"))
    assert encoder.vectors.weight[0].norm().item() < before


def test_a_penalty_is_no_part_of_the_loss_reported(data):
    reported = []
    for kind in (Ids, Penalised):
        torch.manual_seed(0)
        fitted = fit(kind(len(data.items), 8), data, settings_of("training.epochs=1", "training.learning_rate=1e-9"))
        reported.append(fitted.epochs[0].loss)
    assert reported[0] == pytest.approx(reported[1], rel=1e-5)


def test_the_loss_reported_is_the_mean_over_targets_not_over_steps(data, encoder, monkeypatch):
    sizes: list[int] = []

    def loss_of_size(inputs, temperature):
        sizes.append(len(inputs.targets))
        return 0 * inputs.user_embeddings.sum() + len(inputs.targets)

    monkeypatch.setitem(LOSSES, "in-batch", loss_of_size)
    fitted = fit(encoder, data, settings_of("training.epochs=1", "training.batch_size=7"))
    assert len(set(sizes)) > 1
    assert fitted.epochs[0].loss == pytest.approx(sum(size**2 for size in sizes) / sum(sizes))


def test_the_model_ranks_in_full_precision_after_training_in_half(data, encoder):
    fitted = fit(encoder, data, settings_of("training.precision=bf16", "training.epochs=1"))
    assert fitted.scorer.score(data.valid.histories).dtype == torch.float32


class RecordingHooks(TrainerHooks):
    """Writes down what is called, and where spans end."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        self.calls.append(name)
        yield
        self.calls.append(f"/{name}")

    def on_step_end(self) -> None:
        self.calls.append("on_step_end")

    def on_epoch_end(self) -> None:
        self.calls.append("on_epoch_end")


def test_trainer_hooks_are_called_around_batches_losses_and_steps(data, encoder):
    hooks = RecordingHooks()
    settings = settings_of("training.gradient_accumulation_steps=2", "training.batch_size=60").training
    batches = batches_of(data, settings_of("training.batch_size=60"))
    assert len(batches) == 3
    model = Model(encoder, SASRec(8, data.max_history, 1, 1, 8, 0.0))
    steps = Trainer(model, settings, Loss("in-batch", 0.1), 2, hooks).steps(batches, lambda _: None)
    whole, half = ["batches", "/batches", *2 * ["loss", "/loss"]], ["batches", "/batches", "loss", "/loss"]
    next(steps)
    assert hooks.calls == ["step", *whole, "/step", "on_step_end"]
    hooks.calls.clear()
    assert len(list(steps)) == 1
    last = ["step", "batches", "/batches", "/step", "on_epoch_end"]  # there are no more
    assert hooks.calls == ["step", *half, "/step", "on_step_end", *last]


def test_a_profiler_is_given_to_the_trainer_as_its_hooks(data, encoder, monkeypatch):
    given = []
    init = Trainer.__init__

    def recording_init(self, *arguments):
        given.append(arguments[-1])
        init(self, *arguments)

    monkeypatch.setattr(Trainer, "__init__", recording_init)
    profiler = Profiler(lambda table: None)
    fit(encoder, data, settings_of("training.epochs=1"), profiler=profiler)
    assert given == [profiler]
