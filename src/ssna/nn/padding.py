"""Few distinct shapes: oneDNN builds and keeps code for every shape of a product that it meets."""

from torch import Tensor
from torch.nn import functional as F

MULTIPLE = 32


def pad_rows(x: Tensor) -> Tensor:
    """``x (n, ...)`` with zero rows behind it, up to a multiple of 32."""
    missing = -len(x) % MULTIPLE
    return F.pad(x, (0, 0) * (x.ndim - 1) + (0, missing)) if missing else x
