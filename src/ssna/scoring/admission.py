"""States of new items to their vectors: checked, and nothing where there is no text."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from ssna.core.errors import ArtifactError


def vectors_of_new(projection: nn.Module, h: Tensor) -> Tensor:
    """``h (a, n, d)`` -> ``(n, D)`` fp32, by one of ``ADAPTERS`` that reads at most ``a`` layers.

    An item whose states are all zero has no text, and its vector is zero: it is as near to any user as to the opposite.

    Raises:
        ArtifactError: the states are too few or too narrow for the model, or are not finite.
    """
    config = cast(dict[str, Any], projection.config)
    layers, width = int(config.get("layers", 1)), int(config["width"])
    if h.ndim != 3 or len(h) < layers or h.shape[2] != width:
        raise ArtifactError(
            f"states of new items have the shape {tuple(h.shape)}; this model reads {layers} layers of {width} numbers "
            "each: encode their texts with its own language model"
        )
    h = h[:layers]
    if not (finite := h.isfinite().all(dim=2).all(dim=0)).all():
        row = int((~finite).nonzero()[0])
        raise ArtifactError(
            f"the states of new item {row + 1} of {h.shape[1]} hold values that are not finite; encode its text again"
        )
    vectors = cast(Tensor, projection(h)).float()
    says = (h != 0).any(dim=2).any(dim=0)  # (n,)
    return torch.where(says[:, None], vectors, 0.0)
