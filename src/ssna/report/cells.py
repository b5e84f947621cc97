"""Cells of tables: metrics and policies in order, names of rows, and figures over seeds."""

from collections.abc import Callable, Hashable, Iterable
from itertools import product
from typing import Any

import numpy as np

from ssna.evaluation.ranking import POLICIES, Policy
from ssna.report.groups import Entry, ResultGroup
from ssna.report.table import DRY_RUN, Figure, Style
from ssna.runs import RunRecord

METRICS = ("R@10", "N@10", "R@50", "N@50")
POLICY_LABELS: dict[Policy, str] = {"exclude_seen": "seen excluded", "include_seen": "seen included"}
MEASURES: tuple[tuple[Policy, str], ...] = tuple(product(POLICIES, METRICS))


def label(entry: Entry) -> str:
    """The entry's name, marked if it is a dry run."""
    return labels([entry])[entry.name]


def is_dry_run(entry: Entry) -> bool:
    """Whether any run of the entry was a dry run."""
    return any(run.record.dry_run for run in entry.runs)


def labels(entries: Iterable[Entry]) -> dict[str, str]:
    """Name -> label, for columns that several groups share: marked if the figures of any are of a dry run."""
    entries = list(entries)
    marked = {entry.name for entry in entries if is_dry_run(entry)}
    return {entry.name: entry.name + f" {DRY_RUN}" * (entry.name in marked) for entry in entries}


def data_and_model(group: ResultGroup) -> tuple[str, str]:
    """Data set and language model, as the leading cells of a row."""
    data = group.title if group.data["split"] == "leave-one-out" else f"{group.title}, {group.split}"
    return data, group.model or "no text"


def group_name(group: ResultGroup) -> str:
    """Data set and language model in a title."""
    return ", ".join(data_and_model(group))


def score(entry: Entry, policy: Policy, metric: str, comparison_group: Hashable, *, marked: bool = False) -> Figure:
    """A test metric of an entry; not compared where it is a dry run, and ``marked`` so where no label says it."""
    dry = is_dry_run(entry)
    mark = DRY_RUN if marked and dry else ""
    return mean_over_seeds(entry.figures(policy, metric), comparison_group=None if dry else comparison_group, mark=mark)


def measured(
    entry: Entry,
    measure: Callable[[RunRecord], float | None],
    style: Style,
    comparison_group: Hashable = None,
    mark: str = "",
) -> Figure | None:
    """A measurement over the seeds of an entry; the lowest is the best. None where a run did not measure it."""
    values = [value for run in entry.runs if (value := measure(run.record)) is not None]
    if len(values) < len(entry.runs):
        return None
    return mean_over_seeds(np.array(values), style, comparison_group, lower=True, mark=mark)


def mean_over_seeds(
    values: np.ndarray[Any, Any],
    style: Style = "score",
    comparison_group: Hashable = None,
    lower: bool = False,
    mark: str = "",
) -> Figure:
    """Mean of ``(seeds,)`` and, of several, their sample deviation."""
    deviation = float(values.std(ddof=1)) if len(values) > 1 else None
    return Figure(float(values.mean()), style, deviation, comparison_group, lower, mark)
