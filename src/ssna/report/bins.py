"""Accuracy by training events of the target, cold items first, and by length of the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ssna.core.errors import ArtifactError
from ssna.evaluation.metrics import ndcg, recall
from ssna.evaluation.ranking import POLICIES, Policy
from ssna.report.cells import POLICY_LABELS, group_name, is_dry_run, labels, mean_over_seeds
from ssna.report.groups import Entry, ResultGroup
from ssna.report.notes import POLICIES_NOTE, group_notes
from ssna.report.table import Cell, Figure, Table
from ssna.runs.record import read_ranks

GAINS = {"N@10": ndcg, "R@10": recall}
MIN_USERS = 50
"""A mean over fewer users says little."""

Means = dict[str, np.ndarray[Any, Any]]
"""Metric -> ``(seeds, bins)``, NaN in an empty bin."""


@dataclass(frozen=True)
class Bins:
    """How test users are divided.

    Attributes:
        column: of the ranks.
        title: the same in words.
        lower_bounds: label -> least value of the bin.
    """

    column: str
    title: str
    lower_bounds: dict[str, int]


POPULARITY = Bins(
    "events",
    "training events of the target",
    {"0\n(cold)": 0, "1–5": 1, "6–10": 6, "11–20": 11, "21–50": 21, "51+": 51},
)
HISTORY = Bins("history", "items in the history", {"up to 3": 0, "4–5": 4, "6–10": 6, "11–20": 11, "21+": 21})


def means_by_bin(entry: Entry, policy: Policy, bins: Bins) -> tuple[np.ndarray[Any, Any], Means]:
    """``(bins,)`` test users, and means over them. Runs are read one at a time.

    Raises:
        ArtifactError: ranks are damaged, or lack the column.
    """
    sums: dict[str, list[np.ndarray[Any, Any]]] = {metric: [] for metric in GAINS}
    num_bins = len(bins.lower_bounds)
    for run in entry.runs:
        table = read_ranks(run.path, "test")
        if not {bins.column, f"rank_{policy}"} <= set(table.column_names):
            raise ArtifactError(f"{run.path} has no column {bins.column} in its ranks; train again")
        ranks, k = table[f"rank_{policy}"].to_numpy(), min(10, run.record.items)
        bin_of_user = np.searchsorted([*bins.lower_bounds.values()], table[bins.column].to_numpy(), side="right") - 1
        users = np.bincount(bin_of_user, minlength=num_bins)
        for metric, gain in GAINS.items():
            sums[metric].append(np.bincount(bin_of_user, gain(ranks, k), minlength=num_bins))
    counts = np.where(users, users, np.nan)
    return users, {metric: np.array(seeds) / counts for metric, seeds in sums.items()}


def by_entry(group: ResultGroup, policy: Policy, bins: Bins) -> tuple[np.ndarray[Any, Any], dict[str, Means]]:
    """``(bins,)`` test users, and the means of every entry by its name.

    Raises:
        ArtifactError: as :func:`binned`, or entries rank different users.
    """
    found = {entry.name: means_by_bin(entry, policy, bins) for entry in group.entries}
    first, (users, _) = next(iter(found.items()))
    for name, (others, _) in found.items():
        if not np.array_equal(users, others):
            raise ArtifactError(f"{name} ranks other users than {first}; compare runs of one split")
    return users, {name: means for name, (_, means) in found.items()}


def _tables(groups: Sequence[ResultGroup], title: str, bins: Bins) -> list[Table]:
    return [_table(group, f"{title} on {group_name(group)}", bins) for group in groups]


def _table(group: ResultGroup, title: str, bins: Bins) -> Table:
    """A row a bin, a column an entry; each row is a comparison group, unless it has few users."""
    rows: list[tuple[Cell, ...]] = []
    for policy in POLICIES:
        users, found = by_entry(group, policy, bins)
        for metric, (number, name) in product(GAINS, enumerate(bins.lower_bounds)):
            comparison_group = (policy, metric, name) if users[number] >= MIN_USERS else None
            cells = (
                mean_over_seeds(
                    found[entry.name][metric][:, number],
                    comparison_group=None if is_dry_run(entry) else comparison_group,
                )
                if users[number]
                else None
                for entry in group.entries
            )
            size = Figure(float(users[number]), "count")
            rows.append((POLICY_LABELS[policy], metric, " ".join(name.split()), size, *cells))
    return Table(
        title=title,
        head=("seen", "metric", bins.title, "users", *labels(group.entries).values()),
        rows=tuple(rows),
        notes=(
            f"Means over the users of a bin; where they are fewer than {MIN_USERS}, none is called best.",
            POLICIES_NOTE,
            *group_notes(group, group.entries),
        ),
        labels=3,
        metadata=(group.metadata,) * len(rows),
    )


by_popularity = partial(_tables, title="Accuracy by popularity of the target", bins=POPULARITY)
history = partial(_tables, title="Accuracy by length of the history", bins=HISTORY)
