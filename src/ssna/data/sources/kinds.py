"""Logs with several kinds of events: views beside purchases, books that were read beside those that were not."""

from collections import Counter
from collections.abc import Iterator

from ssna.data.sources.columns import usual
from ssna.data.sources.nested import paths, values_at
from ssna.data.sources.sample import Sample

_NAMES = (
    *("event_type", "event_name", "event", "behavior", "behavior_type", "behaviour", "action", "action_type", "type"),
    *("interaction_type", "interaction", "activity", "is_read", "status", "watching_status", "my_status"),
)
_MOST = 20  # kinds; a column with more says something else
_SHOWN = 3


def notes_on_kinds(sample: Sample) -> tuple[str, ...]:
    """A sentence for each column that is named like a kind of event and has several values in the first rows."""
    return tuple(_notes(sample))


def _notes(sample: Sample) -> Iterator[str]:
    names = tuple(dict.fromkeys(name for row in sample[:1] for name in row))
    inner = tuple(path for path in paths(sample) if path.endswith(".type"))
    for name in (*usual(names, _NAMES), *inner):
        counts = Counter(str(value) for value in values_at(sample, name) if isinstance(value, str | int | bool))
        if 1 < len(counts) <= _MOST:
            most = ", ".join(f"{value!r} {count:,}" for value, count in counts.most_common(_SHOWN))
            rows = f"the first {sum(counts.values()):,} rows"
            yield f"{name} has {len(counts)} values in {rows} ({most}); all of them count, unless `where` names some"
