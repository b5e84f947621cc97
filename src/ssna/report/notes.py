"""What stands under tables, so that no figure can be read for more than it is."""

from collections.abc import Iterable, Sequence

from ssna.report.cells import label, is_dry_run
from ssna.report.groups import ResultGroup, Entry
from ssna.report.table import DRY_RUN

POLICIES_NOTE = (
    "Test split. Seen excluded: the items of a user's history leave the ranking and a target among them is a miss; "
    "seen included: nothing leaves."
)


def under(bench: ResultGroup, entries: Sequence[Entry]) -> list[str]:
    """Data, how settings were chosen, seeds, and whether a run is no result: under figures of one bench."""
    return [f"{bench.note}.", *selection(entries), seeds(entries), *dry_runs(entries)]


def selection(entries: Iterable[Entry]) -> list[str]:
    """How many settings each entry was chosen from; nothing where there was no choice."""
    tried = [f"{entry.name} from {entry.tried}" for entry in entries if entry.tried > 1]
    return [f"Settings chosen by validation R@10 (seen excluded): {', '.join(tried)}."] if tried else []


def seeds(entries: Iterable[Entry]) -> str:
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


def dry_runs(entries: Iterable[Entry]) -> list[str]:
    """A plain warning where a run was cut short."""
    names = dict.fromkeys(entry.name for entry in entries if is_dry_run(entry))
    return [f"{DRY_RUN} {', '.join(names)}: rehearsal: cut short, not a result."] if names else []


def machines(entries: Iterable[Entry]) -> list[str]:
    """Where seconds and memory were measured, with a warning if that was not one machine."""
    named: dict[str, dict[str, None]] = {}
    for entry in entries:
        for run in entry.runs:
            machine = run.record.machine
            words = f"{machine['processor']}, threads: {machine['threads']}, device {machine['device']}"
            words += f", {machine['processes']} processes" if "processes" in machine else ""
            named.setdefault(words, {})[label(entry)] = None
    if len(named) == 1:
        return [f"Measured on {words}." for words in named]
    parts = (f"{', '.join(names)} on {words}" for words, names in named.items())
    return [f"Warning: measured on different machines, which do not compare: {'; '.join(parts)}."]
