"""The ranks, the penalty and the importances of AdaLoRA, step by step."""

import naive
import pytest
import torch
from tuned_models import (
    ADAPTED,
    DEPTH,
    SCHEDULE,
    build,
    fit_seeded,
    settings_of,
    shaken,
    updates,
)

from ssna.core.errors import SettingsError
from ssna.data.dataset import Dataset
from ssna.methods.adalora import AdaLoraEncoder
from ssna.training import RunSettings

pytestmark = pytest.mark.slow


def total_rank(encoder: AdaLoraEncoder) -> int:
    """Directions that are not masked, over all maps."""
    return sum(int(torch.count_nonzero(weight)) for weight in updates(encoder, "E"))


def ranks_of_run(encoder: AdaLoraEncoder, data: Dataset, settings: RunSettings) -> list[int]:
    """The total rank after every step."""
    ranks, after_step = [], encoder.after_step

    def listening(step: int) -> None:
        after_step(step)
        ranks.append(total_rank(encoder))

    encoder.after_step = listening
    fit_seeded(encoder, data, settings)
    return ranks


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(("architecture", "pooling"), [("bert", "mean"), ("gpt2", "last"), ("mistral", "last")])
def test_the_total_rank_stays_falls_along_the_cubic_and_stays(architecture, pooling, accumulate, world):
    """Eq. 12 of Zhang et al.: 20 steps, of which 4 are before ``begin`` and 8 from ``end`` on."""
    maps = len(ADAPTED[architecture])
    encoder = build("adalora", world(architecture, pooling), **SCHEDULE)
    settings = settings_of(
        "adalora",
        "training.epochs=4",
        f"training.limit_train_batches={5 * accumulate}",
        f"training.gradient_accumulation_steps={accumulate}",
    )
    budgets = [int(2 * maps + (6 - 2) * maps * (1 - (step - 4) / 8) ** 3) for step in range(5, 12)]
    assert ranks_of_run(encoder, world().data, settings) == [6 * maps] * 5 + budgets + [2 * maps] * 8


@pytest.mark.parametrize(("steps", "expected"), [(1, [36]), (2, [36, 12]), (3, [36, 12, 12])])
def test_a_run_of_few_steps_has_a_schedule_too(steps, expected, world):
    encoder = build("adalora", world(), rank=2, initial_rank=6)
    settings = settings_of("adalora", "training.epochs=1", f"training.limit_train_batches={steps}")
    assert ranks_of_run(encoder, world().data, settings) == expected


def test_by_default_the_budget_is_reached_within_a_fifth_of_the_planned_steps(world):
    encoder = build("adalora", world(), rank=2, initial_rank=6)
    ranks = ranks_of_run(
        encoder, world().data, settings_of("adalora", "training.epochs=4", "training.limit_train_batches=5")
    )
    assert len(ranks) == 20
    assert (ranks[0], ranks[4:]) == (36, 16 * [12])
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("assignment", ["method.rank=12", "method.begin=0.3"])
def test_ranks_that_cannot_fall_are_refused(assignment):
    with pytest.raises(SettingsError, match=r"method\.rank < method\.initial_rank and method\.begin < method\.end"):
        settings_of("adalora", assignment)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_the_penalty_is_the_mean_distance_from_orthogonality(architecture, world):
    encoder = shaken(build("adalora", world(architecture), orthogonality=0.3))
    rows = [a.tolist() for a in updates(encoder, "A")] + [b.T.tolist() for b in updates(encoder, "B")]
    expected = 0.3 * sum(naive.distance_from_orthonormal(vectors) for vectors in rows) / len(rows)
    assert expected > 0
    assert encoder.penalty().item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_the_penalty_reaches_both_factors_of_every_map(world):
    encoder = build("adalora", world())
    encoder.penalty().backward()
    factors = updates(encoder, "A") + updates(encoder, "B")
    assert len(factors) == 4 * DEPTH
    assert all(factor.grad is not None and factor.grad.abs().max() > 0 for factor in factors)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_importance_is_weight_times_the_live_gradient_of_the_step(accumulate, world):
    """Without the penalty, so that the loss alone must make it; the first step's update is still zero."""
    encoder = build("adalora", world(), orthogonality=0.0, **SCHEDULE)
    allocator, after_step, seen = encoder.network.base_model.rankallocator, encoder.after_step, []

    def listening(step: int) -> None:
        named = {name: p for name, p in encoder.network.base_model.model.named_parameters() if "lora_" in name}
        expected = {name: (p * p.grad).detach().abs() for name, p in named.items()}
        after_step(step)
        if 1 <= step < 6:
            seen.append(step)
            assert allocator.ipt.keys() == expected.keys()
            for name, importance in expected.items():
                torch.testing.assert_close(allocator.ipt[name], importance, rtol=0, atol=0)
            assert (
                max(importance.max() for importance in expected.values()) > 0
            )  # ranks of some maps are all gone by then

    encoder.after_step = listening
    settings = settings_of(
        "adalora",
        "training.epochs=2",
        "training.limit_train_batches=10",
        f"training.gradient_accumulation_steps={accumulate}",
    )
    fit_seeded(encoder, world().data, settings)
    assert seen == [1, 2, 3, 4, 5]
