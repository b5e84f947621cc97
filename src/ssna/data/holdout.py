"""Items held out of training altogether: what a text recommender must place by their texts alone."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssna.core.errors import DataError
from ssna.core.ragged import Ragged
from ssna.data.dataset import Dataset, HeldOut
from ssna.data.split_points import MIN_EVENTS
from ssna.data.storage import describe
from ssna.data.subset import STILL_TRUE, restrict

Mask = NDArray[np.bool_]  # (items + 1,)


def holdout_items(data: Dataset, share: float, rng: np.random.Generator) -> tuple[Dataset, HeldOut]:
    """``data`` without a random ``share`` of its items; and each user's last event on one of those, which go along.

    Users with fewer than three events left leave the data set, but still ask if anything stands before the event.

    Raises:
        DataError: the share leaves no item on one side, or nobody with enough events; or ``data`` is split by time,
            where a question may lie before the end of training.
    """
    if data.protocol != "leave-one-out":
        raise DataError("items are held out under leave-one-out only; other splits have unseen targets of their own")
    count = round(share * len(data.items))
    if not 0 < count < len(data.items):
        raise DataError(f"holding out {share:.0%} of {len(data.items)} items leaves a side empty; choose another share")
    gone = np.zeros(len(data.items) + 1, dtype=bool)
    gone[rng.choice(np.arange(1, len(gone)), size=count, replace=False)] = True
    rest, held_out = _without(data, gone), _questions(data, gone)
    manifest: dict[str, Any] = {key: data.manifest[key] for key in STILL_TRUE if key in data.manifest}
    of = {"fingerprint": data.fingerprint, "items": len(data.items), "held_out": count}
    return replace(rest, held_out=held_out, manifest={**manifest, **describe(rest), "held_out_of": of}), held_out


def _without(data: Dataset, gone: Mask) -> Dataset:
    events = data.histories.ragged
    keep = ~gone[events.values]
    lengths = np.bincount(events.row_of_value[keep], minlength=len(events))
    if lengths.max() < MIN_EVENTS:
        raise DataError("no user has three events left; hold out fewer items")
    return restrict(data, keep & (lengths >= MIN_EVENTS)[events.row_of_value])


def _questions(data: Dataset, gone: Mask) -> HeldOut:
    histories, targets = [], []
    for items in _until_last(data.histories.ragged, gone):
        known = items[:-1][~gone[items[:-1]]]
        if len(known):
            histories.append(tuple(data.items.ids(known.tolist())))
            targets.append(data.items.external[items[-1] - 1])
    texts = {data.items.external[row - 1]: data.texts[row] for row in np.flatnonzero(gone).tolist()}
    return HeldOut(texts, tuple(histories), tuple(targets))


def _until_last(events: Ragged, gone: Mask) -> list[NDArray[np.integer]]:
    """Each user's events up to and with the last held-out one, for users who have one."""
    found = []
    for items in events:
        places = np.flatnonzero(gone[items])
        if len(places):
            found.append(items[: places[-1] + 1])
    return found
