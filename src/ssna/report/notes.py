"""Notes beneath tables, so that no figure can be read for more than it is."""

from collections.abc import Iterable, Sequence

from ssna.report.cells import is_dry_run, label
from ssna.report.groups import Entry, ResultGroup, monitor_of
from ssna.report.table import DRY_RUN

POLICIES_NOTE = (
    "Test split. Seen excluded: the items of a user's history leave the ranking and a target among them is a miss; "
    "seen included: nothing leaves."
)


def group_notes(group: ResultGroup, entries: Sequence[Entry]) -> list[str]:
    """Of the figures of one group: data, how settings were chosen, seeds, and which runs are dry runs."""
    return [f"{group.note}.", *selection_notes(entries), seeds_note(entries), *dry_run_notes(entries)]


def selection_notes(entries: Iterable[Entry]) -> list[str]:
    """By which metric and from how many configurations each entry was chosen; nothing where there was no choice."""
    chosen: dict[str, list[str]] = {}
    for entry in entries:
        if entry.tried > 1:
            chosen.setdefault(monitor_of(entry.record), []).append(f"{entry.name} from {entry.tried}")
    return [
        f"Settings chosen by validation {monitor} (seen excluded): {', '.join(tried)}."
        for monitor, tried in chosen.items()
    ]


def seeds_note(entries: Iterable[Entry]) -> str:
    """Over how many runs a figure is a mean."""
    counts: dict[str, set[int]] = {}
    for entry in entries:
        counts.setdefault(entry.name, set()).add(len(entry.runs))
    different = set().union(*counts.values())
    if different == {1}:
        return "One seed."
    if len(different) == 1:
        return f"Mean and sample deviation over {different.pop()} seeds."
    named = (f"{name} {' or '.join(map(str, sorted(numbers)))}" for name, numbers in counts.items())
    return f"Mean and sample deviation over seeds: {', '.join(named)}."


def dry_run_notes(entries: Iterable[Entry]) -> list[str]:
    """A plain warning where a run is a dry run."""
    names = dict.fromkeys(entry.name for entry in entries if is_dry_run(entry))
    return [f"{DRY_RUN} {', '.join(names)}: dry run: cut short, not a result."] if names else []


def machine_notes(entries: Iterable[Entry]) -> list[str]:
    """Where seconds and memory were measured, with a warning if that was not one machine."""
    named: dict[str, dict[str, None]] = {}
    for entry in entries:
        for run in entry.runs:
            machine = run.record.machine
            measured_on = f"{machine['processor']}, threads: {machine['threads']}, device {machine['device']}"
            measured_on += f", {machine['processes']} processes" if "processes" in machine else ""
            named.setdefault(measured_on, {})[label(entry)] = None
    if len(named) == 1:
        return [f"Measured on {machine}." for machine in named]
    parts = (f"{', '.join(names)} on {machine}" for machine, names in named.items())
    return [f"Warning: measured on different machines, which do not compare: {'; '.join(parts)}."]
