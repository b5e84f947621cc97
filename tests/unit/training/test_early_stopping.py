"""When training stops, and which epoch it keeps."""

import pytest
import torch
from small_training import settings_of

from ssna.training import fit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("seeded")]


def test_training_stops_after_early_stopping_patience_epochs_without_a_better_one(data, encoder, validation_recalls):
    validation_recalls(0.1, 0.3, 0.3, 0.2, 0.3, 0.9)
    fitted = fit(encoder, data, settings_of("training.epochs=6", "training.early_stopping_patience=3"))
    assert len(fitted.epochs) == 5


def test_the_best_epoch_is_the_first_with_the_highest_recall_at_10(data, encoder, validation_recalls):
    validation_recalls(0.1, 0.3, 0.3, 0.2)
    assert fit(encoder, data, settings_of("training.epochs=4")).best_epoch == 2


def test_the_weights_of_the_best_epoch_are_kept(data, encoder, validation_recalls):
    validation_recalls(0.1, 0.3, 0.2)
    passed = []

    def copy(_, weights):
        passed.append({name: weight.clone() for name, weight in weights.items()})

    fitted = fit(encoder, data, settings_of("training.epochs=3"), on_epoch=copy)
    kept = {f"sequence.{name}": weight for name, weight in fitted.sequence.state_dict().items()}
    kept |= {f"encoder.{name}": weight for name, weight in encoder.state_dict().items()}
    assert {name: torch.equal(weight, passed[1][name]) for name, weight in kept.items()} == dict.fromkeys(kept, True)


def test_the_item_vectors_of_the_scorer_are_those_of_the_best_epoch(data, encoder, validation_recalls):
    validation_recalls(0.3, 0.2, 0.1)
    fitted = fit(encoder, data, settings_of("training.epochs=3"))
    assert torch.equal(fitted.scorer.vectors[1:], encoder.vectors.weight[1:])


def test_weights_are_passed_on_after_epochs_that_were_the_best_so_far(data, encoder, validation_recalls):
    validation_recalls(0.1, 0.1, 0.3, 0.2)
    passed = []
    fit(encoder, data, settings_of("training.epochs=4"), on_epoch=lambda _, weights: passed.append(bool(weights)))
    assert passed == [True, False, True, False]


LOW_HITS = [10] * 5 + [99] * 5  # R@10 0.5, N@10 0.14
FEW_FIRST = [1] * 3 + [99] * 7  # R@10 0.3, N@10 0.3


@pytest.mark.parametrize(("monitor", "best"), [("R@10", 1), ("N@10", 2), ("R@10+N@10", 1), ("N@10+N@50", 2)])
def test_the_best_epoch_is_chosen_by_training_monitor(data, encoder, validation_ranks, monitor, best):
    validation_ranks(LOW_HITS, FEW_FIRST)
    assert fit(encoder, data, settings_of(f"training.monitor={monitor}")).best_epoch == best


def test_early_stopping_counts_epochs_without_a_better_training_monitor(data, encoder, validation_ranks):
    validation_ranks(LOW_HITS, FEW_FIRST, LOW_HITS, FEW_FIRST)
    patience = ("training.epochs=4", "training.early_stopping_patience=1", "training.monitor=N@10")
    assert len(fit(encoder, data, settings_of(*patience)).epochs) == 3
