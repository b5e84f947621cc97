"""What tables are made of: metrics and policies in order, names of rows, and figures over seeds."""

from collections.abc import Callable, Hashable, Iterable
from itertools import product
from typing import Any

import numpy as np

from ssna.evaluation.ranking import POLICIES, Policy
from ssna.report.groups import ResultGroup, Entry
from ssna.report.table import DRY_RUN, Figure, Style
from ssna.runs import RunRecord

METRICS = ("R@10", "N@10", "R@50", "N@50")
SEEN: dict[Policy, str] = {"exclude_seen": "seen excluded", "include_seen": "seen included"}
MEASURES: tuple[tuple[Policy, str], ...] = tuple(product(POLICIES, METRICS))


def label(entry: Entry) -> str:
    """The entry's name, marked if its figures are no result."""
    return labels([entry])[entry.name]


def is_dry_run(entry: Entry) -> bool:
    """Whether any run of the entry was cut short."""
    return any(run.record.dry_run for run in entry.runs)


def labels(entries: Iterable[Entry]) -> dict[str, str]:
    """Name -> label, for columns that several benches share: marked if the figures of any are no result."""
    entries = list(entries)
    marked = {entry.name for entry in entries if is_dry_run(entry)}
    return {entry.name: entry.name + f" {DRY_RUN}" * (entry.name in marked) for entry in entries}


def place_of(bench: ResultGroup) -> tuple[str, str]:
    """Data set and language model, as the leading cells of a row."""
    data = bench.title if bench.data["split"] == "leave-one-out" else f"{bench.title}, {bench.split}"
    return data, bench.model or "no text"


def where(bench: ResultGroup) -> str:
    """The same in a title."""
    return ", ".join(place_of(bench))


def score(entry: Entry, policy: Policy, metric: str, contest: Hashable, *, marked: bool = False) -> Figure:
    """A test metric of an entry; it competes unless it is no result, ``marked`` where no label says so."""
    short = is_dry_run(entry)
    mark = DRY_RUN if marked and short else ""
    return over(entry.figures(policy, metric), contest=None if short else contest, mark=mark)


def over_seeds(
    entry: Entry,
    measure: Callable[[RunRecord], float | None],
    style: Style,
    contest: Hashable = None,
    mark: str = "",
) -> Figure | None:
    """What a run measured, over the seeds of an entry; the lowest wins. None where a run did not measure it."""
    values = [value for run in entry.runs if (value := measure(run.record)) is not None]
    if len(values) < len(entry.runs):
        return None
    return over(np.array(values), style, contest, lower=True, mark=mark)


def over(
    values: np.ndarray[Any, Any], style: Style = "score", contest: Hashable = None, lower: bool = False, mark: str = ""
) -> Figure:
    """Mean of ``(seeds,)`` and, of several, their sample deviation."""
    deviation = float(values.std(ddof=1)) if len(values) > 1 else None
    return Figure(float(values.mean()), style, deviation, contest, lower, mark)
