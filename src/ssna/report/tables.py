"""The accuracy table: one row a run, every metric under both seen policies."""

import csv
import io
import textwrap
from dataclasses import dataclass

from ssna.errors import ArtifactError
from ssna.evaluation.ranking import POLICIES
from ssna.experiments import RunRecord

METRICS = ("R@10", "N@10", "R@50", "N@50")
HEADINGS = {"exclude_seen": "seen excluded", "include_seen": "seen included"}


@dataclass(frozen=True)
class Table:
    """Rows of figures over one data set.

    Attributes:
        rows: name -> ``{policy -> {metric -> mean}}``.
        note: what must stand under the figures: data set, users, items and policies.
    """

    rows: dict[str, dict[str, dict[str, float]]]
    note: str

    def rank(self, name: str, policy: str, metric: str) -> int:
        """1 for the highest figure of a column (equal figures share a rank), 2 for the second, and so on."""
        own = self.rows[name][policy][metric]
        return 1 + len({row[policy][metric] for row in self.rows.values() if row[policy][metric] > own})


def accuracy(records: dict[str, RunRecord]) -> Table:
    """Test figures of runs by name. Raises :class:`ArtifactError` for runs on different data."""
    fingerprints = {record.fingerprint for record in records.values()}
    if len(fingerprints) > 1:
        raise ArtifactError(
            f"the runs stand on {len(fingerprints)} data sets ({', '.join(sorted(fingerprints))}); "
            "compare runs of one data set"
        )
    first = next(iter(records.values()))
    note = (
        f"Test split, {first.users:,} users, all {first.items:,} items ranked, data {first.fingerprint}. "
        "Seen excluded: the items of a user's history leave the ranking and a target among them is a miss; "
        "seen included: nothing leaves."
    )
    return Table({name: record.test for name, record in records.items()}, note)


def as_markdown(table: Table) -> str:
    """Best figure of a column bold, second underlined."""
    heads = [f"{metric} {HEADINGS[policy]}" for policy in POLICIES for metric in METRICS]
    lines = ["| method | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name in table.rows:
        cells = [_marked(table, name, policy, metric) for policy in POLICIES for metric in METRICS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", table.note]) + "\n"


def as_csv(table: Table) -> str:
    """One line a run, full precision."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["method", *(f"{metric} {policy}" for policy in POLICIES for metric in METRICS)])
    for name, row in table.rows.items():
        writer.writerow([name, *(row[policy][metric] for policy in POLICIES for metric in METRICS)])
    return text.getvalue()


def as_text(table: Table) -> str:
    """For a terminal: best marked ``*``, second ``+``."""
    width = max(len(name) for name in table.rows)
    head = " " * width + "".join(f"   {HEADINGS[policy]:^31}" for policy in POLICIES)
    lines = [head, "method".ljust(width) + "".join("  " + "".join(f"{m:>7} " for m in METRICS) for _ in POLICIES)]
    for name, row in table.rows.items():
        blocks = []
        for policy in POLICIES:
            marks = [{1: "*", 2: "+"}.get(table.rank(name, policy, m), " ") for m in METRICS]
            figures = [f"{row[policy][m]:.4f}".removeprefix("0") for m in METRICS]
            blocks.append("  " + "".join(f"{f:>7}{mark}" for f, mark in zip(figures, marks, strict=True)))
        lines.append(name.ljust(width) + "".join(blocks))
    return "\n".join([*lines, "* best  + second", *textwrap.wrap(table.note, 100)]) + "\n"


def _marked(table: Table, name: str, policy: str, metric: str) -> str:
    figure = f"{table.rows[name][policy][metric]:.4f}"
    return {1: f"**{figure}**", 2: f"<u>{figure}</u>"}.get(table.rank(name, policy, metric), figure)
