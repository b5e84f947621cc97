"""The patterns, and every method there is."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from method_worlds import DIM, ITEMS, TRAINED, World, chain, few_items, like_texts, settings_of

from ssna.methods import METHODS, ItemEncoder
from ssna.text import ReadOptions, encode


@pytest.fixture(scope="module")
def worlds(
    make_data: Callable, distinct_texts: Callable, language_model: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, World]:
    plain = distinct_texts(ITEMS)
    themes = distinct_texts(ITEMS // 5, seed=1, longest=9)
    grouped = [f"{themes[item // 5]} {themes[item // 5]} word{item}" for item in range(ITEMS)]
    folder = tmp_path_factory.mktemp("cache")
    result = {}
    for name, walk, texts in (
        ("what follows what", chain, plain),
        ("like texts", like_texts, grouped),
        ("few items", few_items, plain),
    ):
        rng = np.random.default_rng(0)
        data = make_data([walk(rng) for _ in range(120)], ITEMS, texts, max_history=10)
        cache, _ = encode(data.texts, language_model, folder, ReadOptions(dtype="fp32", device="cpu"), quiet=True)
        result[name] = World(data, cache)
    return result


@pytest.fixture
def world(worlds: dict[str, World]) -> World:
    return worlds["what follows what"]


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=TRAINED)
def trained(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def build(world: World) -> Callable[[str], ItemEncoder]:
    def make(method: str) -> ItemEncoder:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            cache = world.cache if METHODS[method].needs_text else None
            return METHODS[method].build(settings_of(method).method, world.data, cache, DIM)

    return make


@pytest.fixture
def encoder(build: Callable, trained: str) -> ItemEncoder:
    return build(trained)
