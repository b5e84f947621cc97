"""The service without HTTP: one snapshot that is swapped as a whole, questions in batches, changes one at a time."""

import asyncio
import gc
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ssna.core.errors import ArtifactError, SsnaError
from ssna.recommender import Recommender
from ssna.serving.additions import Additions, Change, Journal
from ssna.serving.batching import Batcher, Disconnected
from ssna.serving.comparison import HISTORIES, compare
from ssna.serving.inference import Inference
from ssna.serving.limits import LIMITS
from ssna.serving.logs import log
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import Changed, Comparison, NewItem, Question
from ssna.serving.snapshot import Snapshot
from ssna.text import embed

T = TypeVar("T")


class Service:
    """Its methods belong to the event loop; build it with :meth:`open`.

    Args:
        snapshot: what serves first.
        journal: keeps changes.
        runs: folders below which a run may be loaded from.
        beside: by their names, runs that can be asked, too; they know nothing of additions.
    """

    def __init__(
        self, snapshot: Snapshot, journal: Journal, runs: Sequence[Path], beside: Mapping[str, Snapshot] | None = None
    ) -> None:
        self.journal, self.runs, self.beside = journal, tuple(runs), dict(beside or {})
        self.inference = Inference(snapshot)
        self._background = ThreadPoolExecutor(1, "thoughts")
        self._background_jobs: Batcher[Callable[[], Any], Any] = Batcher(self._think, LIMITS.explaining, together=1)
        self.ready = False
        self._recent: deque[Sequence[str]] = deque(maxlen=HISTORIES)
        self._changing = asyncio.Lock()
        self._reading = 0
        self._slow = ThreadPoolExecutor(1, "changes")  # reads texts and loads runs; recommending goes on meanwhile

    @classmethod
    def open(cls, run: Path, journal: Journal, runs: Path | None = None, beside: Sequence[Path] = ()) -> "Service":
        """Load ``run`` and what was added to it; further runs may come from beside it, or from ``runs``.

        Raises:
            ArtifactError: one is missing, foreign or damaged, or cannot admit what was added. SsnaError: two runs have
                one name.
        """
        folder = run.absolute()
        others = [Snapshot(Recommender.load(other), other.absolute(), 1, 0) for other in beside]
        names = [folder.name, *(other.run for other in others)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise SsnaError(f"two runs are called {twice[0]}; rename the folder of one")
        allowed = [folder.parent.resolve(), *([runs.resolve()] if runs is not None else [])]
        serving = admitted(Recommender.load(folder), folder, 1, journal.additions)
        return cls(serving, journal, allowed, {other.run: other for other in others})

    async def start(self) -> None:
        """Rank in a process of its own, and load the language model, if the run can admit items; then it is
        :attr:`ready`.

        Raises:
            EncoderError: the language model is gone; everything but new texts is served all the same.
        """
        try:
            await self.inference.start(tuple(self.beside.values()))
            await self._slowly(_warm, self.snapshot.recommender)
        finally:
            gc.collect()
            gc.freeze()  # what is loaded by now stays; looking through it would stop everything for a while
            self.ready = True

    async def stop(self) -> None:
        """Answer what waits, finish the change that runs."""
        await self._background_jobs.close()
        self._background.shutdown()
        async with self._changing:
            self._slow.shutdown()
        await self.inference.close()

    @property
    def snapshot(self) -> Snapshot:
        """What serves now."""
        return self.inference.snapshot

    def named(self, run: str | None = None) -> Snapshot:
        """What serves now, or a run beside it. Raises :class:`RequestError` for a name that none has."""
        if run in (None, self.snapshot.run):
            return self.snapshot
        if run not in self.beside:
            raise RequestError(404, "unknown_run", f"there is no run {run!r}; GET /runs lists them")
        return self.beside[run]

    def find(self, item: str, run: str | None = None) -> Snapshot:
        """As :meth:`named`, if it knows ``item``; else raises :class:`RequestError`."""
        found = self.named(run)
        if item not in found:
            raise RequestError(404, "unknown_item", f"item {item!r} is not in the catalogue")
        return found

    async def recommend(
        self,
        questions: Sequence[Question],
        texts: Mapping[str, str] | None = None,
        disconnected: Disconnected | None = None,
        run: str | None = None,
    ) -> tuple[list[str], int]:
        """Answers as JSON, all from one snapshot; and how many questions were answered together.

        Args:
            texts: of ids in the histories that the catalogue does not have.
            run: see :meth:`named`; None is what serves when their turn comes.
        """
        snapshot = None if run is None else self.named(run)
        snapshot = await self._widened(snapshot or self.snapshot, questions, texts) if texts else snapshot
        self._recent.extend(question.history for question in questions)
        return await self.inference.ask(questions, snapshot, disconnected)

    async def run_in_background(self, thought: Callable[[], T]) -> T:
        """What takes longer than a ranking, one after the other; recommending goes on meanwhile.

        Raises:
            RequestError: too many wait.
        """
        found: T = (await self._background_jobs.ask(thought))[0]
        return found

    async def put(self, items: Sequence[NewItem]) -> Changed:
        """Add items, or give added ones a new text; recommended as soon as this returns, and after a restart.

        Raises:
            RequestError: an id stands twice or belongs to the run, or there would be too many additions.
            SsnaError: the run cannot admit items, or the disk refuses.
        """
        if len({new.item for new in items}) < len(items):
            raise RequestError(409, "duplicate_item", "an item stands twice in the list; give each once")
        return await _to_the_end(self._put(items))

    async def _put(self, items: Sequence[NewItem]) -> Changed:
        async with self._changing:
            now, before = self.snapshot, self.journal.additions
            known = now.recommender.items
            shown = [new.item for new in items if new.item in known and self._is_back(now, new)]
            put = {
                new.item: new.text
                for new in items
                if new.item not in shown and not (new.item in known and now.text(new.item) == new.text)
            }
            # An id that an earlier run knew, hidden then, and that this one does not know.
            change = Change(put=put, show=(*shown, *before.hidden.intersection(put)))
            after = before.after(change)
            if len(after) > max(LIMITS.additions, len(before)):
                raise RequestError(
                    409, "too_many_additions", f"{len(after)} additions, the limit is {LIMITS.additions}; train again"
                )
            replaced = [item for item in put if item in known]
            await self._change(change, lambda: _with(_without(now.recommender, replaced), put))
        return Changed(added=len(put) - len(replaced) + len(shown), replaced=len(replaced), items=len(self.snapshot))

    async def delete(self, item: str) -> Changed:
        """Take an item out of recommendations; one of the run itself still counts in histories.

        Raises:
            RequestError: it is unknown.
            SsnaError: the disk refuses.
        """
        return await _to_the_end(self._delete(item))

    async def _delete(self, item: str) -> Changed:
        async with self._changing:
            now = self.find(item)
            if self._is_own(now, item):
                await self._change(Change(hide=(item,)), lambda: now.recommender)
            else:
                await self._change(Change(delete=(item,)), lambda: _without(now.recommender, [item]))
        return Changed(removed=1, items=len(self.snapshot))

    async def reload(self, run: str | None = None, minimum_overlap: float = 0.0) -> Comparison:
        """Load a run (None: the serving one again), compare it, and let it serve; no question waits for it.

        Raises:
            RequestError: it lies elsewhere, knows no item of the old one, or ranks too differently.
            SsnaError: it is damaged, or cannot admit what was added.
        """
        folder = self.snapshot.folder if run is None else self._allowed(run)
        async with self._changing:
            old, additions, recent = self.snapshot, self.journal.additions, tuple(self._recent)

            def prepare() -> tuple[Snapshot, Comparison]:
                new = admitted(Recommender.load(folder), folder, old.version + 1, additions)
                _warm(new.recommender)
                return new, compare(old, new, recent)

            new, comparison = await self._slowly(prepare)
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

    async def _change(self, change: Change, recommender: Callable[[], Recommender]) -> None:
        """Make a change last, then visible."""
        now = self.snapshot

        def durable() -> Snapshot:
            changed = recommender()
            additions = self.journal.record(change) if change != Change() else self.journal.additions
            return now.changed(changed, additions.hidden)

        await self.inference.serve(await self._slowly(durable))

    async def _widened(self, now: Snapshot, questions: Sequence[Question], texts: Mapping[str, str]) -> Snapshot:
        asked = {item for question in questions for item in question.history}
        new = {item: text for item, text in texts.items() if item in asked and item not in now.recommender.items}
        if not new:
            return now
        if self._reading >= LIMITS.reading:
            raise RequestError(
                503, "busy", f"{self._reading} requests wait for their texts to be read already", {"Retry-After": "1"}
            )
        self._reading += 1
        try:
            return await self._slowly(now.widened, new)
        finally:
            self._reading -= 1

    async def _slowly(self, action: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._slow, action, *arguments)

    async def _think(self, jobs: Sequence[Callable[[], Any]]) -> list[Any]:
        return [await asyncio.get_running_loop().run_in_executor(self._background, job) for job in jobs]

    def _is_own(self, snapshot: Snapshot, item: str) -> bool:
        return 0 < int(snapshot.recommender.items.rows([item])[0]) <= snapshot.own

    def _is_back(self, snapshot: Snapshot, new: NewItem) -> bool:
        """Whether an item of the run itself, hidden so far, comes back; raises for one that is there."""
        if not self._is_own(snapshot, new.item):
            return False
        if new.item in snapshot.hidden and new.text == snapshot.text(new.item):
            return True
        how = "was removed; put its own text to bring it back" if new.item in snapshot.hidden else "keeps its text"
        raise RequestError(409, "own_item", f"item {new.item!r} belongs to the run {snapshot.run} and {how}")

    def _allowed(self, run: str) -> Path:
        """The folder that a request names. Raises :class:`RequestError` unless it lies below an allowed one."""
        try:
            places = [(root, (root / run).resolve()) for root in self.runs]
            inside = sorted((folder for root, folder in places if root in folder.parents), key=_is_missing)
        except (OSError, ValueError, RuntimeError):  # too long, a NUL, a loop of links
            inside = []
        if not inside:
            raise RequestError(403, "elsewhere", "only runs beside the serving one, or below --runs, can be loaded")
        return inside[0]


def _is_missing(folder: Path) -> bool:
    return not folder.is_dir()


def admitted(recommender: Recommender, folder: Path, version: int, additions: Additions) -> Snapshot:
    """A run with what was added to it. Raises :class:`ArtifactError` if it can admit nothing."""
    own = len(recommender.items)
    new = {item: text for item, text in additions.texts.items() if item not in recommender.items}
    try:
        wider = _with(recommender, new)
    except SsnaError as cause:
        raise ArtifactError(
            f"{folder.name} cannot take over {len(new)} added items: {cause}; name another run, or give up what was "
            "added: DELETE /items/ID for each while a server runs, or start one with another --state"
        ) from None
    return Snapshot(wider, folder, version, own, additions.hidden)


def _with(recommender: Recommender, texts: Mapping[str, str]) -> Recommender:
    return recommender.add_items(texts) if texts else recommender


def _without(recommender: Recommender, items: Sequence[str]) -> Recommender:
    return recommender.remove_items(items) if items else recommender


def _warm(recommender: Recommender) -> None:
    """Load the language model ahead of the first new text."""
    if recommender.encoding is not None and recommender.scorer.layers:
        embed(("a first text",), recommender.encoding, 1)


async def _to_the_end(change: Coroutine[Any, Any, T]) -> T:
    """Who asked may go away; a change that began goes on, and the next one waits for it."""
    return await asyncio.shield(asyncio.ensure_future(change))
