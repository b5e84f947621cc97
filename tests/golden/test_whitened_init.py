"""An untrained SSNA with whitened init has the geometry of the joint PCA whitening of its layers."""

import numpy as np
import pytest
import torch

from ssna.methods.ssna import SSNASettings, over_states

ITEMS, WIDTH = 60, 16


def layers_of(kind: str) -> np.ndarray:
    """``(3, ITEMS, WIDTH)``: of layers that differ, or of layers as alike as those of a language model."""
    rng = np.random.default_rng(3)
    spread = np.logspace(0, -1, WIDTH)
    shared = rng.normal(size=(ITEMS, WIDTH)) * spread + rng.normal(size=WIDTH)
    own = rng.normal(size=(3, ITEMS, WIDTH)) * spread
    return (own if kind == "different" else shared + 0.1 * own).astype(np.float32)


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Of all pairs of distinct rows."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(unit), k=1)]


def whitened(h: np.ndarray, dim: int) -> np.ndarray:
    """Principal components of the concatenated layers, each at unit variance, by the covariance matrix."""
    concatenated = np.concatenate(list(h), axis=1).astype(np.float64)
    centred = concatenated - concatenated.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    return centred @ directions[:, ::-1][:, :dim] / np.sqrt(variances[::-1][:dim])


def untrained(h: np.ndarray, dim: int, integrate: str) -> np.ndarray:
    states = torch.from_numpy(np.concatenate([np.zeros_like(h[:, :1]), h], axis=1))
    settings = SSNASettings(layers=len(h), num_experts=4, integrate=integrate, init="whitened")
    with torch.random.fork_rng(devices=[]):
        encoder = over_states(states, dim, settings).eval()
    return encoder(torch.arange(1, ITEMS + 1)).detach().numpy()


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("integrate", ["mean", "weighted"])
def test_linear_integrations_are_initialised_as_the_joint_whitening_exactly(integrate, layers):
    h = layers_of("alike")[:layers]
    np.testing.assert_allclose(cosines(untrained(h, 12, integrate)), cosines(whitened(h, 12)), atol=1e-3)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kind", ["different", "alike"])
def test_the_gru_is_initialised_as_the_joint_whitening_but_for_its_tanh(kind, layers):
    h = layers_of(kind)[:layers]
    assert np.corrcoef(cosines(untrained(h, 12, "gru")), cosines(whitened(h, 12)))[0, 1] > 0.99


@pytest.mark.xfail(
    reason="experts tell like layers apart by differences of large numbers, which leave tanh's linear range; "
    "with MiniLM on Scientific and the recipe best (3 layers, 256 wide) the correlation is 0.979",
    strict=True,
)
def test_the_gru_is_initialised_as_the_joint_whitening_where_the_components_tell_like_layers_apart():
    h = layers_of("alike")
    assert np.corrcoef(cosines(untrained(h, 32, "gru")), cosines(whitened(h, 32)))[0, 1] > 0.99


def test_whitened_components_beyond_the_rank_of_the_states_are_zero():
    h = layers_of("different")[:1]
    assert not np.abs(untrained(h, WIDTH + 4, "mean")[:, WIDTH:]).max() > 1e-6
