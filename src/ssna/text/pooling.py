"""From the states of a text's tokens to its vector."""

import torch
from torch import Tensor

from ssna.text.encoding import Pooling


def pool(states: Tensor, mask: Tensor, pooling: Pooling, at: int | None = None) -> Tensor:
    """One vector a text from its real tokens, in fp32.

    Args:
        states: (b, T, d), any precision.
        mask: (b, T) bool, true for real tokens; padding may stand on either side.
        at: where ``cls`` finds the classification token among the real ones: 0, the first (None too), or -1, the last.

    Returns:
        (b, d): the classification token (``cls``), the last (``last``), or the mean of all (``mean``).
    """
    states = states.float()
    if pooling == "mean":
        return states.masked_fill(~mask.unsqueeze(-1), 0.0).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    steps = torch.arange(1, mask.shape[1] + 1, device=mask.device)  # (T,)
    is_last = pooling == "last" or at == -1
    chosen = (mask * (steps if is_last else steps.flip(0))).argmax(dim=1)  # (b,)
    return states[torch.arange(len(states), device=states.device), chosen]
