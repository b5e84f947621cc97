"""What every method in ``METHODS`` promises. A new entry there is tested here without a line of its own.

The item states come from a tiny random language model, so that methods that tune a model find one.
"""

import numpy as np
import pytest
import torch
from method_worlds import DIM, ITEMS, SOME_ITEMS, run_of, settings_of

from ssna.data.dataset import Dataset
from ssna.methods import ItemEncoder
from ssna.nn.losses import LOSSES
from ssna.nn.sasrec import SASRec
from ssna.training import fit
from ssna.training.batches import autoregressive, collate
from ssna.training.trainer import Model

pytestmark = pytest.mark.slow

# items to vectors


def test_every_item_gets_one_vector_of_the_width_asked_for(encoder):
    assert encoder(SOME_ITEMS).shape == (len(SOME_ITEMS), DIM)


def test_item_embeddings_have_a_row_for_every_item_and_a_zero_one_for_padding(encoder):
    embeddings = encoder.eval().item_embeddings(ITEMS)
    assert (tuple(embeddings.shape), embeddings.dtype) == ((ITEMS + 1, DIM), torch.float32)
    assert embeddings[0].abs().max() == 0


def test_the_rows_of_item_embeddings_are_the_vectors_of_the_items(encoder):
    embeddings = encoder.eval().item_embeddings(ITEMS, chunk=7)
    torch.testing.assert_close(embeddings[SOME_ITEMS], encoder(SOME_ITEMS).detach(), rtol=1e-4, atol=1e-5)


def test_an_items_vector_does_not_depend_on_the_rest_of_the_batch(encoder):
    together = encoder.eval()(SOME_ITEMS)
    alone = torch.cat([encoder(item[None]) for item in SOME_ITEMS])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_evaluation_is_deterministic(encoder):
    encoder.eval()
    assert torch.equal(encoder(SOME_ITEMS), encoder(SOME_ITEMS))


def test_distinct_items_have_distinct_vectors(encoder):
    embeddings = encoder.eval().item_embeddings(ITEMS)
    assert len(torch.unique(embeddings, dim=0)) == ITEMS + 1


# learning


def a_batch(data: Dataset):
    segments = autoregressive(data.train, data.max_history)
    return collate(data.train, segments, np.arange(30), ITEMS, 0, np.random.default_rng(0))


def test_every_parameter_that_asks_for_a_gradient_gets_a_finite_one(encoder, world):
    model = Model(encoder, SASRec(DIM, world.data.max_history, 1, 1, 8, 0.0)).train()
    (LOSSES["sampled"](model(a_batch(world.data)), 0.07) + encoder.penalty()).backward()
    learned = {name: p.grad for name, p in encoder.named_parameters() if p.requires_grad}
    assert learned
    assert [name for name, grad in learned.items() if grad is None or not torch.isfinite(grad).all()] == []


def test_parameters_that_ask_for_no_gradient_get_none(encoder, world):
    model = Model(encoder, SASRec(DIM, world.data.max_history, 1, 1, 8, 0.0)).train()
    LOSSES["sampled"](model(a_batch(world.data)), 0.07).backward()
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
    settings = settings_of(
        trained, "training.epochs=40", "training.early_stopping_patience=40", "training.batch_size=100000"
    )
    losses = [epoch.loss for epoch in fit(encoder, world.data, settings).epochs]
    assert losses[-1] < 0.9 * losses[0]
