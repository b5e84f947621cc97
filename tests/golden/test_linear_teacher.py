"""The linear teacher against linear weights that are fitted anew without each user."""

import numpy as np
import pytest
import torch

from ssna.core.ragged import Ragged
from ssna.methods.ease import EaseSettings, Regression, fit_ease, inverse_of, largest_weights, pairs, user_item_matrix
from ssna.methods.linear_teacher import LinearTeacher

ITEMS, USERS = 12, 30


@pytest.fixture
def train() -> Ragged:
    rng = np.random.default_rng(3)
    return Ragged.from_rows([rng.integers(1, ITEMS, rng.integers(1, 9)) for _ in range(USERS)])  # item 12: never


def teacher_of(train: Ragged, chosen: np.ndarray, settings: EaseSettings) -> LinearTeacher:
    gram = pairs(user_item_matrix(train, ITEMS)[:, chosen])
    gram.diagonal().add_(settings.ridge)
    return LinearTeacher(torch.linalg.inv(gram.double()), Regression(settings, chosen, gram, ITEMS), train)


def naive(train: Ragged, chosen: np.ndarray, settings: EaseSettings, event: int) -> np.ndarray:
    """``(n,)`` scores after an event, by weights between ``chosen`` that were fitted to all users but its own."""
    user = int(train.row_of_value[event])
    others = [list(row) if number != user else [] for number, row in enumerate(train)]
    gram = pairs(user_item_matrix(Ragged.from_rows(others), ITEMS)[:, chosen])
    weights = largest_weights(inverse_of(gram.double(), settings.ridge), len(gram)).toarray()
    history = train.values[train.offsets[user] : event + 1][::-1][: settings.window]
    column = {int(item): place for place, item in enumerate(chosen)}
    rows = [(column[int(item)], settings.decay**back) for back, item in enumerate(history) if int(item) in column]
    return sum((weight * weights[place] for place, weight in rows), np.zeros(len(chosen)))


@pytest.mark.parametrize("settings", [EaseSettings(ridge=3, window=4, decay=0.7), EaseSettings(ridge=50)])
@pytest.mark.parametrize("chosen", [np.arange(1, ITEMS), np.array([2, 3, 5, 7, 11])])
def test_logits_are_those_of_weights_fitted_without_the_user(train, settings, chosen):
    teacher = teacher_of(train, chosen, settings)
    events = np.arange(0, len(train.values), 3)
    expected = np.stack([naive(train, chosen, settings, int(event)) for event in events])
    np.testing.assert_allclose(teacher.logits(events, chosen), teacher.scale * expected, rtol=1e-4, atol=1e-5)
    some = chosen[::-2]
    np.testing.assert_allclose(
        teacher.logits(events[4:5], some), teacher.scale * expected[4:5, ::-2], rtol=1e-4, atol=1e-5
    )


def test_items_without_weights_have_logit_zero(train):
    teacher = teacher_of(train, np.array([2, 3, 5]), EaseSettings(ridge=3))
    scores = teacher.logits(np.arange(20), np.array([1, 2, 12]))
    assert (scores[:, [0, 2]] == 0).all()
    assert (scores[:, 1] != 0).any()


def test_after_a_history_of_items_without_weights_all_logits_are_zero():
    train = Ragged.from_rows([[1, 2, 1], [3, 4], [4, 3], [3, 4, 3]])
    teacher = teacher_of(train, np.array([3, 4]), EaseSettings(ridge=3))
    assert (teacher.logits(np.array([0, 1]), np.array([3, 4])) == 0).all()


def test_the_scale_makes_next_events_likeliest(train):
    teacher = teacher_of(train, np.arange(1, ITEMS), EaseSettings(ridge=3))
    before = np.flatnonzero(train.position_of_value < train.lengths[train.row_of_value] - 1)
    logits = torch.from_numpy(teacher.logits(before, np.arange(1, ITEMS + 1)).astype(np.float64)) / teacher.scale
    labels = torch.from_numpy(train.values[before + 1].astype(np.int64)) - 1

    def loss(scale: float) -> float:
        return torch.nn.functional.cross_entropy(logits * scale, labels).item()

    assert loss(teacher.scale) <= min(loss(teacher.scale * 0.98), loss(teacher.scale * 1.02))


def test_the_scale_is_estimated_from_some_of_many_items(monkeypatch):
    rng = np.random.default_rng(0)
    histories = [(rng.integers(0, 30) * 10 + rng.permutation(10)[:5]) + 1 for _ in range(3000)]
    train = Ragged.from_rows([*histories, [300]])
    chosen = np.arange(1, 301)
    gram = pairs(user_item_matrix(train, 300)[:, chosen])
    inverse = torch.linalg.inv(gram.double() + 10 * torch.eye(300))
    monkeypatch.setattr("ssna.methods.linear_teacher.EVENTS", 60)
    regression = Regression(EaseSettings(ridge=10), chosen, gram, 300)
    whole = LinearTeacher(inverse, regression, train).scale
    monkeypatch.setattr("ssna.methods.linear_teacher.ITEMS", 150)
    assert LinearTeacher(inverse, regression, train).scale == pytest.approx(whole, rel=0.15)


def test_without_next_events_the_scale_is_one():
    train = Ragged.from_rows([[1], [2], [3]])
    assert teacher_of(train, np.array([1, 2, 3]), EaseSettings(ridge=3)).scale == 1.0


def test_the_scorer_of_a_teacher_is_that_of_its_method(random_data):
    data = random_data(seed=4)
    settings = EaseSettings(ridge=5, max_items=15, top_k=6)
    scorer = LinearTeacher.fit(settings, data, None, 8).scorer
    ours, theirs = scorer.state(), fit_ease(settings, data, None, 8).state()
    assert ours[0] == theirs[0]
    for name, tensor in theirs[1].items():
        torch.testing.assert_close(ours[1][name], tensor)
