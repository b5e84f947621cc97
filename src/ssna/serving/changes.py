"""Changes to what serves, one at a time: items that come and go, and another run in the place of this one."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ssna.core.errors import ArtifactError, SsnaError
from ssna.recommender import Recommender
from ssna.recommender.admission import says_nothing
from ssna.serving.additions import Additions, Change, Journal
from ssna.serving.comparison import compare
from ssna.serving.inference import Inference
from ssna.serving.limits import LIMITS
from ssna.serving.logs import log
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import ChangeResult, Comparison, NewItem
from ssna.serving.snapshot import Snapshot
from ssna.serving.worker import Worker
from ssna.text import embed, is_moved

T = TypeVar("T")


class Changes:
    """The only one who changes what serves. Its methods belong to the event loop.

    Args:
        inference: what is changed.
        journal: keeps additions.
        roots: folders below which a run may be loaded from.
        model: where the language model lies now, if it moved; for runs that were trained with it.
    """

    def __init__(self, inference: Inference, journal: Journal, roots: Sequence[Path], model: str | None = None) -> None:
        self.inference, self.journal, self.roots, self.model = inference, journal, tuple(roots), model
        self.worker = Worker("changes")
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """Finish the change that runs."""
        async with self._lock:
            await self.worker.close()

    async def put(self, items: Sequence[NewItem]) -> ChangeResult:
        """Add items, or give added ones a new text; recommended as soon as this returns, and after a restart.

        Raises:
            RequestError: an id occurs twice or belongs to the run, or there would be too many additions.
            SsnaError: the run cannot admit items, or the disk refuses.
        """
        if len({new.item for new in items}) < len(items):
            raise RequestError(409, "duplicate_item", "an item is in the list twice; give each once")
        return await _to_the_end(self._put(items))

    async def _put(self, items: Sequence[NewItem]) -> ChangeResult:
        async with self._lock:
            now, before = self.inference.snapshot, self.journal.additions
            known = now.recommender.items
            shown = [new.item for new in items if new.item in known and _comes_back(now, new)]
            put = {
                new.item: new.text
                for new in items
                if new.item not in shown and not (new.item in known and now.text(new.item) == new.text)
            }
            # An id that an earlier run knew, hidden then, and that this one does not know.
            change = Change(put=put, show=(*shown, *before.hidden.intersection(put)))
            _check_limit(before, change)
            replaced = [item for item in put if item in known]
            silent: list[str] = []

            def admitted() -> Recommender:
                wider, without = _without(now.recommender, replaced).admit(put) if put else (now.recommender, ())
                silent.extend(without)
                return wider

            await self._apply(change, admitted)
        if silent:
            log("put", level="warning", message=f"{len(silent)} of {len(put)} texts of new items say nothing of them")
        warnings = [says_nothing(silent, put)] if silent else []
        items_now = len(self.inference.snapshot)
        added = len(put) - len(replaced) + len(shown)
        return ChangeResult(added=added, replaced=len(replaced), items=items_now, warnings=warnings)

    async def delete(self, item: str) -> ChangeResult:
        """Exclude an item from recommendations; one of the run itself still counts in histories.

        Raises:
            RequestError: it is unknown, or too many items were added and removed.
            SsnaError: the disk refuses.
        """
        return await _to_the_end(self._delete(item))

    async def _delete(self, item: str) -> ChangeResult:
        async with self._lock:
            now = self.inference.find(item)
            if _of_the_run(now, item):
                _check_limit(self.journal.additions, Change(hide=(item,)))
                await self._apply(Change(hide=(item,)), lambda: now.recommender)
            else:
                await self._apply(Change(delete=(item,)), lambda: _without(now.recommender, [item]))
        return ChangeResult(removed=1, items=len(self.inference.snapshot))

    async def reload(self, run: str | None = None, minimum_overlap: float = 0.0) -> Comparison:
        """Load a run (None: the serving one again), compare it, and let it serve; no request waits for it.

        Raises:
            RequestError: it lies elsewhere, knows no item of the old one, or ranks too differently.
            SsnaError: it is damaged, or cannot admit what was added.
        """
        folder = self.inference.snapshot.folder if run is None else self._allowed(run)
        async with self._lock:
            old, additions, recent = self.inference.snapshot, self.journal.additions, tuple(self.inference.recent)

            def load() -> tuple[Snapshot, Comparison]:
                new = with_additions(load_run(folder, self.model), folder, old.version + 1, additions)
                warm_up(new.recommender)
                return new, compare(old, new, recent)

            new, comparison = await self.worker.run(load)
            if comparison.overlap < minimum_overlap:
                raise RequestError(
                    409,
                    "too_different",
                    f"{new.run} shares {comparison.overlap:.3f} of the first ten with {old.run}, "
                    f"asked for: {minimum_overlap:g}; {old.run} goes on serving",
                )
            await self.inference.serve(new)
        log("reload", version=new.version, **comparison.model_dump())
        return comparison

    async def _apply(self, change: Change, recommender: Callable[[], Recommender]) -> None:
        """Make a change last, then visible."""
        now = self.inference.snapshot

        def record() -> Snapshot:
            changed = recommender()
            additions = self.journal.record(change) if change != Change() else self.journal.additions
            return now.updated(changed, additions.hidden)

        await self.inference.serve(await self.worker.run(record))

    def _allowed(self, run: str) -> Path:
        """The folder that a request names. Raises :class:`RequestError` unless it lies below an allowed one."""
        try:
            folders = [(root, (root / run).resolve()) for root in self.roots]
            inside = sorted((folder for root, folder in folders if root in folder.parents), key=_is_missing)
        except (OSError, ValueError, RuntimeError):  # too long, a NUL, a loop of links
            inside = []
        if not inside:
            raise RequestError(403, "elsewhere", "only runs beside the serving one, or below --runs, can be loaded")
        return inside[0]


def load_run(folder: Path, model: str | None) -> Recommender:
    """A run, with its language model read from ``model`` if it was trained with that one."""
    found = Recommender.load(folder)
    fits = model is not None and found.encoding is not None and is_moved(found.encoding, model)
    return found.with_model(model) if fits else found


def with_additions(recommender: Recommender, folder: Path, version: int, additions: Additions) -> Snapshot:
    """A run with what was added to it. Raises :class:`ArtifactError` if it can admit nothing."""
    run_items = len(recommender.items)
    new = {item: text for item, text in additions.texts.items() if item not in recommender.items}
    try:
        recommender = recommender.admit(new)[0] if new else recommender
    except SsnaError as cause:
        raise ArtifactError(
            f"{folder.name} cannot take over {len(new)} added items: {cause}; name another run, or give up what was "
            "added: DELETE /items/ID for each while a server runs, or start one with another --state"
        ) from None
    return Snapshot(recommender, folder, version, run_items, additions.hidden)


def warm_up(recommender: Recommender) -> None:
    """Load the language model ahead of the first new text."""
    if recommender.encoding is not None and recommender.scorer.layers:
        embed(("a first text",), recommender.encoding, 1)


def _without(recommender: Recommender, items: Sequence[str]) -> Recommender:
    return recommender.remove_items(items) if items else recommender


def _of_the_run(snapshot: Snapshot, item: str) -> bool:
    return 0 < int(snapshot.recommender.items.rows([item])[0]) <= snapshot.run_items


def _comes_back(snapshot: Snapshot, new: NewItem) -> bool:
    """Whether an item of the run itself, hidden so far, comes back; raises for one that is there."""
    if not _of_the_run(snapshot, new.item):
        return False
    if new.item in snapshot.hidden and new.text == snapshot.text(new.item):
        return True
    how = "was removed; put its own text to bring it back" if new.item in snapshot.hidden else "keeps its text"
    raise RequestError(409, "own_item", f"item {new.item!r} belongs to the run {snapshot.run} and {how}")


def _check_limit(before: Additions, change: Change) -> None:
    """Raises :class:`RequestError` where there would be more additions and removals than the limit has."""
    after = len(before.after(change))
    if after > max(LIMITS.additions, len(before)):
        message = f"{after} additions and removals, the limit is {LIMITS.additions}; train again"
        raise RequestError(409, "too_many_additions", message)


def _is_missing(folder: Path) -> bool:
    return not folder.is_dir()


async def _to_the_end(change: Coroutine[Any, Any, T]) -> T:
    """Who asked may go away; a change that began goes on, and the next one waits for it."""
    return await asyncio.shield(asyncio.ensure_future(change))
