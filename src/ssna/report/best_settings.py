"""The best configurations of grids (Tables S1 to S3)."""

from collections.abc import Sequence
from typing import Any

from ssna.report.cells import data_and_model, labels
from ssna.report.groups import ResultGroup
from ssna.report.notes import dry_run_notes, selection_notes
from ssna.report.table import Cell, Table


def best_settings(groups: Sequence[ResultGroup]) -> list[Table]:
    """A row a group, a column for each setting that an entry's grid varied; no table without a grid."""
    columns = dict.fromkeys(
        (entry.name, key) for group in groups for entry in group.entries for key in entry.configuration
    )
    if not columns:
        return []
    rows: list[tuple[Cell, ...]] = []
    notes = []
    for group in groups:
        entries = {entry.name: entry for entry in group.entries}
        values = {(name, key): value for name, entry in entries.items() for key, value in entry.configuration.items()}
        rows.append((*data_and_model(group), *(_toml(values[c]) if c in values else None for c in columns)))
        notes.append(" ".join([f"{group.note}, {data_and_model(group)[1]}.", *selection_notes(group.entries)]))
    every = [entry for group in groups for entry in group.entries]
    named = labels(every)
    return [
        Table(
            title="Best settings",
            head=("data", "model", *(f"{named[name]}\n{key}" for name, key in columns)),
            rows=tuple(rows),
            notes=(*notes, *dry_run_notes(every)),
            labels=2,
            metadata=tuple(group.metadata for group in groups),
        )
    ]


def _toml(value: Any) -> str:
    """Booleans as TOML writes them, lists without brackets."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(_toml, value)) if isinstance(value, list) else str(value)
