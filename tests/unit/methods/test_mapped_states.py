"""States that are read from the cache's files step by step, where they do not fit in memory."""

import numpy as np
import pytest
import torch

from ssna.methods import frozen
from ssna.methods.frozen import FrozenEncoder, MappedStates, known_states, top_states
from ssna.runs import train

pytestmark = pytest.mark.slow

SMALL = ("dim=8", "sequence.ffn_dim=8", "training.batch_size=32", "training.epochs=2", "training.device=cpu")


@pytest.fixture
def data(random_data):
    return random_data(seed=2)


@pytest.fixture
def cache(data, make_cache, random_states):
    return make_cache(data, random_states(items=len(data.items)))


def set_up(encoder: FrozenEncoder, monkeypatch, free: float) -> FrozenEncoder:
    monkeypatch.setattr(frozen, "free_memory", lambda device: free)
    encoder.setup(torch.device("cpu"))
    return encoder


def test_states_that_fit_are_loaded_and_others_stay_in_their_files(cache, monkeypatch):
    size = 2 * len(cache.rows) * cache.width * 4
    encoder = FrozenEncoder(top_states(cache, 2), torch.nn.Identity())
    set_up(encoder, monkeypatch, 2 * size - 1)
    assert encoder.states is None
    assert not encoder.cuda_graph_safe  # a CUDA graph cannot read files
    set_up(encoder, monkeypatch, 2 * size)
    assert torch.equal(encoder.states, torch.from_numpy(cache.top(2)))
    assert encoder.cuda_graph_safe


def test_states_in_memory_stay_there(monkeypatch):
    states = torch.randn(2, 5, 3)
    encoder = set_up(FrozenEncoder(states, torch.nn.Identity()), monkeypatch, 0)
    assert encoder.states is states
    assert encoder.cuda_graph_safe


def test_the_states_of_some_items_are_those_of_all_at_their_rows(cache):
    everything, rows = cache.top(3), np.array([4, 0, 2, 4])
    np.testing.assert_array_equal(cache.top(3, rows), everything[:, rows])
    taken = MappedStates(cache, 3).take(torch.from_numpy(rows))
    np.testing.assert_array_equal(taken.numpy(), everything[:, rows])


@pytest.mark.parametrize("method", ["ssna", "tmlp", "tmoe"])
def test_a_run_that_reads_its_states_from_files_is_the_same_run(data, cache, method, monkeypatch):
    encoders = []
    setup = FrozenEncoder.setup
    monkeypatch.setattr(FrozenEncoder, "setup", lambda self, device: [setup(self, device), encoders.append(self)])
    held = train(data, cache, method=method, settings=SMALL)
    monkeypatch.setattr(frozen, "free_memory", lambda device: 0)
    mapped = train(data, cache, method=method, settings=SMALL)
    assert [encoder.mapped is None for encoder in encoders] == [True, False]
    left, right = ([{**epoch, "seconds": 0} for epoch in run.record.epochs] for run in (held, mapped))
    assert left == right
    assert held.record.test == mapped.record.test


def test_whitened_init_is_fitted_to_some_items_of_a_large_catalogue_wherever_its_states_are(cache, monkeypatch):
    everything = torch.from_numpy(cache.top(2))
    assert torch.equal(known_states(top_states(cache, 2)), everything[:, 1:])
    monkeypatch.setattr(frozen, "SOME", 5 * 2 * cache.width)
    some = known_states(top_states(cache, 2))
    assert torch.equal(some, known_states(everything))
    assert 3 <= some.shape[1] <= 5
    rows = [
        row for row in range(len(cache.rows)) if any(torch.equal(everything[:, row], one) for one in some.unbind(1))
    ]
    assert len(rows) == some.shape[1]
    assert max(rows) - min(rows) > len(cache.rows) / 2
