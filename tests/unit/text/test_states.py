"""States of new items stand where a cache has them: layer by layer, source by source."""

import numpy as np
import pytest

from ssna.data.dataset import IdMap
from ssna.text.fill_items import Items, encode_items
from ssna.text.states import states, vectors_of

IDS = ("i1", "i2", "i3")
LAYERED = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
WIDE = 50 * np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
HALF = np.random.default_rng(2).normal(size=(3, 5)).astype(np.float16)
SOURCES = {"layered": LAYERED, "wide": WIDE, "half": HALF}


@pytest.fixture
def cache(tmp_path):
    items = Items(("", "a", "b", "c"), IDS, IdMap(IDS).find, 3)
    given = {name: (IDS, values) for name, values in SOURCES.items()}
    return encode_items(items, given, None, tmp_path / "cache", quiet=True)[0]


def of(row):
    return {name: values[row] for name, values in SOURCES.items()}


@pytest.mark.parametrize("asked", [1, 2])
def test_they_are_those_that_the_cache_has(cache, asked):
    layers = cache.reach(asked)
    vectors = [vectors_of(item, of(row), cache.encoding) for row, item in enumerate(IDS)]
    assert np.array_equal(states(["", "", ""], vectors, cache.encoding, layers), cache.top(layers)[:, 1:])


def test_a_source_that_is_missing_is_zero_and_the_others_stay_in_their_place(cache):
    some = vectors_of("new", {"wide": WIDE[0]}, cache.encoding)
    found = states([""], [some], cache.encoding, 4)
    assert [bool(layer.any()) for layer in found] == [False, True, False, False]
