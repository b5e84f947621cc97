"""Tables over finished runs; reads run folders only."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from ssna.core.errors import ArtifactError
from ssna.report.ablation import integration, layers
from ssna.report.accuracy import accuracy, overall
from ssna.report.best_settings import best_settings
from ssna.report.bins import history
from ssna.report.comparison import Comparison, compare
from ssna.report.cost import memory, runtime
from ssna.report.examples import Examples, as_text, examples
from ssna.report.formats import FORMATS, render
from ssna.report.groups import ResultGroup, find, result_groups
from ssna.report.holdout import cold, held_out_items
from ssna.report.html import html_page as page
from ssna.report.improvement import improvement
from ssna.report.new_items import new_items
from ssna.report.paper import with_paper_figures
from ssna.report.plots import PLOTS
from ssna.report.plots import write as draw
from ssna.report.rare import new_and_rare
from ssna.report.table import Table

__all__ = [
    "FORMATS",
    "PLOTS",
    "TABLES",
    "Comparison",
    "Examples",
    "ResultGroup",
    "Table",
    "all_tables",
    "as_text",
    "compare",
    "draw",
    "examples",
    "find",
    "held_out_items",
    "improvement",
    "new_and_rare",
    "overall",
    "page",
    "render",
    "result_groups",
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
    "new-items": new_items,
    "history": history,
}
"""Name -> its tables of some groups; none where the runs have nothing for it."""

NEEDS = {
    "improvement": "a second method on the same data and language model",
    "integration": "runs of ssna that differ in method.integrate",
    "layers": "runs of ssna that differ in method.layers and seed alone",
    "best-settings": "runs of a grid",
    "new-items": "runs on data with held-out items",
}


def tables(name: str, found: Sequence[ResultGroup], of: str | None = None, paper: bool = False) -> list[Table]:
    """One of ``TABLES``; ``of`` is the method whose improvement is shown; ``paper`` adds the paper's figures.

    Raises:
        ArtifactError: the runs have nothing for it.
    """
    result = improvement(found, of) if name == "improvement" else TABLES[name](found)
    if not result:
        raise ArtifactError(f"there is nothing for the table {name!r} in these runs; it takes {NEEDS[name]}")
    return with_paper_figures(name, result, found) if paper else result


def all_tables(found: Sequence[ResultGroup], of: str | None = None, paper: bool = False) -> list[Table]:
    """Every table that the runs have something for."""
    result: list[Table] = []
    for name in TABLES:
        with suppress(ArtifactError):
            result += tables(name, found, of, paper)
    return result
