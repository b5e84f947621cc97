"""Questions to written answers: together, in the ranking process where there is one, else in a thread of the server."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssna.core.ragged import Ints
from ssna.serving.batching import Batcher, Disconnected
from ssna.serving.limits import LIMITS
from ssna.serving.ranker import Ranker, RankerError
from ssna.serving.schemas import Question
from ssna.serving.snapshot import Asked, Snapshot

T = TypeVar("T")
MANY = 8_192  # ids read and written that take a few milliseconds


@dataclass(frozen=True)
class Job:
    """Questions that one snapshot answers: ``snapshot``, or without one what serves when their turn comes."""

    questions: Sequence[Question]
    snapshot: Snapshot | None = None


class Inference:
    """Its methods belong to the event loop.

    Args:
        snapshot: what serves first; :meth:`serve` changes it.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._ranker: Ranker | None = None
        self._thread = ThreadPoolExecutor(1, "recommend")
        self._batcher: Batcher[Job, list[str]] = Batcher(self._answered, LIMITS.waiting, LIMITS.together, LIMITS.ahead)

    @property
    def waiting(self) -> int:
        """Questions in the queue."""
        return self._batcher.waiting

    @property
    def beside(self) -> bool:
        """Whether there is a ranking process."""
        return self._ranker is not None and self._ranker.alive

    async def start(self, others: Sequence[Snapshot]) -> None:
        """Rank in a process of its own from now on, with ``others``, too."""
        ranker = Ranker()
        await ranker.start()
        for snapshot in (self.snapshot, *others):
            await ranker.load(snapshot.recommender.scorer)
        self._ranker = ranker

    async def serve(self, snapshot: Snapshot) -> None:
        """From the return on, answers come from ``snapshot``."""
        new, old = snapshot.recommender.scorer, self.snapshot.recommender.scorer
        if self._ranker is not None and new is not old:
            await self._ranker.load(new)
        self.snapshot = snapshot
        if self._ranker is not None and new is not old:
            self._ranker.unload(old)

    async def ask(
        self, questions: Sequence[Question], snapshot: Snapshot | None, disconnected: Disconnected | None
    ) -> tuple[list[str], int]:
        """Answers as JSON, all from one snapshot; and how many questions were answered together."""
        return await self._batcher.ask(Job(questions, snapshot), len(questions), disconnected)

    async def close(self) -> None:
        """Answer what waits, then end."""
        await self._batcher.close()
        self._thread.shutdown()
        if self._ranker is not None:
            await self._ranker.close()

    async def _answered(self, jobs: list[Job]) -> list[list[str]]:
        """One pass for each snapshot."""
        current = self.snapshot
        snapshots = [job.snapshot or current for job in jobs]
        answers: list[list[str]] = [[] for _ in jobs]
        for snapshot in dict.fromkeys(snapshots):
            mine = [number for number, other in enumerate(snapshots) if other is snapshot]
            written = iter(await self._written(snapshot, [each for n in mine for each in jobs[n].questions]))
            for number in mine:
                answers[number] = [next(written) for _ in jobs[number].questions]
        return answers

    async def _written(self, snapshot: Snapshot, questions: Sequence[Question]) -> list[str]:
        ranker, scorer = self._ranker, snapshot.recommender.scorer
        size = sum(len(question.history) + question.k for question in questions)
        if ranker is not None and ranker.is_loaded(scorer):
            asked = await self._beside(size, snapshot.read, questions)
            if asked.plain:
                gone = snapshot.gone(questions, asked.known)
                with suppress(RankerError):
                    best = await ranker.top(scorer, asked.known, asked.k, gone, snapshot.barred)
                    return await self._beside(size, _written, snapshot, asked, *best)
        return await self._beside(None, _here, snapshot, questions)

    async def _beside(self, size: int | None, work: Callable[..., T], *arguments: Any) -> T:
        """Work of ``size`` ids; if there are many, or nobody knows, in a thread: requests are answered meanwhile."""
        if size is not None and size <= MANY:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def _written(snapshot: Snapshot, asked: Asked, rows: Ints, scores: NDArray[np.float32]) -> list[str]:
    return [snapshot.written(answer) for answer in snapshot.cut(asked, rows, scores)]


def _here(snapshot: Snapshot, questions: Sequence[Question]) -> list[str]:
    return [snapshot.written(answer) for answer in snapshot.answer(questions)]
