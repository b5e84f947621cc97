"""Accuracy by what is asked: by training events of the target, cold items first, and by length of the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ssna.core.errors import ArtifactError
from ssna.evaluation.metrics import ndcg, recall
from ssna.evaluation.ranking import POLICIES, Policy
from ssna.report.cells import SEEN, labels, over, is_dry_run, where
from ssna.report.groups import ResultGroup, Entry
from ssna.report.notes import POLICIES_NOTE, under
from ssna.report.table import Cell, Figure, Table
from ssna.runs.record import read_ranks

GAINS = {"N@10": ndcg, "R@10": recall}
FEW = 50
"""Users: a mean over fewer says little."""

Means = dict[str, np.ndarray[Any, Any]]
"""Metric -> ``(seeds, bins)``, not a number in an empty bin."""


@dataclass(frozen=True)
class Bins:
    """How test users are told apart.

    Attributes:
        column: of the ranks.
        what: the same in words.
        starts: label -> first of the bin.
    """

    column: str
    what: str
    starts: dict[str, int]


POPULARITY = Bins(
    "events",
    "training events of the target",
    {"0\n(cold)": 0, "1–5": 1, "6–10": 6, "11–20": 11, "21–50": 21, "51+": 51},
)
HISTORY = Bins("history", "items in the history", {"up to 3": 0, "4–5": 4, "6–10": 6, "11–20": 11, "21+": 21})


def binned(entry: Entry, policy: Policy, bins: Bins) -> tuple[np.ndarray[Any, Any], Means]:
    """``(bins,)`` test users, and means over them. Runs are read one at a time.

    Raises:
        ArtifactError: ranks are damaged, or lack the column.
    """
    sums: dict[str, list[np.ndarray[Any, Any]]] = {metric: [] for metric in GAINS}
    count = len(bins.starts)
    for run in entry.runs:
        table = read_ranks(run.path, "test")
        if not {bins.column, f"rank_{policy}"} <= set(table.column_names):
            raise ArtifactError(f"{run.path} says no {bins.column} of its ranks; train again")
        ranks, k = table[f"rank_{policy}"].to_numpy(), min(10, run.record.items)
        places = np.searchsorted([*bins.starts.values()], table[bins.column].to_numpy(), side="right") - 1
        users = np.bincount(places, minlength=count)
        for metric, gain in GAINS.items():
            sums[metric].append(np.bincount(places, gain(ranks, k), minlength=count))
    counts = np.where(users, users, np.nan)
    return users, {metric: np.array(seeds) / counts for metric, seeds in sums.items()}


def by_entry(bench: ResultGroup, policy: Policy, bins: Bins) -> tuple[np.ndarray[Any, Any], dict[str, Means]]:
    """``(bins,)`` test users, and the means of every entry by its name.

    Raises:
        ArtifactError: as :func:`binned`, or entries rank different users.
    """
    found = {entry.name: binned(entry, policy, bins) for entry in bench.entries}
    first, (users, _) = next(iter(found.items()))
    for name, (others, _) in found.items():
        if not np.array_equal(users, others):
            raise ArtifactError(f"{name} ranks other users than {first}; compare runs of one split")
    return users, {name: means for name, (_, means) in found.items()}


def _tables(benches: Sequence[ResultGroup], title: str, bins: Bins) -> list[Table]:
    return [_table(bench, f"{title} on {where(bench)}", bins) for bench in benches]


def _table(bench: ResultGroup, title: str, bins: Bins) -> Table:
    """A row a bin, a column an entry; each row is a contest, unless few users are in it."""
    rows: list[tuple[Cell, ...]] = []
    for policy in POLICIES:
        users, found = by_entry(bench, policy, bins)
        for metric, (place, name) in product(GAINS, enumerate(bins.starts)):
            contest = (policy, metric, name) if users[place] >= FEW else None
            cells = (
                over(found[entry.name][metric][:, place], contest=None if is_dry_run(entry) else contest)
                if users[place]
                else None
                for entry in bench.entries
            )
            count = Figure(float(users[place]), "count")
            rows.append((SEEN[policy], metric, " ".join(name.split()), count, *cells))
    return Table(
        title=title,
        head=("seen", "metric", bins.what, "users", *labels(bench.entries).values()),
        rows=tuple(rows),
        notes=(
            f"Means over the users of a bin; where they are fewer than {FEW}, none is called best.",
            POLICIES_NOTE,
            *under(bench, bench.entries),
        ),
        labels=3,
        about=(bench.about,) * len(rows),
    )


by_popularity = partial(_tables, title="Accuracy by popularity of the target", bins=POPULARITY)
history = partial(_tables, title="Accuracy by length of the history", bins=HISTORY)
