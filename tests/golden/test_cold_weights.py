"""CEASE admits an item without events as if the regression had been fitted with it."""

import numpy as np
import pytest
import torch

from ssna.core.ragged import Ragged
from ssna.methods.ease import CeaseSettings, Regression, inverse_of
from ssna.scoring import restore

SETTINGS = CeaseSettings(ridge=20, text=5, top_k=50, decay=0.7)
DIM = 6


@pytest.fixture(scope="module")
def world(random_data, make_cache):
    data = random_data(seed=3)
    rng = np.random.default_rng(0)
    states = rng.normal(size=(1, len(data.items), 9)).astype(np.float32)
    return data, make_cache(data, states), torch.from_numpy(rng.normal(size=(1, 3, 9)).astype(np.float32))


def refitted(regression: Regression, vectors: torch.Tensor) -> np.ndarray:
    """Weights ``(n + m, n + m)`` of the regression with ``m`` more items, each of which nobody has."""
    v = torch.cat([regression.vectors, vectors]).double()
    n, gram = len(regression.vectors), SETTINGS.text * v @ v.T
    gram[:n, :n] = regression.gram.double()
    p = torch.linalg.inv(gram + SETTINGS.ridge * torch.eye(len(v)))
    weights = -p / p.diagonal()
    return weights.fill_diagonal_(0).numpy()


def test_scores_of_a_new_item_are_those_of_a_regression_fitted_with_it(world):
    data, cache, h = world
    regression = Regression.of(SETTINGS, data, cache, DIM)
    scorer = Regression.of(SETTINGS, data, cache, DIM).scorer(admits=True)
    wider = scorer.add_items(h[:, :1])
    weights = refitted(regression, scorer.text_weights.whitening(h[:, :1]))
    place = {int(item): number for number, item in enumerate(regression.chosen)}
    history = [int(item) for item in regression.chosen[:4]]
    counts = [0.7**back for back in range(len(history) - 1, -1, -1)]
    expected = sum(count * weights[place[item], -1] for item, count in zip(history, counts, strict=True))
    assert wider.score(Ragged.from_rows([history]))[0, -1].item() == pytest.approx(expected, rel=1e-4)


def test_a_new_item_in_a_history_counts_as_in_a_regression_fitted_with_it(world):
    data, cache, h = world
    regression = Regression.of(SETTINGS, data, cache, DIM)
    scorer = Regression.of(SETTINGS, data, cache, DIM).scorer(admits=True)
    wider = scorer.add_items(h[:, :1])
    weights = refitted(regression, scorer.text_weights.whitening(h[:, :1]))
    found = wider.score(Ragged.from_rows([[len(data.items) + 1]]))[0]
    np.testing.assert_allclose(found[torch.from_numpy(regression.chosen)], weights[-1, :-1], rtol=2e-4, atol=1e-7)


def test_old_items_keep_their_scores_and_batches_equal_one_by_one(world):
    data, cache, h = world
    scorer = Regression.of(SETTINGS, data, cache, DIM).scorer(admits=True)
    together, singly = scorer.add_items(h), scorer
    for number in range(h.shape[1]):
        singly = singly.add_items(h[:, number : number + 1])
    histories = data.valid.histories
    old = scorer.num_rows
    assert torch.equal(together.score(histories)[:, :old], scorer.score(histories))
    torch.testing.assert_close(singly.score(histories), together.score(histories))
    with_new = Ragged.from_rows([[1, old, old + 2], [old + 1]])
    torch.testing.assert_close(singly.score(with_new), together.score(with_new))


def test_it_survives_saving_and_selecting(world):
    data, cache, h = world
    scorer = Regression.of(SETTINGS, data, cache, DIM).scorer(admits=True).add_items(h)
    config, tensors = scorer.state()
    again = restore(scorer.kind, config, tensors)
    histories = Ragged.from_rows([[1, 2, scorer.num_rows - 1], [3]])
    assert torch.equal(again.score(histories), scorer.score(histories))
    rows = torch.tensor([0, 1, 2, 3, scorer.num_rows - 2, scorer.num_rows - 1])
    fewer = again.select_items(rows)
    renamed = Ragged.from_rows([[1, 2, 5], [3]])
    torch.testing.assert_close(fewer.score(renamed), scorer.score(histories)[:, rows])
    assert fewer.add_items(h[:, :1]).num_rows == 7


def test_as_a_baseline_it_gives_new_items_nothing(world):
    data, cache, h = world
    wider = Regression.of(SETTINGS, data, cache, DIM).scorer().add_items(h)
    assert (wider.score(data.valid.histories)[:, -3:] == 0).all()


def test_the_inverse_is_that_of_the_gram_matrix():
    gram = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    torch.testing.assert_close(inverse_of(gram.clone(), 1.0), torch.linalg.inv(gram + torch.eye(2)))


def test_a_new_item_has_no_weight_to_itself(world):
    data, cache, h = world
    wider = Regression.of(SETTINGS, data, cache, DIM).scorer(admits=True).add_items(h[:, :1])
    new = len(data.items) + 1
    assert wider.score(Ragged.from_rows([[new]]))[0, new].item() == pytest.approx(0, abs=1e-6)
