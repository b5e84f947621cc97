"""Our figures beside those that others published on the same files: `python benchmarks/published.py RUNS`.

RUNS is what `ssna grid grids/minilm/published.toml -o RUNS` made, of one seed or of all. Without it, the kept runs are
taken. ``published.toml`` has the figures of others. Nobody is called best: whether seen items were ranked, how settings
were chosen and how many seeds stand behind a figure differ, or are not known.
"""

import argparse
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssna.core.errors import ArtifactError
from ssna.evaluation.ranking import POLICIES
from ssna.report import find, render, result_groups
from ssna.report.cells import POLICY_LABELS, label, score
from ssna.report.groups import ResultGroup
from ssna.report.notes import group_notes
from ssna.report.table import Cell, Figure, Table

GROUP = "minilm-published"
FIGURES = Path(__file__).with_suffix(".toml")
METRICS = ("R@10", "N@10")
COUNTS = ("users", "items")
NOTE = (
    "The whole catalogue is ranked, the last item of every user is the target. Figures of others are theirs, of one "
    "run or of several. Where they do not state whether seen items are ranked, neither of ours is known to compare."
)


@dataclass(frozen=True)
class Published:
    """What others published: ``data`` with their counts, and ``methods`` with their figures by data set."""

    data: Sequence[dict[str, Any]]
    methods: Sequence[dict[str, Any]]

    @classmethod
    def read(cls, path: Path = FIGURES) -> "Published":
        return cls(**tomllib.loads(path.read_text(encoding="utf-8")))


def tables(published: Published, groups: Iterable[ResultGroup]) -> list[Table]:
    """One for each data set: the figures of others, and those of our runs on as many users and items."""
    found = list(groups)
    return [
        _table(published, data, [group for group in found if all(group.data[count] == data[count] for count in COUNTS)])
        for data in published.data
    ]


def _table(published: Published, data: dict[str, Any], groups: Sequence[ResultGroup]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (method["name"], method["source"], method["seen"], *_figures(method[data["name"]]))
        for method in published.methods
        if data["name"] in method
    ]
    for group in groups:
        for policy in POLICIES:
            rows += [
                (
                    label(entry),
                    "ours",
                    POLICY_LABELS[policy],
                    *(score(entry, policy, metric, None) for metric in METRICS),
                )
                for entry in group.entries
            ]
    counts = ", ".join(f"{data[count]:,} {count}" for count in COUNTS)
    ours = [note for group in groups for note in group_notes(group, group.entries)]
    return Table(
        title=f"Published figures on {data['name']}",
        head=("method", "source", "seen items", *METRICS),
        rows=tuple(rows),
        notes=(f"{counts}. {NOTE}", *(ours or ["Ours are not among these runs."])),
        labels=3,
        metadata=({"data": data["name"]},) * len(rows),
    )


def _figures(values: Sequence[float]) -> list[Figure | None]:
    """A metric that was not published is None."""
    return [Figure(values[place]) if place < len(values) else None for place in range(len(METRICS))]


def written(runs: Path) -> str:
    """As Markdown; of folders without runs, the figures of others alone."""
    try:
        groups = result_groups(find([runs]))
    except ArtifactError:
        groups = []
    return render(tables(Published.read(), groups), "md")


def main() -> None:
    from tempfile import TemporaryDirectory

    from report import RUNS, unpack

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="?", help="the kept ones unless given")
    given = parser.parse_args().runs
    if given is not None:
        print(render(tables(Published.read(), result_groups(find([given]))), "text"), end="")
        return
    with TemporaryDirectory() as folder:
        unpack(RUNS / GROUP, Path(folder) / GROUP)
        print(written(Path(folder) / GROUP), end="")


if __name__ == "__main__":
    main()
