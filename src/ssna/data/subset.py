"""Smaller data sets out of larger ones."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssna.core.errors import DataError
from ssna.core.ragged import Ints
from ssna.data.dataset import Dataset, Histories, IdMap
from ssna.data.split_points import SplitPoints
from ssna.data.storage import describe

STILL_TRUE = ("rules", "source")
"""What a manifest says of a part as of the whole."""


def restrict(data: Dataset, events: NDArray[np.bool_]) -> Dataset:
    """``data`` with some of its events, ``(m,)``, and the users and items that these name.

    Raises:
        DataError: nothing is left, or a user is left with too few events for the split.
    """
    histories = data.histories
    lengths = np.bincount(histories.ragged.row_of_value[events], minlength=len(data.users))
    users = np.flatnonzero(lengths)
    items = np.unique(histories.items[events])
    row = np.zeros(len(data.items) + 1, dtype=np.int32)
    row[items] = np.arange(1, len(items) + 1)
    return Dataset(
        users=IdMap(tuple(data.users.external[user] for user in users.tolist())),
        items=IdMap(tuple(data.items.ids(items.tolist()))),
        texts=("", *(data.texts[item] for item in items)),
        histories=Histories(
            items=row[histories.items[events]],
            times=None if histories.times is None else histories.times[events],
            offsets=np.concatenate([[0], np.cumsum(lengths[users])]).astype(np.int64),
        ),
        max_history=data.max_history,
        protocol=data.protocol,
        moments=data.moments,
        new_items=data.new_items,
        attributes=data.attributes,
        given_points=None if data.given_points is None else _points_left(data, events, users),
    )


def _points_left(data: Dataset, events: NDArray[np.bool_], users: Ints) -> SplitPoints:
    """Where the split falls among the ``events`` that stay, for the ``users`` that do."""
    rows, points = data.histories.ragged, data.split_points
    row, place = rows.row_of_value[events], rows.position_of_value[events]
    valid, test = (
        np.bincount(row[place < ends[row]], minlength=len(rows))[users] for ends in (points.valid, points.test)
    )
    return SplitPoints(valid, test)


def sample(data: Dataset, users: int, rng: np.random.Generator) -> Dataset:
    """``users`` of its users, at random, with their whole histories; and the items that these name.

    Items may have fewer events than ``prepare`` asked for. A split by time is made anew: at moments of the
    sample, unless ``prepare`` was told some.

    Raises:
        DataError: there are not so many users, or a split by time has no evaluation users.
    """
    if not 0 < users <= len(data.users):
        raise DataError(f"there are {len(data.users)} users to choose from, not {users}; choose fewer, at least 1")
    chosen = np.zeros(len(data.users), dtype=bool)
    chosen[rng.choice(len(data.users), size=users, replace=False)] = True
    smaller = restrict(data, chosen[data.histories.ragged.row_of_value])
    manifest: dict[str, Any] = {key: data.manifest[key] for key in STILL_TRUE if key in data.manifest}
    of = {"fingerprint": data.fingerprint, "users": len(data.users)}
    return replace(smaller, manifest={**manifest, **describe(smaller), "sample_of": of})
