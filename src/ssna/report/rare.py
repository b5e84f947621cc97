"""New and rare items beside the accuracy of all: where a mean over users hides that few are found."""

from collections.abc import Iterable
from itertools import islice

import numpy as np

from ssna.core.errors import ArtifactError
from ssna.report.bins import MIN_USERS, POPULARITY, Means, means_by_bin
from ssna.report.cells import POLICY_LABELS, group_name, is_dry_run, labels, mean_over_seeds
from ssna.report.groups import Entry, ResultGroup
from ssna.report.holdout import held_out_figure
from ssna.report.notes import group_notes
from ssna.report.table import Cell, Figure, Table

METRIC = "N@10"
NEW, RARE = islice(POPULARITY.lower_bounds, 2)

Binned = tuple[list[int], Means]


def new_and_rare(group: ResultGroup) -> Table | None:
    """NDCG of the test targets in the first two bins of :data:`ssna.report.bins.POPULARITY`, seen excluded.

    Where runs ranked held-out items among all, these are the new ones; else the targets without training events are.
    None where there are neither new nor rare targets.
    """
    found, notes = _means_by_entry(group.entries)
    rows = [row for row in (_new_row(group, found), _bin_row(group, found, RARE)) if row is not None]
    if not rows:
        return None
    return Table(
        title=f"New and rare items on {group_name(group)}",
        head=("metric", POPULARITY.title, "users", *labels(group.entries).values()),
        rows=tuple(cells for cells, _ in rows),
        notes=(
            f"{METRIC}, {POLICY_LABELS['exclude_seen']}. Where users are fewer than {MIN_USERS}, none is called best.",
            *dict.fromkeys(note for _, note in rows if note),
            *notes,
            *group_notes(group, group.entries),
        ),
        labels=2,
        metadata=(group.metadata,) * len(rows),
    )


Row = tuple[tuple[Cell, ...], str]
"""Cells, and a note."""


def _means_by_entry(entries: Iterable[Entry]) -> tuple[dict[str, Binned], list[str]]:
    """Users and means of each entry by its name; and notes about entries whose ranks cannot be read."""
    found: dict[str, Binned] = {}
    notes = []
    for entry in entries:
        try:
            users, means = means_by_bin(entry, "exclude_seen", POPULARITY)
        except ArtifactError as cause:
            notes.append(f"{entry.name} has no figures by training events: {cause}.")
        else:
            found[entry.name] = users.tolist(), means
    return found, notes


def _new_row(group: ResultGroup, found: dict[str, Binned]) -> Row | None:
    evaluated = [cold for entry in group.entries if (cold := entry.record.cold) is not None]
    if not evaluated:
        return _bin_row(group, found, NEW)
    sizes = evaluated[0]
    cells = [held_out_figure(entry, "all", METRIC, compared=sizes["questions"] >= MIN_USERS) for entry in group.entries]
    note = (
        f"{_words(NEW)}: {sizes['held_out']:,} items held out of training, ranked by their texts among all "
        f"{sizes['items']:,}; --table cold has more."
    )
    return (METRIC, _words(NEW), Figure(float(sizes["questions"]), "count"), *cells), note


def _bin_row(group: ResultGroup, found: dict[str, Binned], name: str) -> Row | None:
    """None if nobody's target is in the bin."""
    number = [*POPULARITY.lower_bounds].index(name)
    users = max((users[number] for users, _ in found.values()), default=0)
    if not users:
        return None
    cells: list[Cell] = []
    for entry in group.entries:
        values = found[entry.name][1][METRIC][:, number] if entry.name in found else np.array([np.nan])
        compared = users >= MIN_USERS and not is_dry_run(entry)
        known = not np.isnan(values).any()
        cells.append(mean_over_seeds(values, comparison_group=name if compared else None) if known else None)
    return (METRIC, _words(name), Figure(float(users), "count"), *cells), ""


def _words(name: str) -> str:
    return " ".join(name.split())
