"""Items withheld from training, placed by their texts alone, beside what chance would do."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ssna.evaluation.metrics import summary
from ssna.report.bins import by_popularity
from ssna.report.cells import label, over, is_dry_run, where
from ssna.report.groups import ResultGroup, Entry
from ssna.report.notes import under
from ssna.report.table import Cell, Figure, Table

RANKINGS = {"among": "among withheld", "all": "among all"}
MEASURES = ("R@10", "N@10", "R@50", "median")
HEAD = tuple(
    f"{words}\n{'median rank' if name == 'median' else name}" for words in RANKINGS.values() for name in MEASURES
)


def cold(benches: Sequence[ResultGroup]) -> list[Table]:
    """Accuracy by popularity of the target; and, of data that items were withheld from, how these are placed."""
    return [*by_popularity(benches), *(_table(bench) for bench in benches if _evaluated(bench))]


def _evaluated(bench: ResultGroup) -> list[Entry]:
    return [entry for entry in bench.entries if all(run.record.cold is not None for run in entry.runs)]


def _table(bench: ResultGroup) -> Table:
    sizes = _evaluated(bench)[0].record.cold
    assert sizes is not None
    rows = [(label(entry), *_cells(entry)) for entry in bench.entries]
    rows.append(("chance", *(_chance(sizes, name, measure) for name, measure in _MEASURED)))
    return Table(
        title=f"Items withheld from training on {where(bench)}",
        head=("method", *HEAD),
        rows=tuple(rows),
        notes=(
            f"{sizes['withheld']:,} items had no event in the data that was trained on, and were added by their texts. "
            f"{sizes['questions']:,} users chose one: its rank among these items, and among all {sizes['items']:,} "
            "without those of the history. A method that reads no text gives them all one score, and ties count "
            "against the target; one that cannot add an item has no figure. Best and second are better than chance.",
            *under(bench, bench.entries),
        ),
        about=(bench.about,) * len(rows),
    )


_MEASURED = [(name, measure) for name in RANKINGS for measure in MEASURES]


def _cells(entry: Entry) -> list[Cell]:
    records = [run.record.cold for run in entry.runs if run.record.cold is not None]
    if len(records) < len(entry.runs):
        return [None] * len(_MEASURED)
    cells: list[Cell] = []
    for name, measure in _MEASURED:
        values = np.array([record[name][measure] for record in records])
        cells.append(_cell(values, name, measure, None if is_dry_run(entry) else _chance(records[0], name, measure)))
    return cells


def _cell(values: np.ndarray[Any, Any], name: str, measure: str, chance: Figure | None) -> Figure:
    """It competes if it is better than ``chance``; None for what is no result."""
    lower = measure == "median"
    better = chance is not None and (values.mean() < chance.value if lower else values.mean() > chance.value)
    return over(values, "number" if lower else "score", (name, measure) if better else None, lower=lower)


def _chance(sizes: dict[str, Any], name: str, measure: str) -> Figure:
    """What a random order gives on average."""
    items = sizes["withheld" if name == "among" else "items"]
    if measure == "median":
        return Figure((items + 1) / 2, "number")
    return Figure(summary(np.arange(1, items + 1), items)[measure])
