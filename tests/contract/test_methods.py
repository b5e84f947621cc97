"""What every method in ``METHODS`` promises. A new entry there is tested here without a line of its own.

The item states come from a tiny random language model, so that methods that tune a model find one.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ssna.core.errors import SettingsError
from ssna.core.ragged import Ragged
from ssna.data.dataset import Dataset
from ssna.evaluation.metrics import recall
from ssna.methods import METHODS, FittedMethod, ItemEncoder, TrainedMethod
from ssna.nn.losses import LOSSES
from ssna.nn.sasrec import SASRec
from ssna.runs import Run, resolve, train
from ssna.runs.run import execute
from ssna.runs.warm_start import WarmStart
from ssna.scoring import VectorScorer
from ssna.text import LayerCache, encode
from ssna.training import RunSettings, fit
from ssna.training.batches import autoregressive, collate
from ssna.training.checkpoint import Checkpoint
from ssna.training.trainer import Model

ITEMS, DIM = 40, 16
SMALL = [
    f"dim={DIM}",
    "sequence.ffn_dim=16",
    "sequence.dropout=0",
    "loss.name=batch-items",
    "training.batch_size=64",
    "training.learning_rate=5e-3",
    "training.precision=fp32",
]
TRAINED = [name for name, method in METHODS.items() if isinstance(method, TrainedMethod)]
READERS = [name for name, method in METHODS.items() if method.needs_text]
PATTERNS = {"popularity": "few items", "text-knn": "like texts"}  # what it can learn; all others: what follows what

GENTLY = ("training.epochs=60", "training.learning_rate=2e-3")
LEARN = {
    "tmlp": ("training.epochs=60",),
    "tmoe": ("training.epochs=60",),
    "lora": GENTLY,
    "adalora": GENTLY,
    "full": GENTLY,
}  # what it takes


def pattern_of(method: str) -> str:
    return PATTERNS.get(method, "what follows what")


@dataclass(frozen=True)
class World:
    """Logs with a pattern, and the states of their items."""

    data: Dataset
    cache: LayerCache


def chain(rng: np.random.Generator) -> list[int]:
    """Item ``i + 1`` always follows item ``i``, and the last one the first."""
    start = rng.integers(ITEMS)
    return [int(step) % ITEMS + 1 for step in range(start, start + rng.integers(6, 10))]


def like_texts(rng: np.random.Generator) -> list[int]:
    """Items of one group of five; their texts begin alike."""
    return (5 * rng.integers(ITEMS // 5) + 1 + rng.permutation(5)).tolist()


def few_items(rng: np.random.Generator) -> list[int]:
    """Everybody takes some of the same eight items."""
    return (1 + rng.permutation(8)[:6]).tolist()


@pytest.fixture(scope="module")
def worlds(
    make_data: Callable, distinct_texts: Callable, language_model: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, World]:
    plain = distinct_texts(ITEMS)
    themes = distinct_texts(ITEMS // 5, seed=1, longest=9)
    grouped = [f"{themes[item // 5]} {themes[item // 5]} word{item}" for item in range(ITEMS)]
    folder = tmp_path_factory.mktemp("cache")
    result = {}
    for name, walk, texts in (
        ("what follows what", chain, plain),
        ("like texts", like_texts, grouped),
        ("few items", few_items, plain),
    ):
        rng = np.random.default_rng(0)
        data = make_data([walk(rng) for _ in range(120)], ITEMS, texts, max_history=10)
        cache, _ = encode(data.texts, language_model, folder, dtype="fp32", device="cpu", quiet=True)
        result[name] = World(data, cache)
    return result


@pytest.fixture
def world(worlds: dict[str, World]) -> World:
    return worlds["what follows what"]


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=TRAINED)
def trained(request: pytest.FixtureRequest) -> str:
    return request.param


def settings_of(method: str, *assignments: str) -> RunSettings:
    return resolve(method=method, settings=[*SMALL, *assignments])


def run_of(method: str, world: World, *assignments: str, seed: int = 0) -> Run:
    return train(world.data, world.cache, method=method, settings=[*SMALL, *assignments], seed=seed, quiet=True)


@pytest.fixture
def build(world: World) -> Callable[[str], ItemEncoder]:
    def make(method: str) -> ItemEncoder:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            cache = world.cache if METHODS[method].needs_text else None
            return METHODS[method].build(settings_of(method).method, world.data, cache, DIM)

    return make


@pytest.fixture
def encoder(build: Callable, trained: str) -> ItemEncoder:
    return build(trained)


SOME_ITEMS = torch.tensor([7, 3, 39, 40, 1, 12])


# items to vectors


def test_every_item_gets_one_vector_of_the_width_asked_for(encoder):
    assert encoder(SOME_ITEMS).shape == (len(SOME_ITEMS), DIM)


def test_the_matrix_has_a_row_for_every_item_and_a_zero_one_for_padding(encoder):
    matrix = encoder.eval().matrix(ITEMS)
    assert (tuple(matrix.shape), matrix.dtype) == ((ITEMS + 1, DIM), torch.float32)
    assert matrix[0].abs().max() == 0


def test_the_rows_of_the_matrix_are_the_vectors_of_the_items(encoder):
    matrix = encoder.eval().matrix(ITEMS, chunk=7)
    torch.testing.assert_close(matrix[SOME_ITEMS], encoder(SOME_ITEMS).detach(), rtol=1e-4, atol=1e-5)


def test_an_items_vector_does_not_depend_on_the_rest_of_the_batch(encoder):
    together = encoder.eval()(SOME_ITEMS)
    alone = torch.cat([encoder(item[None]) for item in SOME_ITEMS])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_evaluation_is_deterministic(encoder):
    encoder.eval()
    assert torch.equal(encoder(SOME_ITEMS), encoder(SOME_ITEMS))


def test_distinct_items_have_distinct_vectors(encoder):
    matrix = encoder.eval().matrix(ITEMS)
    assert len(torch.unique(matrix, dim=0)) == ITEMS + 1


# learning


def a_batch(data: Dataset):
    segments = autoregressive(data.train, data.max_history)
    return collate(data.train, segments, np.arange(30), ITEMS, 0, np.random.default_rng(0))


def test_every_parameter_that_asks_for_a_gradient_gets_a_finite_one(encoder, world):
    model = Model(encoder, SASRec(DIM, world.data.max_history, 1, 1, 8, 0.0)).train()
    (LOSSES["batch-items"](model(a_batch(world.data)), 0.07) + encoder.penalty()).backward()
    learned = {name: p.grad for name, p in encoder.named_parameters() if p.requires_grad}
    assert learned
    assert [name for name, grad in learned.items() if grad is None or not torch.isfinite(grad).all()] == []


def test_parameters_that_ask_for_no_gradient_get_none(encoder, world):
    model = Model(encoder, SASRec(DIM, world.data.max_history, 1, 1, 8, 0.0)).train()
    LOSSES["batch-items"](model(a_batch(world.data)), 0.07).backward()
    assert [name for name, p in encoder.named_parameters() if not p.requires_grad and p.grad is not None] == []


def frozen(encoder: ItemEncoder) -> dict[str, torch.Tensor]:
    parameters = {name: p for name, p in encoder.named_parameters() if not p.requires_grad}
    return {name: tensor.clone() for name, tensor in (parameters | dict(encoder.named_buffers())).items()}


def learned(encoder: ItemEncoder) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in encoder.named_parameters() if p.requires_grad}


def test_what_is_frozen_never_changes(encoder, trained, world):
    before = frozen(encoder)
    fit(encoder, world.data, settings_of(trained, "training.epochs=2"))
    after = frozen(encoder)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_what_is_not_frozen_changes(encoder, trained, world):
    before = learned(encoder)
    fit(encoder, world.data, settings_of(trained, "training.epochs=2"))
    assert [name for name, weight in learned(encoder).items() if torch.equal(weight, before[name])] == []


def test_the_states_of_the_cache_never_change(trained, world):
    before = world.cache.top(1)
    run_of(trained, world, "training.epochs=1")
    np.testing.assert_array_equal(world.cache.top(1), before)


def test_steps_on_one_batch_lower_its_loss(encoder, trained, world):
    """One step an epoch, each on all targets."""
    settings = settings_of(trained, "training.epochs=40", "training.early_stopping_patience=40", "training.batch_size=100000")
    losses = [epoch.loss for epoch in fit(encoder, world.data, settings).epochs]
    assert losses[-1] < 0.9 * losses[0]


# runs


@pytest.fixture(scope="module")
def finished(worlds: dict[str, World]) -> dict[str, Run]:
    """Every method, trained in earnest on a pattern that it can learn."""
    return {
        method: run_of(
            method,
            worlds[pattern_of(method)],
            "training.early_stopping_patience=60",
            "sequence.dropout=0.1",
            *LEARN.get(method, ("training.epochs=25",)),
        )
        for method in METHODS
    }


def test_a_pattern_is_recovered(method, finished):
    ranks = finished[method].evaluations["test"].ranks["exclude_seen"]
    assert recall(ranks, 10).mean() > 0.9


def test_a_pattern_is_recovered_far_better_than_by_chance(method, finished):
    ranks = finished[method].evaluations["test"].ranks["exclude_seen"]
    assert recall(ranks, 3).mean() > 0.7


def test_training_lowers_the_loss(trained, finished):
    epochs = finished[trained].record.epochs
    assert epochs[-1]["loss"] < 0.5 * epochs[0]["loss"]


def test_the_record_counts_the_parameters_that_learn(method, finished, build, worlds):
    if isinstance(METHODS[method], FittedMethod):
        expected = 0
    else:
        sequence = SASRec(DIM, 10, **settings_of(method).sequence.model_dump())
        expected = sum(p.numel() for m in (build(method), sequence) for p in m.parameters() if p.requires_grad)
    assert finished[method].record.trainable_parameters == expected


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.recommender.scorer.state()[1]


def test_two_runs_with_one_seed_are_identical(method, world):
    first, second = (run_of(method, world, "training.epochs=2", "sequence.dropout=0.3", seed=3) for _ in range(2))
    assert weights(first).keys() == weights(second).keys()
    assert [name for name, tensor in weights(first).items() if not torch.equal(tensor, weights(second)[name])] == []
    for split in first.evaluations:
        for policy, ranks in first.evaluations[split].ranks.items():
            np.testing.assert_array_equal(ranks, second.evaluations[split].ranks[policy])


def test_runs_with_other_seeds_differ(trained, world):
    first, second = (run_of(trained, world, "training.epochs=1", seed=seed) for seed in (3, 4))
    assert not torch.equal(weights(first)["vectors"], weights(second)["vectors"])


def test_a_run_leaves_the_global_random_generators_alone(method, world):
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    run_of(method, world, "training.epochs=1")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_a_run_does_not_depend_on_the_global_random_generators(trained, world):
    runs = []
    with torch.random.fork_rng(devices=[]):
        for seed in (1, 2):
            torch.manual_seed(seed)
            runs.append(run_of(trained, world, "training.epochs=1", "sequence.dropout=0.3"))
    assert torch.equal(weights(runs[0])["vectors"], weights(runs[1])["vectors"])


@pytest.mark.parametrize("reader", READERS)
def test_an_item_admitted_by_the_states_of_a_known_one_scores_as_that_one(reader, finished, worlds):
    """So what is learned lies in the adapters, and the catalogue's own states are those of the cache."""
    scorer = finished[reader].recommender.scorer
    if not isinstance(scorer, VectorScorer) or not scorer.layers:
        pytest.skip("its scores do not come from the text alone, or it admits nothing")
    cache = worlds[pattern_of(reader)].cache
    states = torch.from_numpy(cache.top(len(cache.layers)))  # more than a scorer may read
    scores = scorer.add_items(states[:, SOME_ITEMS]).score(Ragged.from_rows([[2, 3], [9]]))
    torch.testing.assert_close(scores[:, ITEMS + 1 :], scores[:, SOME_ITEMS], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reader", READERS)
def test_a_method_that_reads_texts_says_so_without_a_cache(reader, world):
    with pytest.raises(SettingsError, match=f"{reader} reads item texts"):
        train(world.data, method=reader, quiet=True)


def test_a_saved_run_answers_as_before(method, finished, tmp_path):
    recommender = finished[method].recommender
    recommender.save(tmp_path / "model")
    loaded = type(recommender).load(tmp_path / "model")
    histories = [["i1", "i2"], ["i7"], []]
    assert loaded.recommend(histories) == recommender.recommend(histories)


class CutOffError(Exception):
    """What a kill is, within a process."""


@pytest.mark.parametrize("steps", [1, 7, 12])
def test_training_that_is_cut_off_goes_on_as_if_it_had_not_been(world, trained, steps, tmp_path):
    more = ("training.epochs=3", "training.gradient_accumulation_steps=2", "sequence.dropout=0.3", "loss.name=sampled", "loss.num_negatives=5")
    settings = settings_of(trained, *more, "training.lr_schedule=cosine", "training.weight_decay=0.1")
    left = 2 * steps

    def cut(step) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise CutOffError

    def fitted(seed: int, checkpoint: Checkpoint | None, **options):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder = METHODS[trained].build(settings.method, world.data, world.cache, settings.dim)
            return fit(encoder, world.data, settings, checkpoint=checkpoint, **options)

    def figures(epochs) -> list[tuple]:
        return [(epoch.number, epoch.loss, epoch.valid) for epoch in epochs]

    whole = fitted(0, None)
    checkpoint = Checkpoint(tmp_path / "checkpoint", {"run": 1}, every=0.0)
    with pytest.raises(CutOffError):
        fitted(0, checkpoint, on_step=cut)
    again = fitted(0, checkpoint)
    assert len(whole.epochs) == 3
    assert figures(again.epochs) == figures(whole.epochs)
    assert again.best_epoch == whole.best_epoch
    assert torch.equal(again.scorer.vectors, whole.scorer.vectors)
    for ours, theirs in zip(again.sequence.parameters(), whole.sequence.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_training_that_starts_from_a_run_starts_at_its_vectors_and_its_sequence_model(world, trained, tmp_path):
    settings = resolve(method=trained, settings=[*SMALL, "training.epochs=1"])
    run = execute(world.data, world.cache, settings, tmp_path / "run", quiet=True)
    again = settings.model_copy(update={"seed": settings.seed + 1})
    encoder = METHODS[trained].build(settings.method, world.data, world.cache, DIM)
    start = WarmStart.of(tmp_path / "run", again, world.data, world.cache)
    model = Model(encoder, SASRec(DIM, world.data.max_history, **settings.sequence.model_dump()))
    model.load_state_dict(start.weights_for(encoder, world.data), strict=False)
    here, there = model.scorer(ITEMS, world.data.max_history), run.recommender.scorer
    assert torch.equal(here.vectors, there.vectors)
    assert all(
        torch.equal(weight, there.sequence.state_dict()[name]) for name, weight in here.sequence.state_dict().items()
    )
