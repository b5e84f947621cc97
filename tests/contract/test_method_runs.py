"""What a run of every method in ``METHODS`` promises: it is reproducible, can be resumed and warm-started."""

import random

import numpy as np
import pytest
import torch
from method_worlds import DIM, ITEMS, READERS, SMALL, run_of, settings_of

from ssna.core.errors import SettingsError
from ssna.methods import METHODS
from ssna.nn.sasrec import SASRec
from ssna.runs import Run, resolve, train
from ssna.runs.execute import execute
from ssna.runs.warm_start import WarmStart
from ssna.training import fit
from ssna.training.checkpoint import Checkpoint
from ssna.training.trainer import Model

pytestmark = pytest.mark.long


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
def test_a_method_that_reads_texts_says_so_without_a_cache(reader, world):
    with pytest.raises(SettingsError, match=f"{reader} reads item texts"):
        train(world.data, method=reader, quiet=True)


class CutOffError(Exception):
    """What a kill is, within a process."""


@pytest.mark.parametrize("steps", [1, 7, 12])
def test_training_resumed_from_a_checkpoint_is_unbroken_training(world, trained, steps, tmp_path):
    more = (
        "training.epochs=3",
        "training.gradient_accumulation_steps=2",
        "sequence.dropout=0.3",
        "loss.name=sampled",
        "loss.num_negatives=5",
    )
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
    resumed = fitted(0, checkpoint)
    assert len(whole.epochs) == 3
    assert figures(resumed.epochs) == figures(whole.epochs)
    assert resumed.best_epoch == whole.best_epoch
    assert torch.equal(resumed.scorer.vectors, whole.scorer.vectors)
    for ours, theirs in zip(resumed.sequence.parameters(), whole.sequence.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_warm_start_has_the_item_embeddings_and_the_sequence_model_of_the_run(world, trained, tmp_path):
    settings = resolve(method=trained, settings=[*SMALL, "training.epochs=1"])
    run = execute(world.data, world.cache, settings, tmp_path / "run", quiet=True)
    other_seed = settings.model_copy(update={"seed": settings.seed + 1})
    encoder = METHODS[trained].build(settings.method, world.data, world.cache, DIM)
    warm_start = WarmStart.of(tmp_path / "run", other_seed, world.data, world.cache)
    model = Model(encoder, SASRec(DIM, world.data.max_history, **settings.sequence.model_dump()))
    model.load_state_dict(warm_start.weights_for(encoder, world.data), strict=False)
    here, there = model.scorer(ITEMS, world.data.max_history), run.recommender.scorer
    assert torch.equal(here.vectors, there.vectors)
    assert all(
        torch.equal(weight, there.sequence.state_dict()[name]) for name, weight in here.sequence.state_dict().items()
    )
