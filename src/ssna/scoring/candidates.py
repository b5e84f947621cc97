"""Items that may be among the best, by scores that are nearly right."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssna.core.errors import TrainingError
from ssna.scoring.scorer import Approximation

STRAND = 8  # items of a tile that are looked at by their highest score first,
ROUNDING = 1e-5  # of a score: further than that, sums of the same terms in another order never are
INFINITE, NEVER = 0x7F80, 0x7FFF  # bits of bf16: infinity, and more than any score has
FINITE = torch.finfo(torch.float32).min

Array = NDArray[Any]


class Candidates(NamedTuple):
    """Items of a tile, history by history.

    Attributes:
        owner: ``(m,)`` histories, which ascend.
        columns: ``(m,)`` of the tile.
        crowded: ``(n,)`` bool, the histories that have too many to be listed.
    """

    owner: NDArray[np.int64]
    columns: NDArray[np.int64]
    crowded: NDArray[np.bool_]


def candidates(tile: Tensor, last: Tensor, k: int, given: Approximation, limit: int) -> Candidates:
    """The columns of ``tile (n, w)``, floats of any kind, that may be among the ``k`` best.

    Of bf16, positive numbers are compared by their bits, several times faster. Histories for which others may matter
    are looked at once more, as fp32.

    Args:
        last: ``(n,)`` fp32, the right scores of the last of the ``k`` best so far.
        given: how far the scores of the tile are from the right ones.
        limit: strands that may reach far enough before a history is crowded.

    Raises:
        TrainingError: a score is not a number.
    """
    if tile.dtype != torch.bfloat16:
        return _of_floats(tile.float(), last, k, given, limit)
    bits = tile.view(torch.int16)
    highest = _highest(bits)
    if highest.max() > INFINITE:
        raise not_a_number()
    kth = None if (found := _kth(highest, last, k)) is None else torch.from_numpy(found).view(torch.bfloat16).float()
    least = _least(kth, last, given)
    unsure = (~(least > 0)).nonzero()[:, 0]
    threshold = (least.view(torch.int32) >> 16).short()  # rounded down
    threshold[unsure] = NEVER
    sure = _reaching(bits, highest, threshold.numpy(), limit)
    if not len(unsure):
        return sure
    others = _of_floats(tile[unsure].float(), last[unsure], k, given, limit)
    sure.crowded[unsure.numpy()] = others.crowded
    owner = np.concatenate([sure.owner, unsure.numpy()[others.owner]])
    order = owner.argsort(kind="stable")
    return Candidates(owner[order], np.concatenate([sure.columns, others.columns])[order], sure.crowded)


def not_a_number() -> TrainingError:
    """What is said of scores that are none."""
    return TrainingError("a score is not a number; the model has diverged, lower training.learning_rate")


def _of_floats(tile: Tensor, last: Tensor, k: int, given: Approximation, limit: int) -> Candidates:
    highest = _highest(tile)
    if np.isnan(highest).any():
        raise not_a_number()
    kth = None if (found := _kth(highest, last, k)) is None else torch.from_numpy(found)
    return _reaching(tile, highest, _least(kth, last, given).numpy(), limit)


def _highest(tile: Tensor) -> Array:
    """``(n, q)``: of each row of ``tile (n, w)`` the highest of the columns ``j``, ``j + q``, ...: a strand. About
    ``STRAND`` columns make one."""
    strands = max(tile.shape[1] // STRAND, 1)
    whole = tile.shape[1] // strands * strands
    if _is_by_item(tile):
        highest = tile.T[:whole].unflatten(0, (-1, strands)).amax(dim=0).T.contiguous()
    else:
        highest = tile[:, :whole].unflatten(1, (-1, strands)).amax(dim=1)
    rest = tile[:, whole:]
    highest[:, : rest.shape[1]] = torch.maximum(highest[:, : rest.shape[1]], rest)
    found: Array = highest.numpy()
    return found


def _is_by_item(tile: Tensor) -> bool:
    """Whether the scores of an item lie side by side, not those of a history."""
    return tile.stride(0) == 1


def _kth(highest: Array, last: Tensor, k: int) -> Array | None:
    """``(n,)`` the ``k``-th of the strands' ``highest (n, q)``: ``k`` of them hold a score that is no lower. None where
    that is of no use."""
    strands = highest.shape[1]
    if k > strands or not (last == -torch.inf).any():
        return None
    kth: Array = np.partition(highest, strands - k, axis=1)[:, strands - k].copy()
    return kth


def _least(kth: Tensor | None, last: Tensor, given: Approximation) -> Tensor:
    """``(n,)`` fp32: what an item has to score nearly. ``s + share * |s|`` rises with ``s``, and has to reach what is
    asked for but for the error."""
    if kth is not None:
        kth = kth.clamp(min=FINITE)
        last = torch.maximum(last, kth - given.error - given.share * kth.abs())
    least = last - given.error - ROUNDING * last.abs()
    return (least / torch.where(least > 0, 1 + given.share, 1 - given.share)).clamp(min=FINITE)


def _reaching(tile: Tensor, highest: Array, least: Array, limit: int) -> Candidates:
    """The columns of ``tile (n, w)`` that are ``least (n,)``, of the strands' ``highest (n, q)``."""
    (histories, strands), width = highest.shape, tile.shape[1]
    owner, strand = np.divmod(np.flatnonzero(highest >= least[:, None]), strands)
    crowded = np.bincount(owner, minlength=histories) > limit
    if crowded.any():
        kept = ~crowded[owner]
        owner, strand = owner[kept], strand[kept]
    values = (tile.T if _is_by_item(tile) else tile).contiguous().view(-1).numpy()
    down, right = (1, histories) if _is_by_item(tile) else (width, 1)
    place, threshold = owner * down + strand * right, least[owner]
    few = np.empty((len(place), -(-width // strands)), dtype=np.bool_)
    for turn, first in enumerate(range(0, width, strands)):
        few[:, turn] = values[first * right :].take(place, mode="clip") >= threshold
        if first + strands > width:
            few[:, turn] &= strand < width - first
    number, turns = np.divmod(np.flatnonzero(few), few.shape[1])
    return Candidates(owner[number], strand[number] + turns * strands, crowded)
