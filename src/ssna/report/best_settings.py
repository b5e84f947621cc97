"""The settings that grids chose (Tables S1 to S3)."""

from collections.abc import Sequence
from typing import Any

from ssna.report.cells import labels, place_of
from ssna.report.groups import ResultGroup
from ssna.report.notes import dry_runs, selection
from ssna.report.table import Cell, Table


def best_settings(benches: Sequence[ResultGroup]) -> list[Table]:
    """A row a bench, a column for each setting that an entry's grid varied; no table without a grid."""
    columns = dict.fromkeys(
        (entry.name, key) for bench in benches for entry in bench.entries for key in entry.configuration
    )
    if not columns:
        return []
    rows: list[tuple[Cell, ...]] = []
    notes = []
    for bench in benches:
        entries = {entry.name: entry for entry in bench.entries}
        points = {(name, key): value for name, entry in entries.items() for key, value in entry.configuration.items()}
        rows.append((*place_of(bench), *(_shown(points[c]) if c in points else None for c in columns)))
        notes.append(" ".join([f"{bench.note}, {place_of(bench)[1]}.", *selection(bench.entries)]))
    every = [entry for bench in benches for entry in bench.entries]
    named = labels(every)
    return [
        Table(
            title="Best settings",
            head=("data", "model", *(f"{named[name]}\n{key}" for name, key in columns)),
            rows=tuple(rows),
            notes=(*notes, *dry_runs(every)),
            labels=2,
            about=tuple(bench.about for bench in benches),
        )
    ]


def _shown(value: Any) -> str:
    """As TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(_shown, value)) if isinstance(value, list) else str(value)
