"""CEASE admits an item without events as if the regression had been fitted with it."""

from collections.abc import Sequence

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ragged
from ssna.methods.ease import CeaseSettings, CeaseWordsSettings, Regression, inverse_of
from ssna.scoring import LinearScorer, covariances, restore

LINEAR = {"ridge": 20, "text": 5, "top_k": 50, "decay": 0.7}
DIM = 6
NEW = ("red drill", "a blue saw for wood", "blue drill")
KINDS = ("shop", "drill", "saw")


@pytest.fixture(
    params=[CeaseSettings(**LINEAR), CeaseWordsSettings(**LINEAR, words=8, text_events=3)], ids=["cease", "words"]
)
def settings(request):
    return request.param


@pytest.fixture(scope="module")
def world(random_data, make_cache):
    texts = [f"{'red' if row % 3 else 'blue'} {KINDS[row % 3]} {row}" for row in range(20)]
    data = random_data(seed=3, texts=texts)
    rng = np.random.default_rng(0)
    states = rng.normal(size=(1, len(data.items), 9)).astype(np.float32)
    return data, make_cache(data, states), torch.from_numpy(rng.normal(size=(1, 3, 9)).astype(np.float32))


def refitted(regression: Regression, scorer: LinearScorer, h: torch.Tensor, texts: Sequence[str]) -> np.ndarray:
    """Weights ``(n + m, n + m)`` of the regression with ``m`` more items, each of which nobody has."""
    weights = scorer.text_weights
    known, new = weights.texts, weights.read(h, texts)
    v = torch.cat([known.vectors, new.vectors]).double()
    words = torch.from_numpy(sparse.vstack([known.bags, new.bags]).toarray()).double()
    factors = torch.cat([weights.factors, torch.ones(len(new))]).double()
    gram = factors[:, None] * (weights.text * v @ v.T + weights.words * words @ words.T) * factors
    n = len(known)
    gram[:n, :n] = regression.gram.double()
    p = torch.linalg.inv(gram + weights.ridge * torch.eye(len(v)))
    return (-p / p.diagonal()).fill_diagonal_(0).numpy()


def test_scores_of_a_new_item_are_those_of_a_regression_fitted_with_it(world, settings):
    data, cache, h = world
    regression = Regression.of(settings, data, cache, DIM)
    scorer = Regression.of(settings, data, cache, DIM).scorer(admits=True)
    wider = scorer.add_items(h[:, :1], NEW[:1])
    weights = refitted(regression, scorer, h[:, :1], NEW[:1])
    place = {int(item): number for number, item in enumerate(regression.chosen)}
    history = [int(item) for item in regression.chosen[:4]]
    counts = [0.7**back for back in range(len(history) - 1, -1, -1)]
    expected = sum(count * weights[place[item], -1] for item, count in zip(history, counts, strict=True))
    assert wider.score(Ragged.from_rows([history]))[0, -1].item() == pytest.approx(expected, rel=1e-4)


def test_a_new_item_in_a_history_counts_as_in_a_regression_fitted_with_it(world, settings):
    data, cache, h = world
    regression = Regression.of(settings, data, cache, DIM)
    scorer = Regression.of(settings, data, cache, DIM).scorer(admits=True)
    wider = scorer.add_items(h[:, :1], NEW[:1])
    weights = refitted(regression, scorer, h[:, :1], NEW[:1])
    found = wider.score(Ragged.from_rows([[len(data.items) + 1]]))[0]
    np.testing.assert_allclose(found[torch.from_numpy(regression.chosen)], weights[-1, :-1], rtol=2e-4, atol=1e-7)


def test_old_items_keep_their_scores_and_batches_equal_one_by_one(world, settings):
    data, cache, h = world
    scorer = Regression.of(settings, data, cache, DIM).scorer(admits=True)
    together, singly = scorer.add_items(h, NEW), scorer
    for number in range(h.shape[1]):
        singly = singly.add_items(h[:, number : number + 1], NEW[number : number + 1])
    histories = data.valid.histories
    old = scorer.num_rows
    assert torch.equal(together.score(histories)[:, :old], scorer.score(histories))
    torch.testing.assert_close(singly.score(histories), together.score(histories))
    with_new = Ragged.from_rows([[1, old, old + 2], [old + 1]])
    torch.testing.assert_close(singly.score(with_new), together.score(with_new))


def test_it_survives_saving_and_selecting(world, settings):
    data, cache, h = world
    scorer = Regression.of(settings, data, cache, DIM).scorer(admits=True).add_items(h, NEW)
    config, tensors = scorer.state()
    again = restore(scorer.kind, config, tensors)
    histories = Ragged.from_rows([[1, 2, scorer.num_rows - 1], [3]])
    assert torch.equal(again.score(histories), scorer.score(histories))
    rows = torch.tensor([0, 1, 2, 3, scorer.num_rows - 2, scorer.num_rows - 1])
    fewer = again.select_items(rows)
    renamed = Ragged.from_rows([[1, 2, 5], [3]])
    torch.testing.assert_close(fewer.score(renamed), scorer.score(histories)[:, rows])
    assert fewer.add_items(h[:, :1], NEW[:1]).num_rows == 7


def test_as_a_baseline_it_gives_new_items_nothing(world, settings):
    data, cache, h = world
    wider = Regression.of(settings, data, cache, DIM).scorer().add_items(h)
    assert (wider.score(data.valid.histories)[:, -3:] == 0).all()


def test_the_inverse_is_that_of_the_gram_matrix():
    gram = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    torch.testing.assert_close(inverse_of(gram.clone(), 1.0), torch.linalg.inv(gram + torch.eye(2)))


def test_a_new_item_has_no_weight_to_itself(world, settings):
    data, cache, h = world
    wider = Regression.of(settings, data, cache, DIM).scorer(admits=True).add_items(h[:, :1], NEW[:1])
    new = len(data.items) + 1
    assert wider.score(Ragged.from_rows([[new]]))[0, new].item() == pytest.approx(0, abs=1e-6)


def test_two_new_items_count_for_each_other_by_what_old_items_do_not_say_of_them(world, settings):
    data, cache, h = world
    scorer = Regression.of(settings, data, cache, DIM).scorer(admits=True)
    gram = Regression.of(settings, data, cache, DIM).gram.double()
    weights = scorer.text_weights
    new = weights.read(h[:, :2], NEW[:2])
    p = torch.linalg.inv(gram + weights.ridge * torch.eye(len(gram)))
    g = (weights.factors[:, None] * covariances(weights.texts, new, weights.text, weights.words)).double()
    left = covariances(new, new, weights.text, weights.words).double() - g.T @ p @ g
    expected = (left[0, 1] / (left.diagonal() + weights.ridge)).tolist()
    first = len(data.items) + 1
    found = scorer.add_items(h[:, :2], NEW[:2]).score(Ragged.from_rows([[first], [first + 1]]))
    assert [found[0, first + 1].item(), found[1, first].item()] == pytest.approx(expected, rel=1e-3)


def test_new_items_of_equal_text_score_equally(world, settings):
    data, cache, h = world
    scorer = Regression.of(settings, data, cache, DIM).scorer(admits=True)
    wider = scorer.add_items(h[:, [0, 1, 0]], [NEW[0], NEW[1], NEW[0]])
    scores = wider.score(data.valid.histories)
    assert torch.equal(scores[:, -1], scores[:, -3])
    assert not torch.equal(scores[:, -1], scores[:, -2])


def test_a_scorer_that_reads_words_wants_the_texts(world):
    data, cache, h = world
    words = CeaseWordsSettings(**LINEAR)
    with pytest.raises(ArtifactError, match="3 items need their texts, not 0"):
        Regression.of(words, data, cache, DIM).scorer(admits=True).add_items(h)


def test_the_texts_of_an_item_count_the_less_the_more_events_it_has(world):
    data, cache, _ = world
    regression = Regression.of(CeaseWordsSettings(**LINEAR, text_events=4), data, cache, DIM)
    events = np.bincount(data.train.values, minlength=len(data.items) + 1)[regression.chosen]
    np.testing.assert_allclose(regression.factors**2, 4 / (4 + events), rtol=1e-6)
