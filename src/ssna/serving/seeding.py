"""Histories of a data folder become those of a server's users."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssna.core.errors import ArtifactError
from ssna.core.fields import NewItemId, flaw_of
from ssna.data import Dataset, load
from ssna.serving.logs import log
from ssna.serving.refusal import RequestError
from ssna.serving.user_events import UserEvents

AT_ONCE = 500  # users
Progress = Callable[[int, int], None]
"""Takes how many users are done, and of how many."""


def seed(events: UserEvents, folder: Path, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Keep the events of a data folder, unless they are kept already: its manifest.

    It may be asked again, or after a kill: an event that is there, with its time if the folder has times, is not kept
    twice. So the folder may also have events that this server collected.

    Where the state cannot be read or written, one line in the log says so: the run is served all the same.

    Raises:
        DataError: it is no data folder, or damaged.
    """
    data = load(folder)
    try:
        if not events.is_seeded(data.fingerprint):
            new = sum(_seed(events, data, progress))
            events.mark_seeded(data.fingerprint, data.histories.times is not None)
            log("users", message="histories were kept", fingerprint=data.fingerprint, users=len(data.users), events=new)
    except (RequestError, ArtifactError) as cause:
        message = f"{cause}; users do not begin with the histories of {folder.name}: mend it, then start again"
        log("users", level="error", message=message)
    return data.manifest


def _seed(events: UserEvents, data: Dataset, progress: Progress) -> list[int]:
    items, times, offsets = data.items.external, data.histories.times, data.histories.offsets.tolist()
    odd = {row for row, item in enumerate(items, 1) if flaw_of(NewItemId, item)}
    counts, skipped = [], 0
    for start in range(0, len(data.users), AT_ONCE):
        progress(start, len(data.users))
        histories: dict[str, list[tuple[str, int]]] = {}
        for row, user in enumerate(data.users.external[start : start + AT_ONCE], start):
            if flaw_of(NewItemId, user):
                skipped += 1
                continue
            part = slice(offsets[row], offsets[row + 1])
            seconds = range(part.stop - part.start) if times is None else times[part].tolist()
            rows = zip(data.histories.items[part].tolist(), seconds, strict=True)
            histories[user] = [(items[item - 1], second) for item, second in rows if item not in odd]
        counts.append(events.seed(list(histories), list(histories.values()), timed=times is not None))
    if odd or skipped:
        message = f"{skipped} users and {len(odd)} items have ids that no request can have, and are skipped"
        log("users", level="warning", message=message)
    return counts
