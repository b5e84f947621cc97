"""What tests of recommenders share."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch
from some_recommenders import ITEMS, METHODS

from ssna.data.dataset import IdMap
from ssna.recommender import Recommender
from ssna.runs import train
from ssna.scoring import PopularityScorer
from ssna.text import ReadOptions, encode


@pytest.fixture(scope="module")
def train_each(random_data, distinct_texts, language_model, tmp_path_factory) -> Callable[..., dict[str, Recommender]]:
    """Names to (method, settings) -> names to recommenders, of one small data set and one layer cache."""
    data = random_data(seed=8, items=ITEMS, texts=distinct_texts(ITEMS))
    folder = tmp_path_factory.mktemp("cache")
    cache, _ = encode(data.texts, language_model, folder, ReadOptions(dtype="fp32", device="cpu"), quiet=True)

    def train_each(methods: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, Recommender]:
        return {
            name: train(data, cache, method=method, settings=assignments, quiet=True).recommender
            for name, (method, assignments) in methods.items()
        }

    return train_each


@pytest.fixture(scope="module")
def recommenders(train_each) -> dict[str, Recommender]:
    return train_each({name: (name, assignments) for name, assignments in METHODS.items()})


@pytest.fixture(params=METHODS)
def name(request) -> str:
    return request.param


@pytest.fixture
def any_recommender(name, recommenders) -> Recommender:
    return recommenders[name]


@pytest.fixture(scope="module")
def recommender(recommenders) -> Recommender:
    """An ensemble of a model and both neighbour scorers, as the recipe best makes it."""
    return recommenders["ssna"]


@pytest.fixture
def fixed() -> Recommender:
    """Five items; ``a`` scores highest whatever the history, and ``e`` is the most popular."""
    return Recommender(
        PopularityScorer(torch.tensor([0, 5, 4, 3, 2, 1])),
        IdMap(("a", "b", "c", "d", "e")),
        ("", "text a", "text b", "text c", "text d", "text e"),
        np.array([0, 1, 2, 3, 4, 5]),
    )
