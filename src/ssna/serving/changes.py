"""Changes to what serves, one at a time: items that come and go, and another run in the place of this one."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ssna.core.errors import ArtifactError
from ssna.recommender import Recommender
from ssna.recommender.admission import NewItems, checked_vectors, warnings_of
from ssna.serving.additions import Additions, Change
from ssna.serving.answer_schemas import ChangeResult, Comparison
from ssna.serving.comparison import compare
from ssna.serving.inference import Inference
from ssna.serving.item_attributes import check_attributes, with_given
from ssna.serving.limits import LIMITS
from ssna.serving.logs import log
from ssna.serving.refusal import RequestError
from ssna.serving.restoring import followed, open_run, warm_up
from ssna.serving.schemas import NewItem
from ssna.serving.sharing import give_back_rows
from ssna.serving.snapshot import Snapshot
from ssna.serving.store import ChangedElsewhereError, Store
from ssna.serving.worker import Worker
from ssna.text import is_moved
from ssna.text.states import Vectors

T = TypeVar("T")
TIMES = 8  # that a change is tried while other servers are faster


class Changes:
    """The only one who changes what serves. Its methods belong to the event loop.

    Args:
        inference: what is changed.
        store: keeps additions.
        roots: folders below which a run may be loaded from.
        model: where the language model lies now, if it moved; for runs that were trained with it.
    """

    def __init__(self, inference: Inference, store: Store, roots: Sequence[Path], model: str | None = None) -> None:
        self.inference, self.store, self.roots, self.model = inference, store, tuple(roots), model
        self.worker = Worker("changes")
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """Finish the change that runs, and give the store back."""
        async with self._lock:
            await self.worker.close()
            self.store.close()

    async def put(self, items: Sequence[NewItem]) -> ChangeResult:
        """Add items, give added ones a new text or vector, or any new attributes. It holds as soon as this returns, and
        after a restart.

        Raises:
            RequestError: an id occurs twice or belongs to the run, there would be too many additions, or attributes are
                not those of the run.
            SsnaError: the run cannot admit items, or the disk refuses.
        """
        if len({new.item for new in items}) < len(items):
            raise RequestError(409, "duplicate_item", "an item is in the list twice; give each once")
        return await _to_the_end(self._on_top(lambda: self._put(items)))

    async def _put(self, items: Sequence[NewItem]) -> ChangeResult:
        now, before = self.inference.snapshot, self.store.additions
        known = now.recommender.items
        check_attributes(now.recommender, list(items))
        attributes = {new.item: new.attributes for new in items if new.attributes}
        described = [new for new in items if new.text or new.given]
        changed = [_known(now, new.item) for new in items if not (new.text or new.given)]
        shown = [new.item for new in described if new.item in known and _comes_back(now, new)]
        given = checked_vectors({new.item: new.given for new in items if new.given}, now.recommender.encoding)
        put = {
            new.item: new.text
            for new in described
            if new.item not in shown
            and not (new.item in known and now.text(new.item) == new.text and _same(before, new.item, given))
        }
        vectors = {item: given[item] for item in put if item in given}
        # An id that an earlier run knew, hidden then, and that this one does not know.
        back = (*shown, *before.hidden.intersection(put))
        change = Change(put=put, vectors=vectors, show=back, attributes=attributes)
        _check_limit(before, change)
        replaced = [item for item in put if item in known]
        read = await self._apply(change, now.without(replaced))
        if read is not None and (silent := read.silent_items):
            log("put", level="warning", message=f"{len(silent)} of {len(put)} texts of new items say nothing of them")
        warnings = [] if read is None else list(warnings_of(read, now.recommender.encoding))
        items_now = len(self.inference.snapshot)
        added = len(put) - len(replaced) + len(shown)
        return ChangeResult(
            added=added, replaced=len(replaced), changed=len(changed), items=items_now, warnings=warnings
        )

    async def delete(self, item: str) -> ChangeResult:
        """Exclude an item from recommendations; one of the run itself still counts in histories.

        Raises:
            RequestError: it is unknown, or too many items were added and removed.
            SsnaError: the disk refuses.
        """
        return await _to_the_end(self._on_top(lambda: self._delete(item)))

    async def _delete(self, item: str) -> ChangeResult:
        now = self.inference.find(item)
        if _of_the_run(now, item):
            _check_limit(self.store.additions, Change(hide=(item,)))
            await self._apply(Change(hide=(item,)), now)
        else:
            await self._apply(Change(delete=(item,)), now.without([item]))
        return ChangeResult(removed=1, items=len(self.inference.snapshot))

    async def reload(self, run: str | None = None, minimum_overlap: float = 0.0) -> Comparison:
        """Load a run (None: the serving one again), compare it, and let it serve; no request waits for it.

        Raises:
            RequestError: it lies elsewhere, knows no item of the old one, or ranks too differently.
            SsnaError: it is damaged, or cannot admit what was added.
        """
        folder = self.inference.snapshot.folder if run is None else self._allowed(run)
        async with self._lock:
            old, recent = self.inference.snapshot, tuple(self.inference.recent)

            def load() -> tuple[Snapshot, Comparison, Additions]:
                additions = self._additions()
                new = open_run(folder, old.version + 1, additions, self.store, load=partial(load_run, model=self.model))
                warm_up(new.recommender)
                return new, compare(old, new, recent), additions

            new, comparison, additions = await self.worker.run(load)
            if comparison.overlap < minimum_overlap:
                raise RequestError(
                    409,
                    "too_different",
                    f"{new.run} shares {comparison.overlap:.3f} of the first ten with {old.run}, "
                    f"asked for: {minimum_overlap:g}; {old.run} goes on serving",
                )
            await self.inference.serve(new)
            if additions is not self.store.additions:
                self.store.accept(additions)
        log("reload", version=new.version, **comparison.model_dump())
        return comparison

    async def follow(self) -> None:
        """Take over what other servers have changed; no text is read that one of them has read.

        Raises:
            ArtifactError: the state cannot be read.
            SsnaError: the run cannot admit what was added.
        """

        async def locked() -> None:
            async with self._lock:
                await self._follow()

        await _to_the_end(locked())

    async def _follow(self) -> None:
        now, before = self.inference.snapshot, self.store.additions

        def read() -> tuple[Snapshot, Additions] | None:
            if not self.store.is_behind():
                return None
            after = self.store.read()
            return followed(now, before, after, self.store), after

        if (found := await self.worker.run(read)) is not None:
            await self.inference.serve(found[0])
            self.store.accept(found[1])
            log("store", message="another server's changes were taken over", revision=found[1].revision)

    async def _on_top(self, change: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """A change on top of what other servers have changed, up to the moment in which it is written."""
        async with self._lock:
            with suppress(ArtifactError):  # then it cannot be written, either, which says why
                await self._follow()
            for _ in range(TIMES - 1):
                try:
                    return await change()
                except ChangedElsewhereError:
                    await self._follow()
            return await change()

    def _additions(self) -> Additions:
        """As the store has them; as they serve, where it cannot be read."""
        try:
            return self.store.read()
        except ArtifactError as cause:
            log("store", level="error", message=f"{cause}; what was added serves on from memory")
            return self.store.additions

    async def _apply(self, change: Change, left: Snapshot) -> NewItems | None:
        """Make a change last, then visible; what was read of added items.

        Args:
            left: what serves, without the items that leave.
        """

        def record() -> tuple[Snapshot, NewItems | None]:
            old = left.recommender
            read = old.read(change.put, change.vectors) if change.put else None
            try:
                wider, additions = old if read is None else old.admit_read(read), self.store.additions
                if change != Change():
                    additions = self.store.record(change, read, old.encoding)
            except BaseException:
                give_back_rows(old)
                raise
            renewed = {*change.put, *change.attributes} & additions.attributes.keys()
            wider = with_given(wider, {item: additions.attributes[item] for item in renewed})
            changed = left.updated(wider, additions.hidden)
            return changed.compact(), read

        changed, read = await self.worker.run(record)
        await self.inference.serve(changed)
        return read

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


def _of_the_run(snapshot: Snapshot, item: str) -> bool:
    return 0 < int(snapshot.recommender.items.rows([item])[0]) <= snapshot.run_items


def _known(snapshot: Snapshot, item: str) -> str:
    """``item``, if the run knows it. Raises :class:`RequestError` if not."""
    if item not in snapshot:
        raise RequestError(404, "unknown_item", f"item {item!r} is not in the catalogue; give it a text, too")
    return item


def _comes_back(snapshot: Snapshot, new: NewItem) -> bool:
    """Whether an item of the run itself, hidden so far, comes back; raises for one that is there."""
    if not _of_the_run(snapshot, new.item):
        return False
    if new.item in snapshot.hidden and new.text == snapshot.text(new.item):
        return True
    how = "was removed; put its own text to bring it back" if new.item in snapshot.hidden else "keeps its text"
    raise RequestError(409, "own_item", f"item {new.item!r} belongs to the run {snapshot.run} and {how}")


def _same(before: Additions, item: str, given: Mapping[str, Vectors]) -> bool:
    """Whether an added item has the vectors that it is to get."""
    mine, new = before.vectors.get(item, {}), given.get(item, {})
    return mine.keys() == new.keys() and all(np.array_equal(mine[name], new[name]) for name in new)


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
