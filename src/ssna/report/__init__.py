"""Tables over finished runs; reads run folders only."""

from collections.abc import Callable, Sequence

from ssna.errors import ArtifactError
from ssna.report.ablation import integration, layers
from ssna.report.accuracy import accuracy, overall
from ssna.report.best_settings import best_settings
from ssna.report.cost import memory, runtime
from ssna.report.formats import FORMATS, render
from ssna.report.improvement import improvement
from ssna.report.runs import Bench, benches, find
from ssna.report.table import Table

__all__ = ["FORMATS", "TABLES", "Bench", "Table", "benches", "find", "improvement", "overall", "render", "tables"]

TABLES: dict[str, Callable[[Sequence[Bench]], list[Table]]] = {
    "accuracy": accuracy,
    "improvement": improvement,
    "runtime": runtime,
    "memory": memory,
    "integration": integration,
    "layers": layers,
    "best-settings": best_settings,
}
"""Each gives no table where the runs hold nothing for it."""

NEEDS = {
    "improvement": "a second method on the same data and language model",
    "integration": "runs of ssna that differ in method.integrate",
    "layers": "runs of ssna that differ in method.layers and seed alone",
    "best-settings": "runs of a grid",
}


def tables(name: str, found: Sequence[Bench], of: str | None = None) -> list[Table]:
    """One of ``TABLES``; ``of`` is the method whose improvement is shown.

    Raises:
        ArtifactError: the runs hold nothing for it.
    """
    result = improvement(found, of) if name == "improvement" else TABLES[name](found)
    if not result:
        raise ArtifactError(f"there is nothing for the table {name!r} in these runs; it takes {NEEDS[name]}")
    return result
