"""The best few of each history, found piece by piece: of equal scores the lower row comes first."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Keys = NDArray[np.uint64]
"""A score and its row in one number: a lower one ranks first, by the score and then by the row."""

NOTHING = np.uint64(0xFF80_0000 << 32)  # minus infinity, row 0


class Best:
    """The ``k`` best items of each history among those added so far, best first."""

    def __init__(self, histories: int, k: int) -> None:
        self._keys: Keys = np.full((histories, k), NOTHING)

    @property
    def rows(self) -> Tensor:
        """``(n, k)`` item rows, 0 where fewer are left."""
        return torch.from_numpy((self._keys & np.uint64(0xFFFF_FFFF)).astype(np.int64))

    @property
    def scores(self) -> Tensor:
        """``(n, k)`` fp32, minus infinity where fewer are left."""
        return torch.from_numpy(_scores(self._keys))

    @property
    def last(self) -> Tensor:
        """``(n,)`` the scores of the last of the ``k``."""
        return torch.from_numpy(_scores(self._keys[:, -1]))

    def add(self, start: int, tile: Tensor) -> None:
        """A tile ``(n, w)`` whose rows begin at ``start``."""
        scores, columns = _highest_of(tile, min(self._keys.shape[1], tile.shape[1]))
        self._merge(_keys(scores, columns + start))

    def insert(self, owner: Tensor, rows: Tensor, scores: Tensor) -> None:
        """Items ``(m,)``, each for the history ``owner (m,)``, which ascends."""
        if not len(owner):
            return
        counts = np.bincount(owner.numpy(), minlength=len(self._keys))
        keys = np.full((len(counts), counts.max()), NOTHING)
        keys[np.arange(keys.shape[1]) < counts[:, None]] = _keys(scores, rows)
        self._merge(keys)

    def put(self, histories: NDArray[np.int64], others: "Best") -> None:
        """Of some histories, the best ``others``."""
        self._keys[histories] = others._keys

    def _merge(self, keys: Keys) -> None:
        self._keys = np.sort(np.concatenate([self._keys, keys], axis=1), axis=1)[:, : self._keys.shape[1]]


def _keys(scores: Tensor, rows: Tensor) -> Keys:
    """Of fp32 scores, none of which is not a number, and of rows below 2^32."""
    bits = (scores + 0.0).numpy().view(np.uint32)  # -0 becomes 0, which it equals
    order = np.where(bits >> 31, bits, bits ^ np.uint32(0x7FFF_FFFF)).astype(np.uint64)
    keys: Keys = (order << np.uint64(32)) | rows.numpy().astype(np.uint64)
    keys[order == np.uint64(0xFF80_0000)] = NOTHING
    return keys


def _scores(keys: Keys) -> NDArray[np.float32]:
    order = (keys >> np.uint64(32)).astype(np.uint32)
    return np.where(order >> 31, order, order ^ np.uint32(0x7FFF_FFFF)).astype(np.uint32, copy=False).view(np.float32)


def _highest_of(tile: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Scores and columns ``(n, k)`` in any order; of equal scores the lower columns."""
    more = min(k + 1, tile.shape[1])
    scores, columns = tile.topk(more, dim=1)
    last = scores[:, k - 1]
    torn = ((scores[:, -1] == last) & (last > -torch.inf)).nonzero()[:, 0] if more > k else last.new_zeros(0).long()
    scores, columns = scores[:, :k], columns[:, :k]
    if len(torn):  # equal scores on both sides of the last place: torch takes any of them
        some, edge = tile[torn], last[torn, None]
        above, tied = some > edge, some == edge
        kept = above | (tied & (tied.cumsum(dim=1) <= k - above.sum(dim=1, keepdim=True)))
        columns[torn] = kept.nonzero()[:, 1].view(-1, k)
        scores[torn] = some.gather(1, columns[torn])
    return scores, columns
