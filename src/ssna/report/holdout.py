"""Cold start: held-out items, ranked by their texts alone, and what chance would give."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ssna.evaluation.metrics import summary
from ssna.report.bins import by_popularity
from ssna.report.cells import group_name, is_dry_run, label, mean_over_seeds
from ssna.report.groups import Entry, ResultGroup
from ssna.report.notes import group_notes
from ssna.report.table import Cell, Figure, Table

RANKINGS = {"among": "among held-out", "all": "among all"}
MEASURES = ("R@10", "N@10", "R@50", "median")
HEAD = tuple(
    f"{words}\n{'median rank' if name == 'median' else name}" for words in RANKINGS.values() for name in MEASURES
)


def cold(groups: Sequence[ResultGroup]) -> list[Table]:
    """Accuracy by popularity of the target; and, of data with held-out items, the ranks of these."""
    tables = (held_out_items(group) for group in groups)
    return [*by_popularity(groups), *(table for table in tables if table is not None)]


def held_out_items(group: ResultGroup) -> Table | None:
    """Ranks of the held-out items among themselves and among all, a row an entry; None where no run has any."""
    sizes = next((entry.record.cold for entry in group.entries if entry.record.cold is not None), None)
    if sizes is None:
        return None
    rows = [(label(entry), *_cells(entry)) for entry in group.entries]
    rows.append(("chance", *(_chance(sizes, name, measure) for name, measure in _MEASURED)))
    return Table(
        title=f"Items held out from training on {group_name(group)}",
        head=("method", *HEAD),
        rows=tuple(rows),
        notes=(
            f"{sizes['held_out']:,} items had no event in the data that was trained on, and were added by their texts. "
            f"{sizes['questions']:,} users chose one: its rank among these items, and among all {sizes['items']:,} "
            "without those of the history. A method that reads no text gives them all one score, and ties count "
            "against the target; one that cannot add an item has no figure. Best and second are better than chance.",
            *group_notes(group, group.entries),
        ),
        metadata=(group.metadata,) * len(rows),
    )


_MEASURED = [(name, measure) for name in RANKINGS for measure in MEASURES]


def _cells(entry: Entry) -> list[Cell]:
    return [held_out_figure(entry, name, measure) for name, measure in _MEASURED]


def held_out_figure(entry: Entry, name: str, measure: str, *, compared: bool = True) -> Cell:
    """One of ``MEASURES`` in one of ``RANKINGS``; None where a run of the entry has none.

    Args:
        compared: with those of other entries, where it is better than chance and no dry run.
    """
    records = [run.record.cold for run in entry.runs if run.record.cold is not None]
    if len(records) < len(entry.runs):
        return None
    values = np.array([record[name][measure] for record in records])
    chance = None if is_dry_run(entry) or not compared else _chance(records[0], name, measure)
    return _cell(values, name, measure, chance)


def _cell(values: np.ndarray[Any, Any], name: str, measure: str, chance: Figure | None) -> Figure:
    """Compared with others where it is better than ``chance``; not where that is None."""
    lower = measure == "median"
    better = chance is not None and (values.mean() < chance.value if lower else values.mean() > chance.value)
    return mean_over_seeds(values, "number" if lower else "score", (name, measure) if better else None, lower=lower)


def _chance(sizes: dict[str, Any], name: str, measure: str) -> Figure:
    """The mean of a random order."""
    items = sizes["held_out" if name == "among" else "items"]
    if measure == "median":
        return Figure((items + 1) / 2, "number")
    return Figure(summary(np.arange(1, items + 1), items)[measure])
