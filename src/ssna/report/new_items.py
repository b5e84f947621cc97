"""Held-out items against old ones: what each method finds of both, and what raising new items costs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ssna.report.cells import group_name, is_dry_run, label, mean_over_seeds
from ssna.report.groups import Entry, ResultGroup
from ssna.report.notes import group_notes
from ssna.report.table import Cell, Table

METRIC = "N@10"
NEW = ("R@10", METRIC, "R@50")


class Point(NamedTuple):
    """What a method does with new items raised by ``new_items``.

    Attributes:
        new: metric -> ``(seeds,)`` of the held-out items, among all.
        old: ``(seeds,)`` :data:`METRIC` of the test targets, among all.
        alone: ``(seeds,)`` the same without the new items.
    """

    new_items: float
    new: dict[str, np.ndarray[Any, Any]]
    old: np.ndarray[Any, Any]
    alone: np.ndarray[Any, Any]


def points(entry: Entry) -> list[Point]:
    """By how far new items are raised, as far as all runs of the entry know; empty where one of them has none."""
    records = [(record, run.record) for run in entry.runs if (record := run.record.cold) is not None]
    if len(records) < len(entry.runs) or not all("old" in cold for cold, _ in records):
        return []
    raised = [{0.0: (cold["all"], cold["old"]), **_raised(cold)} for cold, _ in records]
    alone = np.array([record.test["exclude_seen"][METRIC] for _, record in records])
    return [
        Point(
            exposure,
            {metric: np.array([of_run[exposure][0][metric] for of_run in raised]) for metric in NEW},
            np.array([of_run[exposure][1][METRIC] for of_run in raised]),
            alone,
        )
        for exposure in raised[0]
        if all(exposure in of_run for of_run in raised)
    ]


def _raised(cold: Mapping[str, Any]) -> dict[float, tuple[dict[str, float], dict[str, float]]]:
    return {float(step["new_items"]): (step["all"], step["old"]) for step in cold.get("raised", ())}


def new_items(groups: Sequence[ResultGroup]) -> list[Table]:
    """New items, old ones beside them, and what new ones cost these: a row a method, and one each time it is raised."""
    tables = (_table(group) for group in groups)
    return [table for table in tables if table is not None]


def _table(group: ResultGroup) -> Table | None:
    rows = [row for entry in group.entries for row in _rows(entry)]
    if not rows:
        return None
    return Table(
        title=f"New items and what they cost on {group_name(group)}",
        head=("method", "new_items", *(f"new items\n{metric}" for metric in NEW), f"old items\n{METRIC}", "cost"),
        rows=tuple(rows),
        notes=(
            "Test split, seen excluded, ranks among all items, new ones included. New items: the held-out ones. Old "
            f"items: the test targets. Cost: the share of {METRIC} that these lose to the new items.",
            *group_notes(group, group.entries),
        ),
        labels=2,
        metadata=(group.metadata,) * len(rows),
    )


def _rows(entry: Entry) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for point in points(entry):
        compared = not is_dry_run(entry)
        new = [
            mean_over_seeds(values, comparison_group=name if compared else None) for name, values in point.new.items()
        ]
        cost = mean_over_seeds(1 - point.old / point.alone, "percent") if point.alone.all() else None
        old = mean_over_seeds(point.old, comparison_group="old" if compared else None)
        rows.append((label(entry), f"{point.new_items:g}", *new, old, cost))
    return rows
