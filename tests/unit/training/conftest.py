"""What tests of training share."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch

from ssna.data.dataset import Dataset
from ssna.methods.ids import Ids
from ssna.training import trainer


@pytest.fixture(scope="module")
def data(random_data: Callable[..., Dataset]) -> Dataset:
    return random_data(seed=2)


@pytest.fixture
def encoder(data) -> Ids:
    return Ids(len(data.items), 8)


@pytest.fixture
def seeded() -> Iterator[None]:
    """The same weights every time; torch's generator is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        yield


@pytest.fixture
def validation_ranks(monkeypatch) -> Callable[..., None]:
    """Lets validations find these ranks, one list each, whatever the model or the teacher."""

    def set_ranks(*validations: Sequence[int]) -> None:
        remaining = iter(validations)
        monkeypatch.setattr(trainer, "ranks", lambda *_: np.array(next(remaining)))

    return set_ranks


@pytest.fixture
def validation_recalls(validation_ranks) -> Callable[..., None]:
    """Lets validations find these values of R@10, which are those of the other metrics too."""

    def set_recalls(*recalls: float) -> None:
        validation_ranks(*([1] * round(10 * recall) + [99] * round(10 - 10 * recall) for recall in recalls))

    return set_recalls
