"""Names of tensors that are saved together, and of what is joined."""

from collections.abc import Mapping

from torch import Tensor


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix``, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`below`."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


REPEAT_CONSUMPTION = "seen before"


def describe_weights(join: Mapping[str, float]) -> str:
    """The shares of a run's record, and what its history's items get beside them."""
    shares = ", ".join(f"{name} {share:.1f}" for name, share in join.items() if name != REPEAT_CONSUMPTION)
    return (
        shares if REPEAT_CONSUMPTION not in join else f"{shares}; items seen before get {join[REPEAT_CONSUMPTION]:+.3g}"
    )
