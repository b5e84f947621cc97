"""What is worth knowing of a data set before anything is trained on it: the figures that ``--check`` prints."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssna.core.ragged import Ints
from ssna.data.dataset import Dataset, Histories, Split
from ssna.data.moments import Moments, blocks
from ssna.data.split_points import iso
from ssna.data.storage import describe

_EDGES = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1_000, 10_000)  # where the bins of lengths begin


def same_time(histories: Histories, exact: Ints) -> dict[str, int]:
    """How much of the order of the events is left to the rule for ties.

    Args:
        exact: ``(m,)`` times in any unit, rising within each history.

    Returns:
        ``events`` that share their moment with another item of the same user; the leave-one-out ``valid_targets`` and
        ``test_targets`` among them, which another rule could have chosen otherwise; and ``duplicates``: repeats of an
        item at the same moment.
    """
    found = dict.fromkeys(("events", "valid_targets", "test_targets", "duplicates"), 0)
    for block in blocks(histories.offsets):
        events = slice(block[0], block[-1])
        for name, count in _same_time(histories.items[events], exact[events], block - block[0]).items():
            found[name] += count
    return found


def _same_time(items: NDArray[np.integer], exact: Ints, offsets: Ints) -> dict[str, int]:
    moments = Moments.of(items, exact, offsets)
    ends, long, later = offsets[1:], np.diff(offsets) > 1, moments.starts[1:]
    return {
        "events": int(moments.sizes[moments.mixed].sum()),
        "valid_targets": int(moments.mixed_at(ends[long] - 2).sum()),
        "test_targets": int(moments.mixed_at(ends - 1).sum()),
        # The rule for ties puts the same items side by side.
        "duplicates": int((items[1:] == items[:-1]).sum() - (items[later] == items[later - 1]).sum()),
    }


def described(dataset: Dataset) -> dict[str, Any]:
    """The manifest, complete, and :func:`statistics` under a key of that name."""
    return {**dataset.manifest, **describe(dataset), "statistics": statistics(dataset)}


def statistics(dataset: Dataset) -> dict[str, Any]:
    """The figures of the paper's Table 1 and what else describes the events; JSON values only."""
    histories = dataset.histories.ragged
    lengths, events = histories.lengths, len(histories.values)
    pairs = histories.row_of_value * (len(dataset.items) + 1) + histories.values
    popularity = np.bincount(histories.values, minlength=len(dataset.items) + 1)[1:]
    words = [len(text.split()) for text in dataset.texts[1:]]
    before = dataset.test.seen.lengths
    return {
        "users": len(dataset.users),
        "items": len(dataset.items),
        "interactions": events,
        "per_user": _spread(lengths),
        "per_item": _spread(popularity),
        "density": events / (len(dataset.users) * len(dataset.items)),
        "lengths": histogram(lengths),
        "users_cut": int((before > dataset.max_history).sum()),
        "events_cut": int(np.maximum(before - dataset.max_history, 0).sum()),
        "repeats": events - len(np.unique(pairs)),
        "targets": {name: _targets(dataset, dataset.split(name)) for name in ("valid", "test")},
        "text_words": _spread(np.array(words)),
        "items_of_equal_text": len(dataset.items) - len(set(dataset.texts[1:])),
        "period": period(dataset),
    }


def period(dataset: Dataset) -> dict[str, str] | None:
    """The first and the last moment of all events, in UTC; None where the source has no times."""
    times = dataset.histories.times
    return None if times is None else {"first": iso(int(times.min())), "last": iso(int(times.max()))}


def histogram(lengths: Ints) -> list[dict[str, int]]:
    """Users by the length of their history: ``from``, ``to`` (both included) and ``users``, empty bins at the ends left
    out."""
    edges = np.array([*_EDGES, np.iinfo(np.int64).max])
    counts = np.histogram(lengths, edges)[0]
    used = np.flatnonzero(counts)
    return [
        {"from": int(edges[k]), "to": int(min(edges[k + 1] - 1, lengths.max())), "users": int(counts[k])}
        for k in range(used[0], used[-1] + 1)
    ]


def _spread(values: Ints) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "least": int(values.min()),
        "median": float(np.median(values)),
        "most": int(values.max()),
    }


def _targets(dataset: Dataset, split: Split) -> dict[str, int]:
    """How many there are; how many nobody trained on; how many stand in the user's own history."""
    own = split.seen.values == np.repeat(split.targets, split.seen.lengths)
    return {
        "evaluation_users": len(split),
        "never_trained": int((~dataset.trained[split.targets]).sum()),
        "repeated": len(np.unique(split.seen.row_of_value[own])),
    }
