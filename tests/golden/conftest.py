"""Language models of every family, and the states of some texts."""

from collections.abc import Callable
from functools import cache as remembered
from pathlib import Path

import pytest
import torch
from text_models import save_tiny_model, some_texts
from tuned_models import ITEMS, World

from ssna.data.dataset import Dataset
from ssna.text import ReadOptions, encode


@pytest.fixture(scope="session")
def data(random_data: Callable[..., Dataset]) -> Dataset:
    return random_data(seed=6, users=30, items=ITEMS, longest=10, texts=some_texts(ITEMS, longest=9))


@pytest.fixture(scope="session")
def world(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., World]:
    @remembered
    def model(architecture: str) -> Path:
        with torch.random.fork_rng(devices=[]):
            return save_tiny_model(tmp_path_factory.mktemp(architecture), architecture)

    @remembered
    def make(architecture: str = "bert", pooling: str = "mean") -> World:
        folder = tmp_path_factory.mktemp("cache")
        how = ReadOptions(pooling=pooling, dtype="fp32", device="cpu")
        cache, _ = encode(data.texts, str(model(architecture)), folder, how, quiet=True)
        return World(model(architecture), data, cache)

    return make
