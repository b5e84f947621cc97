"""What the first block of SASRec asks of an item, worked out once an item and not once an event."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ssna.nn.sasrec import Block, SASRec

MAX_BYTES = 2**28  # bytes of a table
BLOCK_ROWS = (
    64  # item rows: always the same ones, in a product of the same shape, so that no result depends on the order
)


class QKVLookup:
    """Queries, keys and values of the first block by lookup.

    With ``W, b`` the block's weights, ``γ, β`` gain and bias and ``σ`` the deviation of the LayerNorm before it,
    ``W LN(v + p) + b = (W' v + W' p) / σ + W β + b``, where ``W' = W diag(γ)`` of what is centred. A row ``W' v`` is
    made when it or one of its neighbours is first read: few histories cost little however large the catalogue is.

    Args:
        vectors: ``(I + 1, D)``.
    """

    def __init__(self, sasrec: SASRec, vectors: Tensor) -> None:
        qkv = _first(sasrec).qkv
        self._vectors, self._weight = vectors, qkv.weight.detach() * sasrec.norm.weight.detach()
        self._constant = F.linear(sasrec.norm.bias.detach(), qkv.weight.detach(), qkv.bias.detach())
        self._places = self._projected(sasrec.position.weight.detach())
        self._items = vectors.new_empty(len(vectors), len(self._weight))
        self._known = torch.zeros(-(-len(vectors) // BLOCK_ROWS), dtype=torch.bool)

    @staticmethod
    def is_worthwhile(sasrec: SASRec, vectors: Tensor) -> bool:
        """Whether there is a block before the last, and the table is in memory and not too large."""
        size = len(vectors) * len(_first(sasrec).qkv.weight) * vectors.element_size()
        return len(sasrec.blocks) > 1 and vectors.device.type == "cpu" and size <= MAX_BYTES

    def __call__(self, items: Tensor, positions: Tensor, scale: Tensor) -> Tensor:
        """Item rows and positions ``(N,)`` and ``1 / σ`` ``(N, 1)`` -> ``(N, 3D)``."""
        parts = items // BLOCK_ROWS
        for part in parts[~self._known[parts]].unique().tolist():
            rows = self._vectors[part * BLOCK_ROWS : (part + 1) * BLOCK_ROWS]
            projected = self._projected(F.pad(rows, (0, 0, 0, BLOCK_ROWS - len(rows))))
            self._items[part * BLOCK_ROWS : (part + 1) * BLOCK_ROWS] = projected[: len(rows)]
            self._known[part] = True
        projected_rows = F.embedding(items, self._items).add_(F.embedding(positions, self._places))
        return torch.addcmul(self._constant, projected_rows, scale)

    def _projected(self, x: Tensor) -> Tensor:
        return F.linear(x - x.mean(dim=-1, keepdim=True), self._weight)


def _first(sasrec: SASRec) -> Block:
    block = sasrec.blocks[0]
    assert isinstance(block, Block)
    return block
