"""Several data sets as one: what one model learns from together, to be used on another."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssna.core.errors import DataError, option
from ssna.data.attributes import united
from ssna.data.dataset import Dataset, Histories, IdMap
from ssna.data.split_points import SplitPoints
from ssna.data.storage import describe

JOINT = "/"
"""Between the name of a data set and an id of it."""


def union(data: Mapping[str, Dataset]) -> Dataset:
    """All users and items of several data sets, in their order; ids are put behind the name of theirs, ``NAME/ID``.

    Nobody is in two of them: equal ids in two data sets are two users, or two items. Times are kept if all have them.

    Raises:
        DataError: there is none, a name is empty, they differ in ``max_history`` or in how they are split, or are split
            by time (each at moments of its own) or items were held out of one.
    """
    if not isinstance(data, Mapping) or not all(isinstance(each, Dataset) for each in data.values()):
        raise DataError('a union takes data sets by their names: union({"books": data, "films": others})')
    if not data or "" in data:
        raise DataError("a union needs at least one data set, and a name for each")
    first, *others = data.items()
    for name, other in others:
        for what, mine, theirs in (
            ("max_history", first[1].max_history, other.max_history),
            ("split", first[1].protocol, other.protocol),
        ):
            if mine != theirs:
                raise DataError(f"{what} is {mine} in {first[0]} and {theirs} in {name}: prepare one of them again")
    sets = tuple(data.values())
    if len(sets) > 1 and first[1].protocol == "time":
        remedy = f"prepare it again with {option('split', 'leave-one-out')}"
        raise DataError(f"{first[0]} is split by time, and so cannot be joined: {remedy}")
    if len(sets) > 1 and (parts := [name for name, each in data.items() if each.held_out]):
        raise DataError(f"{parts[0]} has items held out, and so cannot be joined: give the data it was made of")
    rows = accumulate((len(each.items) for each in sets), initial=0)
    events = accumulate((len(each.histories.items) for each in sets), initial=0)
    times = [each.histories.times for each in sets if each.histories.times is not None]
    histories = Histories(
        items=np.concatenate([each.histories.items + np.int32(row) for each, row in zip(sets, rows, strict=False)]),
        times=np.concatenate(times) if len(times) == len(sets) else None,
        offsets=np.concatenate(
            [[0], *(each.histories.offsets[1:] + event for each, event in zip(sets, events, strict=False))]
        ),
    )
    joined = Dataset(
        users=IdMap(tuple(f"{name}{JOINT}{user}" for name, each in data.items() for user in each.users.external)),
        items=IdMap(tuple(f"{name}{JOINT}{item}" for name, each in data.items() for item in each.items.external)),
        texts=("", *(text for each in sets for text in each.texts[1:])),
        histories=histories,
        max_history=first[1].max_history,
        protocol=first[1].protocol,
        new_items={
            f"{name}{JOINT}{item}": text for name, each in data.items() for item, text in each.new_items.items()
        },
        attributes=_attributes(data),
        given_points=_points(sets) if first[1].protocol == "predefined" else None,
    )
    of = {name: each.fingerprint for name, each in data.items()}
    return replace(joined, manifest={**describe(joined), "union_of": of})


def _attributes(data: Mapping[str, Dataset]) -> pa.Table | None:
    """Those of all, with the ids that their items have here."""
    tables = []
    for name, each in data.items():
        if each.attributes is not None:
            ids = pc.binary_join_element_wise(f"{name}{JOINT}", each.attributes["id"], "")
            tables.append(each.attributes.set_column(each.attributes.schema.get_field_index("id"), "id", ids))
    return united(tables) if tables else None


def _points(sets: tuple[Dataset, ...]) -> SplitPoints:
    return SplitPoints(
        np.concatenate([each.split_points.valid for each in sets]),
        np.concatenate([each.split_points.test for each in sets]),
    )
