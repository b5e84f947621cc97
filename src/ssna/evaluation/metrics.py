"""Recall@k and NDCG@k for one relevant item a user (Peng et al., 2021), from ranks that start at 1."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

METRICS = ("R@10", "N@10", "R@50", "N@50")
"""What every evaluation gives."""
LAST = max(int(name.split("@")[1]) for name in METRICS)
"""The last rank that any of them counts."""


def _monitor(expression: str) -> str:
    unknown = [name for name in expression.split("+") if name not in METRICS]
    if unknown:
        raise ValueError(f"it must be a sum of {', '.join(METRICS)}, such as N@10+N@50")
    return expression


Monitor = Annotated[str, AfterValidator(_monitor)]
"""A sum of metrics on validation, seen items excluded, such as ``"N@10+N@50"``: what something is chosen by."""


def recall(ranks: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """``(n,)`` ranks -> ``(n,)``: 1 where the target is among the first ``k``."""
    return (ranks <= k).astype(np.float64)


def ndcg(ranks: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """``(n,)`` ranks -> ``(n,)``: ``1 / log2(1 + rank)`` where the target is among the first ``k``, else 0."""
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)


def reciprocal_rank(ranks: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """``(n,)`` ranks -> ``(n,)``: ``1 / rank`` where the target is among the first ``k``, else 0. Its mean is MRR@k."""
    return np.where(ranks <= k, 1.0 / ranks, 0.0)


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


def totals(ranks: NDArray[np.integer], items: int) -> dict[str, float]:
    """Sums of the :data:`METRICS` over users, for means over users that come some at a time."""
    return {name: float(values.sum()) for name, values in per_user(ranks, items).items()}


def monitored(metrics: Mapping[str, float], monitor: str) -> float:
    """The value of a :data:`Monitor`, from the metrics of one evaluation."""
    return sum(metrics[name] for name in monitor.split("+"))
