"""The training-free scorers against loops that follow their definitions (design, section 5)."""

import math

import numpy as np
import pytest

from ssna.data.dataset import Dataset
from ssna.methods import METHODS, training_free
from ssna.ragged import Ragged

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


def text_knn(states: np.ndarray, history: list[int]) -> list[float]:
    """Cosine of the decayed sum of the last five items' whitened unit vectors, 0.5^k, with every item's."""
    top = states[0].astype(np.float64)
    centred = top - top.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(centred.T))
    white = [row @ directions[:, ::-1][:, :DIM] / np.sqrt(variances[::-1][:DIM]) for row in centred]
    unit = [row / np.linalg.norm(row) for row in white]
    intent = sum(0.5**k * unit[item - 1] for k, item in enumerate(list(reversed(history))[:5]))
    return [float(intent @ row / np.linalg.norm(intent)) for row in unit]


@pytest.mark.parametrize("history", HISTORIES, ids=str)
def test_item_knn_follows_its_definition(data, history):
    scores = fitted("item-knn", data, None).score(Ragged.from_rows([history]))[0, 1:]
    np.testing.assert_allclose(scores, item_knn(data, history), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("history", HISTORIES, ids=str)
def test_text_knn_follows_its_definition(data, cache, states, history):
    scores = fitted("text-knn", data, cache).score(Ragged.from_rows([history]))[0, 1:]
    np.testing.assert_allclose(scores, text_knn(states, history), rtol=1e-4, atol=1e-5)


def test_the_blend_is_both_divided_by_their_standard_deviation_in_equal_parts(data, cache, states):
    valid = [row.tolist() for row in data.valid.histories]
    by_item, by_text = ([score(source, h) for h in valid] for score, source in ((item_knn, data), (text_knn, states)))
    expected = 0.5 * np.array(by_item) / np.std(by_item) + 0.5 * np.array(by_text) / np.std(by_text)
    scores = fitted("blend", data, cache).score(data.valid.histories)[:, 1:]
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)


def test_popularity_counts_the_events_that_training_may_see(data):
    expected = [sum(row.tolist().count(item) for row in data.train) for item in range(1, ITEMS + 1)]
    assert fitted("popularity", data, None).score(Ragged.from_rows([[1]]))[0, 1:].tolist() == expected


def test_the_scores_of_a_history_do_not_know_its_targets(make_data, data):
    """Neither validation nor test events may reach a fit."""
    rows = [[*row.tolist()[:-2], 1, 1] for row in data.histories.ragged]
    other = make_data(rows, ITEMS, data.texts[1:], data.max_history)
    for name in ("popularity", "item-knn"):
        pair = [fitted(name, d, None).score(Ragged.from_rows(HISTORIES)) for d in (data, other)]
        np.testing.assert_array_equal(*pair)


def test_folding_pairs_in_parts_changes_nothing(data, monkeypatch):
    whole = training_free.co_occurrence(data.train, ITEMS, 1000).toarray()
    monkeypatch.setattr(training_free, "FOLD", 10)
    np.testing.assert_allclose(training_free.co_occurrence(data.train, ITEMS, 1000).toarray(), whole, rtol=1e-5)


def test_events_further_apart_than_the_reach_do_not_count_as_together(make_data):
    data = make_data([[1, 2, 3, 4, 4, 4]])
    together = training_free.co_occurrence(data.train, 4, reach=2).toarray()
    assert together[1].tolist() == pytest.approx([0, 0, 1, 1 / 2, 0])
