"""One page over finished runs: tables, plots and settings in a single file that needs nothing else."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssna.evaluation.ranking import Policy
from ssna.report.cells import POLICY_LABELS, group_name, label
from ssna.report.examples import Examples
from ssna.report.formats import TEMPLATES, notes_beneath
from ssna.report.groups import Entry, ResultGroup
from ssna.report.notes import POLICIES_NOTE, dry_run_notes, machine_notes
from ssna.report.plots import (
    NEUTRAL,
    Plot,
    accuracy_against_seconds,
    by_history,
    by_popularity,
    curves,
    layers,
    new_items,
    render,
)
from ssna.report.table import Table

PLOT_TITLES: dict[str, Plot] = {
    "Accuracy against seconds": accuracy_against_seconds,
    "Training curves": curves,
    "By popularity of the target": by_popularity,
    "New items against old ones": new_items,
    "By length of the history": by_history,
    "Layers adapted": layers,
}


def html_page(
    groups: Sequence[ResultGroup],
    tables: Sequence[Table],
    policy: Policy = "exclude_seen",
    shown: Sequence[Examples] = (),
) -> str:
    """A whole page, from what :func:`ssna.report.groups.result_groups` and the tables' functions made of run folders.

    Names and settings of runs are text in it, whatever they hold. It loads nothing, and runs no script.

    Args:
        policy: of the plots; the tables have both.
        shown: users to look at, by :func:`ssna.report.examples.examples`.
    """
    page = TEMPLATES.get_template("page.html").render(
        groups=groups,
        summary=_summary(groups),
        contents=_contents(groups, tables, shown),
        tables=tables,
        plots=[_plots(group, number, policy) for number, group in enumerate(groups)],
        examples=shown,
        group_name=group_name,
        label=label,
        notes_beneath=notes_beneath,
        settings=_settings,
        facts=_facts,
    )
    return page.encode("utf-8", "replace").decode()


def inline(svg: bytes, prefix: str) -> str:
    """An SVG file as an element of a page: its text in the page's colour, its ids apart from those of others."""
    element = svg.decode()[svg.index(b"<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", element, flags=re.DOTALL)
    element = re.sub(r' id="\w+_\d+"', "", element)
    element = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}", element)
    element = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1 ", element, count=1)
    return element.replace(NEUTRAL, "currentColor")


@dataclass(frozen=True)
class InlinePlot:
    """A plot as the page has it: an ``<svg>`` element, and what is said beneath."""

    title: str
    svg: str
    caption: str


def _summary(groups: Sequence[ResultGroup]) -> list[str]:
    entries = [entry for group in groups for entry in group.entries]
    runs = {run.path: run for entry in entries for run in entry.runs}
    commits = dict.fromkeys(run.record.commit or "no commit" for run in runs.values())
    return [
        f"{POLICIES_NOTE} {len(runs)} runs, by commit {', '.join(commits)}.",
        " ".join(machine_notes(entries)),
    ]


def _contents(
    groups: Sequence[ResultGroup], tables: Sequence[Table], shown: Sequence[Examples]
) -> list[tuple[str, str, list[str]]]:
    """Of each section its anchor, its title, and the titles of its parts."""
    names = [group_name(group) for group in groups]
    return [
        ("tables", "Tables", [table.title for table in tables]),
        ("plots", "Plots", names),
        *([("examples", "Where it wins and loses", [one.title for one in shown])] if shown else []),
        ("runs", "What was run", names),
    ]


def _plots(group: ResultGroup, number: int, policy: Policy) -> list[InlinePlot]:
    plots = []
    notes = [f"{group.note}.", *dry_run_notes(group.entries)]
    for index, (title, plot) in enumerate(PLOT_TITLES.items()):
        if plot.has_data(group):
            svg = inline(render(plot([group], policy, columns=1), "svg"), f"plot-{number}-{index}-")
            svg = svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
            caption = " ".join([plot.caption, f"Test figures: {POLICY_LABELS[policy]}.", *notes])
            plots.append(InlinePlot(title, svg, caption))
    return plots


def _settings(entry: Entry) -> str:
    """A line a setting, as ``--set`` takes them."""
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in _dotted(entry.record.settings))


def _facts(entry: Entry) -> Iterator[tuple[str, str]]:
    """What decided an entry's figures, besides the settings."""
    record = entry.record
    yield "configurations tried", f"{entry.tried} (runs: {len(entry.candidates)})"
    yield "runs", ", ".join(run.path.name for run in entry.runs)
    for name, values in (("states", record.cache), ("ensemble", record.ensemble), ("versions", record.versions)):
        if values:
            yield name, ", ".join(f"{key} {value}" for key, value in _dotted(values))
    yield "epochs", ", ".join(f"{len(run.record.epochs)} (best {run.record.best_epoch or '–'})" for run in entry.runs)
    yield "seconds", ", ".join(f"{run.record.seconds:,.1f}" for run in entry.runs)
    yield "machine", " ".join(machine_notes([entry]))
    yield "commit", ", ".join(dict.fromkeys(run.record.commit or "none" for run in entry.runs))


def _dotted(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by dotted key, as ``--set`` takes them."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{above}{key}.")
        else:
            yield above + key, value
