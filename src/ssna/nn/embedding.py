"""A free vector for every item, in memory for one matrix and one gradient."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class ItemEmbedding(nn.Embedding):
    """As :class:`torch.nn.Embedding`, but what a backward pass adds to ``weight.grad`` it adds to the rows read.

    Autograd would make a gradient of the size of the whole catalogue for every chunk of it that a step reads (``full``
    reads them all), and add it to the one there is. The price: ``torch.autograd.grad`` does not see this weight.
    """

    def forward(self, input: Tensor) -> Tensor:
        """``(n,)`` item rows -> ``(n, dim)``."""
        rows: Tensor = _Rows.apply(self.weight, input)  # type: ignore[no-untyped-call]
        return rows


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, items: Tensor) -> Tensor:
        ctx.weight = weight
        ctx.save_for_backward(items)
        return weight[items]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None]:
        weight, (items,) = ctx.weight, ctx.saved_tensors
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        weight.grad.index_add_(0, items, gradient)
        return None, None
