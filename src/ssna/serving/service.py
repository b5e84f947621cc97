"""The service without HTTP: what recommends, what changes it, and how both start and stop."""

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ssna.core.errors import SsnaError
from ssna.recommender import Recommender
from ssna.serving.additions import Journal
from ssna.serving.changes import Changes, load_run, warm_up, with_additions
from ssna.serving.inference import Inference
from ssna.serving.limits import LIMITS
from ssna.serving.snapshot import Snapshot
from ssna.serving.worker import Worker

T = TypeVar("T")


class Service:
    """Its methods belong to the event loop; build it with :meth:`open`.

    Args:
        snapshot: what serves first.
        journal: keeps additions.
        roots: folders below which a run may be loaded from.
        compare_with: other runs that recommend, by their names.
        model: where the language model lies now, if it moved.

    Attributes:
        inference: recommends.
        changes: adds and removes items, and loads other runs.
        ready: whether the language model is loaded.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        journal: Journal,
        roots: Sequence[Path],
        compare_with: Mapping[str, Snapshot],
        model: str | None = None,
    ) -> None:
        self.inference = Inference(snapshot, compare_with)
        self.changes = Changes(self.inference, journal, roots, model)
        self.ready = False
        self._background = Worker("explain", LIMITS.explain_queue)

    @classmethod
    def open(
        cls,
        run: Path,
        journal: Journal,
        runs: Path | None = None,
        compare_with: Sequence[Path] = (),
        model: str | None = None,
    ) -> "Service":
        """Load ``run`` and what was added to it.

        Args:
            runs: a folder of runs that may be loaded later; those in the folder of ``run`` may, too.
            compare_with: further runs that recommend by their names.
            model: where the language model of ``run`` lies now; other runs that were trained with it use it, too.

        Raises:
            EncoderError: ``model`` is another one.
            ArtifactError: one is missing, foreign or damaged, or cannot admit what was added.
            SsnaError: two runs have one name.
        """
        folder = run.absolute()
        others = [Snapshot(load_run(other, model), other.absolute(), 1, 0) for other in compare_with]
        names = [folder.name, *(other.run for other in others)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise SsnaError(f"two runs are called {twice[0]}; rename the folder of one")
        roots = [folder.parent.resolve(), *([runs.resolve()] if runs is not None else [])]
        serving = with_additions(Recommender.load(folder, model), folder, 1, journal.additions)
        return cls(serving, journal, roots, {other.run: other for other in others}, model)

    @property
    def snapshot(self) -> Snapshot:
        """What serves now."""
        return self.inference.snapshot

    async def start(self) -> None:
        """Rank in a process of its own, and load the language model, if the run can admit items; then it is
        :attr:`ready`.

        Raises:
            EncoderError: the language model is missing; everything but new texts is served all the same.
        """
        try:
            await self.inference.start()
            await self.changes.worker.run(warm_up, self.snapshot.recommender)
        finally:
            gc.collect()
            gc.freeze()  # what is loaded by now stays; looking through it would stop everything for a while
            self.ready = True

    async def stop(self) -> None:
        """Answer what waits, finish the change that runs."""
        await self._background.close()
        await self.changes.close()
        await self.inference.close()

    async def run_in_background(self, job: Callable[[], T]) -> T:
        """What takes longer than a ranking, one after the other. Raises :class:`RequestError` if too many wait."""
        return await self._background.run(job)
