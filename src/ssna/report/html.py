"""One page over finished runs: tables, plots and settings in a single file that needs nothing else."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ssna.evaluation.ranking import Policy
from ssna.report import formats
from ssna.report.cells import SEEN, label, where
from ssna.report.examples import Examples, as_html
from ssna.report.groups import ResultGroup, Entry, RunFolder
from ssna.report.notes import POLICIES_NOTE, machines, dry_runs
from ssna.report.plots import (
    NEUTRAL,
    Plot,
    accuracy_against_seconds,
    by_history,
    by_popularity,
    curves,
    layers,
    render,
)
from ssna.report.table import Table

SHOWN: dict[str, Plot] = {
    "Accuracy against seconds": accuracy_against_seconds,
    "Training curves": curves,
    "By popularity of the target": by_popularity,
    "By length of the history": by_history,
    "Layers adapted": layers,
}
STYLE = """
:root { color-scheme: light dark; --ink: #1d2125; --soft: #59636e; --line: #d5dae0; --ground: #fff; --shade: #f5f6f8;
  --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --soft: #9da7b1; --line: #363c44; --ground: #15171a;
  --shade: #1e2126; --link: #7fb6f0; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0 auto; max-width: 80rem; padding: 1rem clamp(.75rem, 3vw, 2rem) 4rem; color: var(--ink);
  background: var(--ground); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -999rem; } .skip:focus { position: static; }
h1 { margin: .5rem 0; font-size: 1.6rem; }
h2 { margin: 2.5rem 0 .75rem; padding-top: .5rem; border-top: 1px solid var(--line); font-size: 1.3rem; }
h3 { margin: 1.75rem 0 .5rem; font-size: 1.05rem; }
p, dl { max-width: 48rem; margin: .5rem 0; }
nav { padding: .5rem 1rem; background: var(--shade); border-radius: .5rem; }
nav ul { margin: .25rem 0; padding-left: 1.25rem; }
.scroll { overflow-x: auto; margin: 1.25rem 0 .5rem; }
table { border-collapse: collapse; font-size: .8125rem; font-variant-numeric: tabular-nums; }
caption { padding: .25rem 0; text-align: left; font-size: 1rem; font-weight: 600; }
th, td { padding: .25rem .5rem; text-align: right; white-space: nowrap; }
th { font-weight: 500; } thead th { color: var(--soft); } thead th[colspan] { text-align: center; }
tbody th, thead th:first-child { text-align: left; }
tbody tr { border-top: 1px solid var(--line); } tbody tr:hover { background: var(--shade); }
tbody tr:last-child { border-bottom: 1px solid var(--line); }
tbody th:first-child { position: sticky; left: 0; background: var(--ground); } tfoot { display: none; }
.notes { max-width: none; margin: 0 0 1.75rem; font-size: .8125rem; }
figcaption, dt, .notes, .soft { color: var(--soft); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; } figcaption { font-size: .8125rem; }
figure svg { display: block; width: 100%; height: auto; max-width: 34rem; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
figure svg text { font-family: system-ui, sans-serif !important; }
details { border-top: 1px solid var(--line); padding: .35rem 0; }
summary { cursor: pointer; padding: .25rem 0; } summary b { font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .875rem; } dd { margin: 0; }
pre { margin: .5rem 0; padding: .75rem; overflow-x: auto; background: var(--shade); border-radius: .5rem;
  font-size: .8125rem; overflow-wrap: normal; }
@media print { nav, .skip { display: none; } details::details-content { content-visibility: visible; } }
"""


def report(
    benches: Sequence[ResultGroup],
    tables: Sequence[Table],
    policy: Policy = "exclude_seen",
    shown: Sequence[Examples] = (),
) -> str:
    """A whole page, from what :func:`ssna.report.groups.benches` and the tables' functions made of run folders.

    Names and settings of runs are text in it, whatever they hold. It loads nothing, and runs no script.

    Args:
        policy: of the plots; the tables say both.
        shown: users to look at, by :func:`ssna.report.examples.examples`.
    """
    runs = {run.path: run for bench in benches for entry in bench.entries for run in entry.runs}
    users = [] if not shown else list(as_html(shown))
    sections = [
        *_contents(benches, tables, shown),
        *_tables(tables),
        *_plots(benches, policy),
        *users,
        *_entries(benches),
    ]
    page = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Runs compared</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        '<a class="skip" href="#tables">Skip to the tables</a>',
        "<header>\n<h1>Runs compared</h1>",
        *_summary(benches, list(runs.values())),
        "</header>",
        *sections,
        "</body>\n</html>\n",
    ]
    return "\n".join(page).encode("utf-8", "replace").decode()


def inline(svg: bytes, prefix: str) -> str:
    """An SVG file as an element of a page: its text in the page's colour, its ids apart from those of others."""
    element = svg.decode()[svg.index(b"<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", element, flags=re.DOTALL)
    element = re.sub(r' id="\w+_\d+"', "", element)
    element = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}", element)
    element = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1 ", element, count=1)
    return element.replace(NEUTRAL, "currentColor")


def _summary(benches: Sequence[ResultGroup], runs: Sequence[RunFolder]) -> Iterator[str]:
    commits = dict.fromkeys(run.record.commit or "no commit" for run in runs)
    for bench in benches:
        yield f"<p>{escape(bench.note)}, {escape(bench.model or 'no text')}, {len(bench.entries)} methods.</p>"
    yield f'<p class="soft">{escape(POLICIES_NOTE)} {len(runs)} runs, by commit {escape(", ".join(commits))}.</p>'
    entries = [entry for bench in benches for entry in bench.entries]
    yield f'<p class="soft">{escape(" ".join(machines(entries)))}</p>'


def _contents(benches: Sequence[ResultGroup], tables: Sequence[Table], shown: Sequence[Examples]) -> Iterator[str]:
    groups = {
        "tables": ("Tables", [table.title for table in tables]),
        "plots": ("Plots", [where(bench) for bench in benches]),
        **({"examples": ("Where it wins and loses", [one.title for one in shown])} if shown else {}),
        "runs": ("What was run", [where(bench) for bench in benches]),
    }
    yield '<nav aria-label="Contents">\n<ul>'
    for anchor, (title, names) in groups.items():
        links = (f'<li><a href="#{anchor}-{n}">{escape(name)}</a></li>' for n, name in enumerate(names))
        yield f'<li><a href="#{anchor}">{title}</a><ul>{"".join(links)}</ul></li>'
    yield "</ul>\n</nav>\n<main>"


def _tables(tables: Sequence[Table]) -> Iterator[str]:
    yield '<section id="tables">\n<h2>Tables</h2>'
    for number, table in enumerate(tables):
        attributes = f'id="tables-{number}" role="region" tabindex="0" aria-label="{escape(table.title)}"'
        notes = "<br>".join(map(escape, formats.beneath(table)))  # outside of what scrolls
        yield f'<div class="scroll" {attributes}>\n{formats.bare(table)}</div>'
        yield f'<p class="notes">{notes}</p>'
    yield "</section>"


def _plots(benches: Sequence[ResultGroup], policy: Policy) -> Iterator[str]:
    yield '<section id="plots">\n<h2>Plots</h2>'
    for number, bench in enumerate(benches):
        yield f'<h3 id="plots-{number}">{escape(where(bench))}</h3>\n<div class="plots">'
        under = [f"{bench.note}.", *dry_runs(bench.entries)]
        for place, (title, plot) in enumerate(SHOWN.items()):
            if plot.suits(bench):
                svg = inline(render(plot([bench], policy, columns=1), "svg"), f"plot-{number}-{place}-")
                svg = svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
                caption = " ".join([plot.caption, f"Test figures: {SEEN[policy]}.", *under])
                yield f"<figure>\n{svg}<figcaption><b>{title}.</b> {escape(caption)}</figcaption>\n</figure>"
        yield "</div>"
    yield "</section>"


def _entries(benches: Sequence[ResultGroup]) -> Iterator[str]:
    yield '<section id="runs">\n<h2>What was run</h2>'
    for number, bench in enumerate(benches):
        yield f'<h3 id="runs-{number}">{escape(where(bench))}</h3>\n<p class="soft">{escape(bench.note)}.</p>'
        yield from map(_entry, bench.entries)
    yield "</section>\n</main>"


def _entry(entry: Entry) -> str:
    seeds = ", ".join(str(run.record.seed) for run in entry.runs)
    settings = "\n".join(f"{key} = {json.dumps(value)}" for key, value in _dotted(entry.record.settings))
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _facts(entry))
    return (
        f"<details><summary><b>{escape(label(entry))}</b> "
        f'<span class="soft">{escape(entry.record.method)}, seed {seeds}</span></summary>\n'
        f"<dl>{facts}</dl>\n<pre>{escape(settings)}</pre></details>"
    )


def _facts(entry: Entry) -> Iterator[tuple[str, str]]:
    """Of what decided an entry's figures, all but the settings."""
    record = entry.record
    yield "settings tried", f"{entry.tried} (runs: {len(entry.candidates)})"
    yield "runs", ", ".join(run.path.name for run in entry.runs)
    for name, values in (("states", record.cache), ("join", record.ensemble), ("versions", record.versions)):
        if values:
            yield name, ", ".join(f"{key} {value}" for key, value in _dotted(values))
    yield "epochs", ", ".join(f"{len(run.record.epochs)} (best {run.record.best_epoch or '–'})" for run in entry.runs)
    yield "seconds", ", ".join(f"{run.record.seconds:,.1f}" for run in entry.runs)
    yield "machine", " ".join(machines([entry]))
    yield "commit", ", ".join(dict.fromkeys(run.record.commit or "none" for run in entry.runs))


def _dotted(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by dotted key, as ``--set`` takes them."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{above}{key}.")
        else:
            yield above + key, value
