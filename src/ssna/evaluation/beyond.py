"""What the lists look like besides being right: how much of the catalogue they show, and how popular it is."""

import numpy as np
from numpy.typing import NDArray

K = 10
POPULAR = 0.2  # the most popular fifth of the catalogue counts as popular


def beyond_accuracy(lists: NDArray[np.integer], counts: NDArray[np.integer], k: int = K) -> dict[str, float]:
    """Coverage, novelty and popularity of the first ``k`` of each list, ten unless told otherwise.

    Args:
        lists: ``(n, m)`` item rows, best first; 0 where a list is shorter.
        counts: ``(I + 1,)`` training events of each item.

    Returns:
        ``coverage@10``: share of the catalogue that is in some list. ``novelty@10``: mean of
        ``-log2((count + 1) / (total + I))`` over all places (bits; Vargas and Castells, 2011, with add-one smoothing).
        ``popular@10``: share of places held by the most popular fifth of the items.
    """
    shown = lists[:, :k]
    shown = shown[shown > 0]
    events = counts[1:]
    items = len(events)
    head = np.zeros(items + 1, dtype=bool)
    head[1 + np.argsort(-events, kind="stable")[: max(round(POPULAR * items), 1)]] = True
    surprise = -np.log2((counts + 1) / (events.sum() + items))
    return {
        f"coverage@{k}": len(np.unique(shown)) / items,
        f"novelty@{k}": float(surprise[shown].mean()) if len(shown) else 0.0,
        f"popular@{k}": float(head[shown].mean()) if len(shown) else 0.0,
    }
