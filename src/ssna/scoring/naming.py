"""Names of tensors that are saved together, and of the members of an ensemble."""

from collections.abc import Mapping

from torch import Tensor


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix``, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`below`."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


REPEAT_CONSUMPTION = "repeat-consumption"
TRAINING_EVENTS = "training events"
"""What an ensemble adds for how often an item occurs in training."""


def describe_weights(ensemble: Mapping[str, float]) -> str:
    """The weights of a run's ensemble, and what the items of a history get on top: ``ssna 0.8, cease 0.2; ...``."""
    weights = ", ".join(f"{name} {weight:.1f}" for name, weight in ensemble.items() if name != REPEAT_CONSUMPTION)
    if REPEAT_CONSUMPTION not in ensemble:
        return weights
    return f"{weights}; items seen before get {ensemble[REPEAT_CONSUMPTION]:+.3g}"
