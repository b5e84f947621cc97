"""Dropout at an eighth of the random numbers: on a CPU, drawing them costs more than the arithmetic around them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def drop(x: Tensor, p: float) -> Tensor:
    """Set a share ``p`` of values to zero and scale the others up; one random byte a value, but for GPUs.

    ``p`` counts in 256ths; the scale is that of the share in fact dropped, so that the expected value is exact.
    """
    threshold = min(round(p * 256), 255)
    if threshold == 0:
        return x
    if x.is_cuda:
        return F.dropout(x, threshold / 256)  # one kernel there
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
    kept = (
        words.view(torch.uint8)[: x.numel()].view(x.shape).ge_(threshold)
    )  # in place, bytes stay bytes: twice as fast
    return x * kept.to(x.dtype).mul_(256 / (256 - threshold))


class ByteDropout(nn.Module):
    """:func:`drop` while training."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return drop(x, self.p) if self.training else x
