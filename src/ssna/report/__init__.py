"""Tables over finished runs; reads run folders only."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from ssna.core.errors import ArtifactError
from ssna.report.ablation import integration, layers
from ssna.report.accuracy import accuracy, overall
from ssna.report.best_settings import best_settings
from ssna.report.bins import history
from ssna.report.cost import memory, runtime
from ssna.report.examples import Examples, as_text, examples
from ssna.report.formats import FORMATS, render
from ssna.report.groups import ResultGroup, result_groups, find
from ssna.report.holdout import cold
from ssna.report.html import report as page
from ssna.report.improvement import improvement
from ssna.report.paper import beside
from ssna.report.plots import PLOTS
from ssna.report.plots import write as draw
from ssna.report.table import Table

__all__ = [
    "FORMATS",
    "PLOTS",
    "TABLES",
    "ResultGroup",
    "Examples",
    "Table",
    "all_tables",
    "as_text",
    "result_groups",
    "draw",
    "examples",
    "find",
    "improvement",
    "overall",
    "page",
    "render",
    "tables",
]

TABLES: dict[str, Callable[[Sequence[ResultGroup]], list[Table]]] = {
    "accuracy": accuracy,
    "improvement": improvement,
    "runtime": runtime,
    "memory": memory,
    "integration": integration,
    "layers": layers,
    "best-settings": best_settings,
    "cold": cold,
    "history": history,
}
"""Each gives no table where the runs hold nothing for it."""

NEEDS = {
    "improvement": "a second method on the same data and language model",
    "integration": "runs of ssna that differ in method.integrate",
    "layers": "runs of ssna that differ in method.layers and seed alone",
    "best-settings": "runs of a grid",
}


def tables(name: str, found: Sequence[ResultGroup], of: str | None = None, paper: bool = False) -> list[Table]:
    """One of ``TABLES``; ``of`` is the method whose improvement is shown; ``paper`` puts the paper's figures beside.

    Raises:
        ArtifactError: the runs hold nothing for it.
    """
    result = improvement(found, of) if name == "improvement" else TABLES[name](found)
    if not result:
        raise ArtifactError(f"there is nothing for the table {name!r} in these runs; it takes {NEEDS[name]}")
    return beside(name, result, found) if paper else result


def all_tables(found: Sequence[ResultGroup], of: str | None = None, paper: bool = False) -> list[Table]:
    """Every table that the runs hold something for."""
    result: list[Table] = []
    for name in TABLES:
        with suppress(ArtifactError):
            result += tables(name, found, of, paper)
    return result
