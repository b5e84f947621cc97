"""Recall@k and NDCG@k for one relevant item a user (Peng et al., 2021), from ranks that start at 1."""

import numpy as np
from numpy.typing import NDArray


def recall(ranks: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """``(n,)`` ranks -> ``(n,)``: 1 where the target stands among the first ``k``."""
    return (ranks <= k).astype(np.float64)


def ndcg(ranks: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """``(n,)`` ranks -> ``(n,)``: ``1 / log2(1 + rank)`` where the target stands among the first ``k``, else 0."""
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)


def per_user(
    ranks: NDArray[np.integer], items: int, cutoffs: tuple[int, ...] = (10, 50)
) -> dict[str, NDArray[np.float64]]:
    """``(n,)`` ranks -> ``{"R@10", "N@10", "R@50", "N@50"}``, ``(n,)`` each.

    A rank above ``items`` is a miss at any cut-off, also where the catalogue is shorter than the list.
    """
    result = {}
    for k in cutoffs:
        result[f"R@{k}"] = recall(ranks, min(k, items))
        result[f"N@{k}"] = ndcg(ranks, min(k, items))
    return result


def summary(ranks: NDArray[np.integer], items: int, cutoffs: tuple[int, ...] = (10, 50)) -> dict[str, float]:
    """Means of :func:`per_user` over users."""
    return {name: float(values.mean()) for name, values in per_user(ranks, items, cutoffs).items()}
