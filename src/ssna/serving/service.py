"""The service without HTTP: what recommends, what changes it, and how both start and stop.

Importing this takes no time: a server answers that it is there before it loads torch, and a run.
"""

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from ssna.compute.threads import choose_threads
from ssna.core.errors import EncoderError, SsnaError
from ssna.serving.limits import LIMITS
from ssna.serving.refusal import RequestError
from ssna.serving.replicas import follow
from ssna.serving.worker import Worker

if TYPE_CHECKING:
    from ssna.recommender import Recommender
    from ssna.serving.changes import Changes
    from ssna.serving.inference import Inference
    from ssna.serving.ranker import Ranker
    from ssna.serving.restoring import Loaded
    from ssna.serving.snapshot import Snapshot
    from ssna.serving.store import Store
    from ssna.serving.users import Users

T = TypeVar("T")
RUN, MODEL = "the run is being loaded", "the language model is being loaded"


class Service:
    """Its methods belong to the event loop, but for :meth:`load`.

    Args:
        run: the folder of what serves first.
        state: a folder, or the address of a PostgreSQL database, that keeps additions, users and events.
        runs: a folder of runs that may be loaded later; those in the folder of ``run`` may, too.
        compare_with: further runs that recommend by their names.
        model: where the language model of ``run`` lies now; other runs that were trained with it use it, too.
        users: a data folder, whose histories users begin with.

    Attributes:
        missing: what is not there yet, in words; None: all is loaded.
    """

    def __init__(
        self,
        run: Path,
        state: Path | str,
        runs: Path | None = None,
        compare_with: Sequence[Path] = (),
        model: str | None = None,
        users: Path | None = None,
    ) -> None:
        self.run, self.state, self.runs, self.compare_with = run.absolute(), state, runs, tuple(compare_with)
        self.model, self.first_users = model, users
        self.missing: str | None = RUN
        self._serving: tuple[Inference, Changes, Users] | None = None
        self._background = Worker("explain", LIMITS.explain_queue, patient=True)
        self._reader = ThreadPoolExecutor(1, "language model")
        self._stopped = Event()
        self._follower: asyncio.Task[None] | None = None

    def load(self, loaded: "Loaded" = lambda _: None) -> None:
        """Load all but the language model, in whatever thread; no text that the store knows is read.

        Args:
            loaded: takes the run before what was added is admitted.

        Raises:
            EncoderError: ``model`` is another one.
            ArtifactError: a run is missing, foreign or damaged, or cannot admit what was added; or the state is.
            SsnaError: two runs have one name, or the service was stopped meanwhile.
        """
        from ssna.recommender import Recommender
        from ssna.serving.changes import Changes, load_run
        from ssna.serving.inference import Inference
        from ssna.serving.restoring import open_run
        from ssna.serving.snapshot import Snapshot
        from ssna.serving.store import Store

        names = [self.run.name, *(other.absolute().name for other in self.compare_with)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise SsnaError(f"two runs are called {twice[0]}; rename the folder of one")
        store = Store(self.state)
        others = [Snapshot(load_run(other, self.model), other.absolute(), 1, 0) for other in self.compare_with]
        load = partial(Recommender.load, model=self.model)
        serving = open_run(self.run, 1, store.load(), store, self._read_so_far, loaded, load)
        inference = Inference(serving, {other.run: other for other in others})
        users = self._users(inference, store)
        roots = [self.run.parent.resolve(), *([self.runs.resolve()] if self.runs is not None else [])]
        self._serving, self.missing = (inference, Changes(inference, store, roots, self.model), users), MODEL

    def _users(self, inference: "Inference", store: "Store") -> "Users":
        from ssna.serving.seeding import seed
        from ssna.serving.user_events import UserEvents
        from ssna.serving.users import Users

        events = UserEvents(store.database)
        if self.first_users is None:
            return Users(inference, events)
        manifest = seed(events, self.first_users, self._seeded_so_far)
        return Users(inference, events, self.first_users.absolute(), manifest)

    def _seeded_so_far(self, done: int, count: int) -> None:
        if self._stopped.is_set():
            raise SsnaError("stopped before all was loaded")
        self.missing = f"histories of users are being kept: {done:,} of {count:,}"

    def _read_so_far(self, done: int, count: int) -> None:
        if self._stopped.is_set():
            raise SsnaError("stopped before all was loaded")
        self.missing = f"added texts are read by another language model than before: {done:,} of {count:,}"

    @property
    def inference(self) -> "Inference":
        """Recommends. Raises :class:`RequestError` while the run is being loaded."""
        return self._loaded[0]

    @property
    def changes(self) -> "Changes":
        """Adds and removes items, and loads other runs. Raises as :attr:`inference`."""
        return self._loaded[1]

    @property
    def users(self) -> "Users":
        """Keeps events, and recommends to users. Raises as :attr:`inference`."""
        return self._loaded[2]

    @property
    def snapshot(self) -> "Snapshot":
        """What serves now. Raises as :attr:`inference`."""
        return self.inference.snapshot

    @property
    def _loaded(self) -> "tuple[Inference, Changes, Users]":
        if self._serving is None:
            raise RequestError(503, "starting", f"{self.missing}; ask again in a second", {"Retry-After": "1"})
        return self._serving

    async def start(self) -> None:
        """Load, rank in a process of its own, and load the language model, if the run can admit items; then nothing is
        :attr:`missing`.

        Raises:
            EncoderError: the language model is missing; everything but new texts is served all the same.
            SsnaError: as :meth:`load`; nothing is served.
        """
        reading: list[Future[None]] = []  # the language model, beside what was added: two cores have both sooner
        ranker = await asyncio.to_thread(_ranker)
        await ranker.start()  # and that process loads libraries beside both
        try:
            with _all_cores():
                await asyncio.to_thread(self.load, lambda run: reading.append(self._reader.submit(_warm_up, run)))
        except BaseException as cause:
            await ranker.close()
            if isinstance(cause, EncoderError):  # the model that was named is another one: not what may be missing
                raise SsnaError(str(cause)) from None
            raise
        try:
            await self.inference.start(ranker)
            self._follower = asyncio.create_task(follow(self.changes))
            await asyncio.wrap_future(reading[0])
        finally:
            gc.collect()
            gc.freeze()  # what is loaded by now stays; looking through it would stop everything for a while
            self.missing = None

    async def stop(self) -> None:
        """Answer what waits, finish the change that runs; what is being loaded is given up."""
        self._stopped.set()
        if self._follower is not None:
            self._follower.cancel()
        await self._background.close()
        self._reader.shutdown(wait=False)
        if self._serving is not None:
            await self.users.close()
            await self.changes.close()
            await self.inference.close()

    async def run_in_background(self, job: Callable[[], T]) -> T:
        """What takes longer than a ranking, one after the other. Raises :class:`RequestError` if too many wait."""
        return await self._background.run(job)


@contextmanager
def _all_cores() -> Iterator[None]:
    """For threads that begin inside: nobody is to be answered yet, so none is kept free."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(choose_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _ranker() -> "Ranker":
    from ssna.serving.ranker import Ranker

    return Ranker()


def _warm_up(recommender: "Recommender") -> None:
    from ssna.serving.restoring import warm_up

    warm_up(recommender)
