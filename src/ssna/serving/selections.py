"""Rules on their way to the ranking process: masks as bits, each once, and numbers that say whose they are."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ssna.data.attributes import Mask
from ssna.recommender.selection import Selection

NONE = -1  # in the place of a mask's number


def pack_selections(selections: Sequence[Selection | None]) -> dict[str, Tensor]:
    """As tensors; :func:`unpack_selections` is the inverse."""
    masks: dict[int, tuple[int, Mask]] = {}

    def number_of(mask: Mask | None) -> int:
        return NONE if mask is None else masks.setdefault(id(mask), (len(masks), mask))[0]

    rules = np.full((len(selections), 3), NONE, dtype=np.int64)  # only, how many at least, and of which
    diversity, boosts, amounts = np.full(len(selections), -1.0), list[tuple[int, int]](), list[float]()
    for place, each in enumerate(selections):
        if each is None:
            continue
        m, of = (NONE, None) if each.at_least is None else each.at_least
        rules[place], diversity[place] = (number_of(each.only), m, number_of(of)), each.diversity
        boosts += [(place, number_of(mask)) for mask, _ in each.boosts]
        amounts += [amount for _, amount in each.boosts]
    found = {"rules": rules, "rules.diversity": diversity, "rules.amounts": np.array(amounts, dtype=np.float64)}
    found["rules.boosts"] = np.array(boosts, dtype=np.int64).reshape(-1, 2)
    if masks:
        found["rules.masks"] = np.stack([np.packbits(mask) for _, mask in masks.values()])
        found["rules.size"] = np.array([len(mask) for _, mask in masks.values()], dtype=np.int64)
    return {name: torch.from_numpy(values) for name, values in found.items()}


def unpack_selections(message: Mapping[str, Tensor], count: int) -> tuple[Selection | None, ...] | None:
    """What :func:`pack_selections` made of ``count``; None where there are none."""
    if "rules" not in message:
        return None
    masks = list[Mask]()
    if "rules.masks" in message:
        bits = zip(message["rules.masks"].numpy(), message["rules.size"].tolist(), strict=True)
        masks = [np.unpackbits(packed, count=size).view(np.bool_) for packed, size in bits]
    boosts: list[list[tuple[Mask, float]]] = [[] for _ in range(count)]
    for (place, number), amount in zip(
        message["rules.boosts"].tolist(), message["rules.amounts"].tolist(), strict=True
    ):
        boosts[place].append((masks[number], amount))
    found = list[Selection | None]()
    for (only, m, of), diversity, of_one in zip(
        message["rules"].tolist(), message["rules.diversity"].tolist(), boosts, strict=True
    ):
        at_least = None if of == NONE else (m, masks[of])
        selection = Selection(None if only == NONE else masks[only], tuple(of_one), at_least, max(diversity, 0.0))
        found.append(None if diversity < 0 else selection)
    return tuple(found)
