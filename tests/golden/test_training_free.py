"""The training-free scorers against loops that follow their definitions (design, section 5)."""

import math

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from ssna.core.errors import SettingsError
from ssna.core.ragged import Ragged
from ssna.data.dataset import Dataset
from ssna.methods import METHODS, training_free
from ssna.methods import ease as ease_module
from ssna.methods import text_linear as text_linear_module
from ssna.methods.ease import largest_weights, most_frequent

ITEMS = 15
DIM = 6


@pytest.fixture(scope="module")
def data(random_data):
    return random_data(seed=4, users=25, items=ITEMS, longest=20, max_history=8)


@pytest.fixture(scope="module")
def states(random_states):
    return random_states(seed=4, items=ITEMS)


@pytest.fixture(scope="module")
def cache(make_cache, data, states):
    return make_cache(data, states)


HISTORIES = [[1], [3, 3], [5, 2, 9, 14, 1, 1, 7, 8, 2, 11, 12, 13], [15, 14, 13, 12, 11, 10, 9], [2, 4, 6]]


def fitted(name, data, cache, **settings):
    method = METHODS[name]
    return method.fit(method.settings(**settings), data, cache, DIM)


def item_knn(data: Dataset, history: list[int]) -> list[float]:
    """Votes of the last ten items, 0.6^k; co-occurrence 1/distance both ways, over sqrt(column sum + 5)."""
    together = [[0.0] * (ITEMS + 1) for _ in range(ITEMS + 1)]
    for user in data.train:
        events = user.tolist()
        for i in range(len(events)):
            for j in range(len(events)):
                if i != j:
                    together[events[i]][events[j]] += 1 / abs(i - j)
    scores = []
    for item in range(1, ITEMS + 1):
        column = sum(together[other][item] for other in range(1, ITEMS + 1))
        votes = sum(0.6**k * together[voter][item] for k, voter in enumerate(list(reversed(history))[:10]))
        scores.append(votes / math.sqrt(column + 5))
    return scores


def ease(data: Dataset, history: list[int], ridge: float, rows: np.ndarray | None = None) -> list[float]:
    """Each item by a ridge regression on the others of its user, one after the other; the history decays by 0.8^k.

    ``rows (n, ITEMS + 1)`` stand below the users.
    """
    x = np.zeros((len(data.train), ITEMS + 1))
    for row, user in enumerate(data.train):
        x[row, user] = 1
    x = x if rows is None else np.concatenate([x, rows])
    scores = []
    for item in range(1, ITEMS + 1):
        others = [other for other in range(1, ITEMS + 1) if other != item]
        a = x[:, others]
        weights = np.linalg.solve(a.T @ a + ridge * np.eye(len(others)), a.T @ x[:, item])
        of = dict(zip(others, weights, strict=True))
        scores.append(sum(0.8**k * of.get(voter, 0.0) for k, voter in enumerate(reversed(history))))
    return scores


def whitened(states: np.ndarray) -> list[np.ndarray]:
    """Of each item, the top layer's principal directions, of unit variance; then of length 1."""
    top = states[0].astype(np.float64)
    centred = top - top.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(centred.T))
    white = [row @ directions[:, ::-1][:, :DIM] / np.sqrt(variances[::-1][:DIM]) for row in centred]
    return [row / np.linalg.norm(row) for row in white]


def text_knn(states: np.ndarray, history: list[int]) -> list[float]:
    """Cosine of the decayed sum of the last five items' whitened unit vectors, 0.5^k, with every item's."""
    unit = whitened(states)
    user = sum(0.5**k * unit[item - 1] for k, item in enumerate(list(reversed(history))[:5]))
    return [float(user @ row / np.linalg.norm(user)) for row in unit]


def text_linear(data: Dataset, states: np.ndarray, history: list[int], kept: int) -> list[float]:
    """Ridge regression of every event's vector on the sum of the vectors within two events, 0.5^(distance - 1)."""
    side_by_side = np.concatenate(list(states[:2].astype(np.float64)), axis=1)
    centred = side_by_side - side_by_side.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(centred.T))
    unit = centred @ directions[:, ::-1][:, :kept] / np.sqrt(variances[::-1][:kept])
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    x, y = [], []
    for user in data.train:
        events = [unit[item - 1] for item in user.tolist()]
        for t in range(len(events)):
            around = [s for s in range(len(events)) if 0 < abs(s - t) <= 2]
            if around:
                x.append(sum(0.5 ** (abs(s - t) - 1) * events[s] for s in around))
                y.append(events[t])
    a = np.array(x)
    weights = np.linalg.solve(a.T @ a + 3.0 * np.eye(kept), a.T @ np.array(y))
    user = sum(0.5**k * unit[item - 1] for k, item in enumerate(list(reversed(history))[:2])) @ weights
    return [float(user @ row / np.linalg.norm(user)) for row in unit]


@pytest.mark.parametrize("history", HISTORIES, ids=str)
@pytest.mark.parametrize("at_once", [7, 1000])
def test_text_linear_is_a_ridge_regression_on_the_texts_around(data, cache, states, history, at_once, monkeypatch):
    monkeypatch.setattr(text_linear_module, "AT_ONCE", at_once)
    settings = {"ridge": 3.0, "window": 2, "decay": 0.5, "layers": 2}
    scores = fitted("text-linear", data, cache, n_components=5, **settings).score(Ragged.from_rows([history]))[0, 1:]
    np.testing.assert_allclose(scores, text_linear(data, states, history, 5), rtol=1e-3, atol=1e-4)


def test_text_linear_keeps_half_as_many_components_as_there_are_items_and_reads_the_layers_there_are(data, cache):
    scorer = fitted("text-linear", data, cache, layers=99)
    assert (scorer.vectors.shape[1], scorer.layers) == ((ITEMS - 1) // 2, len(cache.layers))


def test_text_linear_is_whitened_by_some_of_the_items_where_there_are_more(data, cache, monkeypatch):
    whole = fitted("text-linear", data, cache, n_components=3)
    monkeypatch.setattr(text_linear_module, "ENOUGH", 10)
    some, again = (fitted("text-linear", data, cache, n_components=3) for _ in range(2))
    assert some.vectors.shape == whole.vectors.shape
    assert not torch.allclose(some.vectors, whole.vectors)
    torch.testing.assert_close(some.vectors, again.vectors)


def test_text_linear_learns_from_some_of_the_events_where_there_are_more(data, cache):
    whole, some = (fitted("text-linear", data, cache, max_events=events) for events in (10**6, 20))
    assert not torch.allclose(whole.sequence.weight, some.sequence.weight)
    again = fitted("text-linear", data, cache, max_events=20)
    torch.testing.assert_close(some.sequence.weight, again.sequence.weight)


@pytest.mark.parametrize("history", HISTORIES, ids=str)
def test_item_knn_follows_its_definition(data, history):
    scores = fitted("item-knn", data, None).score(Ragged.from_rows([history]))[0, 1:]
    np.testing.assert_allclose(scores, item_knn(data, history), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ridge", [1.0, 150.0])
@pytest.mark.parametrize("history", HISTORIES, ids=str)
def test_ease_is_one_ridge_regression_an_item(data, history, ridge):
    scores = fitted("ease", data, None, ridge=ridge).score(Ragged.from_rows([history]))[0, 1:]
    np.testing.assert_allclose(scores, ease(data, history, ridge), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("text", [1.0, 10.0])
@pytest.mark.parametrize("history", HISTORIES, ids=str)
def test_cease_has_rows_for_texts_below_the_users(data, cache, states, history, text):
    scores = fitted("cease", data, cache, ridge=2.0, text=text).score(Ragged.from_rows([history]))[0, 1:]
    rows = np.sqrt(text) * np.concatenate([np.zeros((1, DIM)), whitened(states)]).T
    np.testing.assert_allclose(scores, ease(data, history, 2.0, rows), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("history", HISTORIES, ids=str)
def test_text_knn_follows_its_definition(data, cache, states, history):
    scores = fitted("text-knn", data, cache).score(Ragged.from_rows([history]))[0, 1:]
    np.testing.assert_allclose(scores, text_knn(states, history), rtol=1e-4, atol=1e-5)


def test_a_blend_has_both_members_divided_by_their_standard_deviation_with_equal_weights(data, cache, states):
    valid = [row.tolist() for row in data.valid.histories]
    by_item, by_text = ([score(source, h) for h in valid] for score, source in ((item_knn, data), (text_knn, states)))
    expected = 0.5 * np.array(by_item) / np.std(by_item) + 0.5 * np.array(by_text) / np.std(by_text)
    scores = fitted("blend", data, cache).score(data.valid.histories)[:, 1:]
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)


def test_a_blend_of_three_members_has_equal_weights(data, cache):
    members = ["ease", "item-knn", "text-knn"]
    scores = fitted("blend", data, cache, members=members, ease={"ridge": 2.0}).score(data.valid.histories)[:, 1:]
    settings = {"ease": {"ridge": 2.0}}
    alone = [fitted(name, data, cache, **settings.get(name, {})).score(data.valid.histories)[:, 1:] for name in members]
    expected = sum(one / one.std(correction=0) / 3 for one in alone)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)


def test_popularity_counts_the_events_that_training_may_see(data):
    expected = [sum(row.tolist().count(item) for row in data.train) for item in range(1, ITEMS + 1)]
    assert fitted("popularity", data, None).score(Ragged.from_rows([[1]]))[0, 1:].tolist() == expected


def test_the_scores_of_a_history_do_not_know_its_targets(make_data, data):
    """Neither validation nor test events may reach a fit."""
    rows = [[*row.tolist()[:-2], 1, 1] for row in data.histories.ragged]
    other = make_data(rows, ITEMS, data.texts[1:], data.max_history)
    for name in ("popularity", "item-knn", "ease"):
        pair = [fitted(name, d, None).score(Ragged.from_rows(HISTORIES)) for d in (data, other)]
        np.testing.assert_array_equal(*pair)


def test_folding_pairs_in_parts_changes_nothing(data, monkeypatch):
    whole = training_free.co_occurrence(data.train, ITEMS).toarray()
    monkeypatch.setattr(training_free, "FOLD", 10)
    np.testing.assert_allclose(training_free.co_occurrence(data.train, ITEMS).toarray(), whole, rtol=1e-5)


def test_events_further_apart_than_the_maximal_distance_do_not_co_occur(make_data, monkeypatch):
    monkeypatch.setattr(training_free, "MAX_DISTANCE", 2)
    data = make_data([[1, 2, 3, 4, 4, 4]])
    together = training_free.co_occurrence(data.train, 4).toarray()
    assert together[1].tolist() == pytest.approx([0, 0, 1, 1 / 2, 0])


def test_the_most_frequent_items_alone_have_weights(make_data):
    data = make_data([[1, 2, 3, 9, 9], [1, 2, 4, 9, 9], [2, 1, 3, 9, 9], [5, 2, 9, 9]])
    matrix = fitted("ease", data, None, max_items=3).similarity.toarray()
    assert {int(row) for row in np.flatnonzero(matrix.any(axis=1))} == {1, 2, 3}
    assert {int(column) for column in np.flatnonzero(matrix.any(axis=0))} == {1, 2, 3}
    assert most_frequent(data.train, 9, 2).tolist() == [1, 2]
    assert most_frequent(data.train, 9, 9).tolist() == [1, 2, 3, 4, 5]  # the rest have no training event


@pytest.mark.parametrize("rows", [1, 3, 1024])
def test_each_item_keeps_its_largest_weights_whatever_their_sign(monkeypatch, rows):
    monkeypatch.setattr(ease_module, "ROWS", rows)
    weights = torch.tensor([[0.0, 3.0, -4.0, 1.0], [0.5, 0.0, -0.1, 0.2], [1.0, 2.0, 0.0, 3.0], [-9.0, -8.0, 7.0, 0.0]])
    inverse = torch.eye(4) - weights  # of which these are the weights: B_ij = -P_ij / P_jj
    kept = largest_weights(inverse, 2).toarray()
    assert kept.tolist() == [[0, 3, -4, 0], [0.5, 0, 0, pytest.approx(0.2)], [0, 2, 0, 3], [-9, -8, 0, 0]]
    np.testing.assert_array_equal(largest_weights(inverse, 9).toarray(), weights)


def test_a_user_who_has_an_item_twice_counts_once(make_data):
    once, twice = ([[1, 2, 3, 4, 4], [1, 3, 2, 4, 4], row] for row in ([2, 1, 4, 4], [2, 1, 2, 4, 4]))
    pair = [fitted("ease", make_data(rows), None).similarity.toarray() for rows in (once, twice)]
    np.testing.assert_array_equal(*pair)


@pytest.mark.parametrize("fold", [1, 7, 40, 10**6])
def test_counting_pairs_in_parts_changes_nothing(data, monkeypatch, fold):
    x = ease_module.user_item_matrix(data.train, ITEMS)
    monkeypatch.setattr(ease_module, "FOLD", fold)
    np.testing.assert_array_equal(ease_module.pairs(x), (x.T @ x).toarray())


def test_a_ridge_that_rounding_swallows_is_an_error():
    gram = (
        ease_module.pairs(sparse.csr_array((3, 2), dtype=np.float32)) + 2.0**30
    )  # two items that a billion users all have
    with pytest.raises(SettingsError, match="raise it"):
        ease_module.inverse_of(gram, 1.0)
