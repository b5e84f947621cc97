"""States that are read from the cache's files step by step, where they do not fit in memory."""

import numpy as np
import pytest
import torch

from ssna.experiments import train
from ssna.methods import frozen
from ssna.methods.frozen import FrozenEncoder, MappedStates, known_states, top_states

SMALL = ("dim=8", "sequence.inner=8", "training.batch_size=32", "training.epochs=2", "training.device=cpu")


@pytest.fixture
def data(random_data):
    return random_data(seed=2)


@pytest.fixture
def cache(data, make_cache, random_states):
    return make_cache(data, random_states(items=len(data.items)))


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(frozen, "free_memory", lambda: 0)


def test_states_that_fit_are_in_memory_and_others_stay_in_their_files(cache, monkeypatch):
    size = 2 * len(cache.rows) * cache.width * 4
    monkeypatch.setattr(frozen, "free_memory", lambda: 2 * size)
    assert isinstance(top_states(cache, 2), torch.Tensor)
    monkeypatch.setattr(frozen, "free_memory", lambda: 2 * size - 1)
    assert isinstance(top_states(cache, 2), MappedStates)


def test_the_states_of_some_items_are_those_of_all_at_their_rows(cache):
    everything, rows = cache.top(3), np.array([4, 0, 2, 4])
    np.testing.assert_array_equal(cache.top(3, rows), everything[:, rows])
    taken = MappedStates(cache, 3).take(torch.from_numpy(rows))
    np.testing.assert_array_equal(taken.numpy(), everything[:, rows])


@pytest.mark.parametrize("method", ["ssna", "tmlp", "tmoe"])
def test_a_run_that_reads_its_states_from_files_is_the_same_run(data, cache, method, monkeypatch):
    held = train(data, cache, method=method, settings=SMALL)
    monkeypatch.setattr(frozen, "free_memory", lambda: 0)
    mapped = train(data, cache, method=method, settings=SMALL)
    left, right = ([{**epoch, "seconds": 0} for epoch in run.record.epochs] for run in (held, mapped))
    assert left == right
    assert held.record.test == mapped.record.test


@pytest.mark.usefixtures("little_memory")
def test_the_whitened_start_is_learned_from_some_items_of_a_large_catalogue(cache, monkeypatch):
    assert torch.equal(known_states(top_states(cache, 2)), torch.from_numpy(cache.top(2))[:, 1:])
    monkeypatch.setattr(frozen, "SOME", 5)
    some = known_states(top_states(cache, 2))
    items = len(cache.rows) - 1
    assert 3 <= some.shape[1] <= 5
    rows = [
        row
        for row in range(1, items + 1)
        if any(torch.equal(torch.from_numpy(cache.top(2))[:, row], column) for column in some.unbind(1))
    ]
    assert len(rows) == some.shape[1]
    assert max(rows) - min(rows) > items / 2


@pytest.mark.usefixtures("little_memory")
def test_what_is_read_from_files_is_no_part_of_a_cuda_graph(cache):
    assert not FrozenEncoder(top_states(cache, 1), torch.nn.Identity()).repeatable
    assert FrozenEncoder(torch.zeros(1, 3, 2), torch.nn.Identity()).repeatable
