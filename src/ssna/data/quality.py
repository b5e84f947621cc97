"""What is measured of a data set that is ready, so that nothing about it is lost without a word; and the words."""

import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssna.core.display import cut
from ssna.core.errors import option, worded

if TYPE_CHECKING:
    from ssna.data.dataset import Dataset

DUPLICATES = 0.05  # of all events, that repeat another of the same user, item and time
REPEATED = 0.5  # of the test targets, that stand in the user's own history
SHARE, MEDIANS = 0.01, 100  # of all events, and times the median: what one user may have,
FEW_MEDIANS = 10  # where few users share all events
SHARED_TEXT = 0.01  # of the items, that may have one text,
FEW_ITEMS = 10  # and so many in any case
GONE = 0.1  # of the items, that cannot be recommended
NO_TEXT = 0.5  # of the rows, dropped for want of text
FEW_USERS = 100  # to evaluate on

_SEEN_TOO = worded(python="exclude_seen = False", shell="--include-seen")
_SAYS_NOTHING = ("n/a", "na", "null", "none", "nan", "unknown", "-", "?", "tbd", "no title", "untitled")


def measure(dataset: "Dataset", now: dt.datetime) -> dict[str, Any]:
    """For the manifest's ``checks``; JSON values only. One pass over the events, some at a time."""
    return {
        "most_active": _most_active(dataset),
        "duplicate": _duplicate(dataset),
        "repeated_targets": _repeated_targets(dataset),
        "shared_text": _shared_text(dataset.texts[1:]),
        "future": _future(dataset, now),
        **({"predefined": _predefined(dataset)} if dataset.protocol == "predefined" else {}),
    }


def _predefined(dataset: "Dataset") -> dict[str, Any]:
    """Of the test targets: how many users have one and nothing before it, and how many have later events before it."""
    points, histories = dataset.split_points, dataset.histories
    tested = points.test < histories.ragged.lengths
    found: dict[str, Any] = {"no_history": int((tested & (points.test == 0)).sum()), "leaks": 0, "example": None}
    if histories.times is None:
        return found
    asked, places = dataset.evaluation_users("test")
    begins = histories.offsets[asked]
    latest = histories.times[begins + places - 1]  # of each part the last event is the latest
    trained = points.valid[asked] > 0
    of_training = histories.times[begins + np.maximum(points.valid[asked] - 1, 0)]
    latest = np.where(trained, np.maximum(latest, of_training), latest)
    late = np.flatnonzero(latest > histories.times[begins + places])
    if len(late):
        found |= {"leaks": len(late), "example": dataset.users.external[asked[late[0]]]}
    return found


def _most_active(dataset: "Dataset") -> dict[str, Any]:
    lengths = dataset.histories.ragged.lengths
    user = int(lengths.argmax())
    return {"user": dataset.users.external[user], "events": int(lengths[user]), "median": float(np.median(lengths))}


def _duplicate(dataset: "Dataset") -> dict[str, Any] | None:
    """The first event that repeats the one before it at the same second."""
    histories = dataset.histories
    if histories.times is None:
        return None
    begins = np.zeros(len(histories.items) + 1, dtype=bool)
    begins[histories.offsets] = True
    step = 1 << 20
    for start in range(1, len(histories.items), step):
        here, before = slice(start, start + step), slice(start - 1, start - 1 + step)
        count = len(histories.items[here])
        same = histories.items[here] == histories.items[before][:count]
        same &= histories.times[here] == histories.times[before][:count]
        same &= ~begins[here][:count]
        if same.any():
            place = start + int(same.argmax())
            user = int(np.searchsorted(histories.offsets, place, side="right")) - 1
            when = dt.datetime.fromtimestamp(int(histories.times[place]), dt.UTC)
            item = dataset.items.external[histories.items[place] - 1]
            return {"user": dataset.users.external[user], "item": item, "time": f"{when:%Y-%m-%d %H:%M:%S}"}
    return None


def _repeated_targets(dataset: "Dataset") -> int:
    """Test targets that stand in the history before them."""
    users, places = dataset.evaluation_users("test")
    offsets, items = dataset.histories.offsets, dataset.histories.items
    begins, found = offsets[users], 0
    for start in range(0, len(users), 1 << 16):
        some = slice(start, start + (1 << 16))
        first, last = begins[some], begins[some] + places[some]
        lengths = last - first
        row = np.repeat(np.arange(len(lengths)), lengths)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        own = items[first[row] + within] == items[last][row]
        found += len(np.unique(row[own]))
    return found


def _shared_text(texts: Sequence[str]) -> dict[str, Any] | None:
    if not texts:
        return None
    counts = Counter(texts)
    silent = [text for text in counts if len(text) < 12 and text.strip().lower() in _SAYS_NOTHING]
    text = max(silent, key=counts.__getitem__) if silent else counts.most_common(1)[0][0]
    return {"text": cut(text, 60), "items": counts[text], "says_nothing": bool(silent)}


def _future(dataset: "Dataset", now: dt.datetime) -> dict[str, Any] | None:
    times = dataset.histories.times
    if times is None or int(times.max()) <= now.timestamp():
        return None
    last = dt.datetime.fromtimestamp(int(times.max()), dt.UTC) if times.max() < 253_402_300_800 else None
    return {"events": int((times > now.timestamp()).sum()), "last": f"{last:%Y-%m-%d}" if last else "after 9999"}


def equal_files(files: Iterable[Path]) -> list[list[str]]:
    """Names of files with the same content; only those of one size are read."""
    by_size: dict[int, list[Path]] = {}
    for file in files:
        by_size.setdefault(file.stat().st_size, []).append(file)
    found: dict[str, list[str]] = {}
    for same in by_size.values():
        for file in same if len(same) > 1 else ():
            with file.open("rb") as content:
                found.setdefault(hashlib.file_digest(content, "sha256").hexdigest(), []).append(file.name)
    return [names for names in found.values() if len(names) > 1]


def alike(in_logs: Iterable[str], in_items: Iterable[str]) -> list[str] | None:
    """An id of the logs and one of the items that are the same but for zeros, letters' case and signs; else any two."""
    logs, items = list(in_logs), list(in_items)
    plain = {_plain(item): item for item in items}
    for item in logs:
        if (other := plain.get(_plain(item))) is not None:
            return [item, other]
    return [logs[0], items[0]] if logs and items else None


def _plain(item: str) -> str:
    return re.sub(r"[\W_]", "", item).lower().lstrip("0")


def sentences(manifest: Mapping[str, Any]) -> Iterator[str]:
    """A warning for each finding that may not be as it was meant: a figure, an example, and what to do about it."""
    checks = manifest["checks"]
    if "most_active" not in checks:  # made by an earlier version
        return
    yield from _of_events(manifest, checks)
    yield from _of_items(manifest, checks)
    users = manifest["evaluation_users"]["test"]
    if manifest["split"] != "none" and users < FEW_USERS:
        yield (
            f"there are {users:,} users to evaluate on: figures of so few differ by chance; give more logs, lower "
            f"{option('min_user')}, or read figures with care"
        )


def _of_events(manifest: Mapping[str, Any], checks: Mapping[str, Any]) -> Iterator[str]:
    events = manifest["interactions"]
    duplicates = (checks["same_time"] or {}).get("duplicates", 0)
    if duplicates > DUPLICATES * events:
        seen = checks["duplicate"]
        such = "" if seen is None else f", such as user {seen['user']}, item {seen['item']}, {seen['time']}"
        yield (
            f"{duplicates:,} of {events:,} events ({duplicates / events:.0%}) repeat another of the same user, item "
            f"and time{such}; if rows stand twice in the logs, count them once: {option('dedup', 'same')}"
        )
    for names in checks.get("equal_files", ()):
        yield f"{' and '.join(names[:3])} have the same content, and both count; give one of them"
    targets = manifest["evaluation_users"]["test"]
    repeated = checks["repeated_targets"]
    if targets and repeated > REPEATED * targets:
        yield (
            f"{repeated:,} of {targets:,} test targets ({repeated / targets:.0%}) stand in the user's own history: "
            "your users come back to items; with seen items excluded these are misses, so go by the figures with seen "
            f"items included, and recommend with {_SEEN_TOO}"
        )
    yield from _of_split(checks.get("predefined"), targets)
    most = checks["most_active"]
    share, medians = most["events"] / events, most["events"] / max(most["median"], 1)
    if medians > MEDIANS or (share > SHARE and medians > FEW_MEDIANS):
        yield (
            f"user {most['user']} has {most['events']:,} of {events:,} events ({share:.1%}), {medians:,.0f} times the "
            "median; if it is a bot, a till or a guest account, leave it out of the logs"
        )
    if checks["future"] is not None:
        future = checks["future"]
        yield f"{future['events']:,} events are in the future, the last of {future['last']}; check the time column"


def _of_split(found: Mapping[str, Any] | None, targets: int) -> Iterator[str]:
    if found is None:
        return
    if found["leaks"]:
        yield (
            f"{found['leaks']:,} of {targets:,} test targets ({found['leaks'] / targets:.0%}) have later events of the "
            f"same user in validation or training, such as those of user {found['example']}: the future is known; "
            "split each user by time"
        )
    if found["no_history"]:
        yield (
            f"{found['no_history']:,} users have events for the test and none before: they are not evaluated; give "
            "their earlier events for training"
        )


def _of_items(manifest: Mapping[str, Any], checks: Mapping[str, Any]) -> Iterator[str]:
    text, items = checks["shared_text"], manifest["items"]
    if text is not None and text["items"] > 1:
        if text["says_nothing"]:
            yield f"{text['items']:,} items have the text {text['text']!r}, which says nothing; leave it empty"
        elif text["items"] > max(SHARED_TEXT * items, FEW_ITEMS):
            yield (
                f"{text['items']:,} of {items:,} items have one text, {text['text']!r}: texts cannot tell them apart; "
                f"give more columns ({option('text_cols')})"
            )
    never, bare = checks["items_never_named"], checks["items_without_text"]
    dropped_bare = bare if manifest["dropped"].get("no_text") else 0
    rare = checks["items_read"] - items - dropped_bare
    if "new_items" in checks:  # which can be recommended
        never, rare = never - checks["new_items"]["no_event"], rare - checks["new_items"]["few_events"]
    known = checks["items_read"] + never
    if never + rare + dropped_bare > GONE * known:
        reasons = {"with too few events": rare, "in no event": never, "without text": dropped_bare}
        said = ", ".join(f"{count:,} {why}" for why, count in reasons.items() if count > 0)
        yield (
            f"{never + rare + dropped_bare:,} of {known:,} items cannot be recommended: {said}; keep those with "
            f"text as new ones ({option('keep_items', 'text')}), or lower {option('min_item')}"
        )
    if "unmatched" in checks:
        in_logs, in_items = checks["unmatched"]
        lost, rows = manifest["dropped"]["no_text"], manifest["rows_read"]
        yield (
            f"{lost:,} of {rows:,} events ({lost / rows:.0%}) are of items without text: {in_logs!r} in the logs, "
            f"{in_items!r} in the items; write ids alike in both"
        )
