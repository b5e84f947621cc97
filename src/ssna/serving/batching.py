"""Micro-batches without waiting: while passes run, requests gather, and the next pass takes all that fit."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ssna.serving.refusal import RequestError

JobT = TypeVar("JobT")
AnswerT = TypeVar("AnswerT")
Disconnected = Callable[[], Awaitable[bool]]
CHECK_SECONDS = 0.25  # in the queue, after which it is worth asking whether the client is still there


@dataclass(eq=False)
class _Entry(Generic[JobT, AnswerT]):
    job: JobT
    size: int
    disconnected: Disconnected | None
    answered: "asyncio.Future[tuple[AnswerT, int]]"
    since: float = field(default_factory=time.monotonic)


class Batcher(Generic[JobT, AnswerT]):
    """Answers jobs together. All methods belong to the event loop.

    Args:
        answer: jobs to answers.
        limit: requests that may wait, over all jobs.
        max_batch_size: requests of one pass; a larger job goes alone.
        overlap_from: so many waiting requests begin a pass before the one that runs has ended.

    Attributes:
        queued: requests that wait.
    """

    def __init__(
        self,
        answer: Callable[[list[JobT]], Awaitable[Sequence[AnswerT]]],
        limit: int,
        max_batch_size: int,
        overlap_from: int | None = None,
    ) -> None:
        self._answer, self._limit = answer, limit
        self._max_batch_size, self._overlap_from = max_batch_size, overlap_from
        self._queue: deque[_Entry[JobT, AnswerT]] = deque()
        self._passes: set[asyncio.Task[None]] = set()
        self.queued = 0

    async def submit(self, job: JobT, size: int = 1, disconnected: Disconnected | None = None) -> tuple[AnswerT, int]:
        """The answer, and how many requests were answered with it; who is cancelled leaves the queue.

        Args:
            size: requests in the job.

        Raises:
            RequestError: the queue is full.
        """
        if self.queued + size > self._limit:
            message = f"{self.queued} requests wait already, the limit is {self._limit}; ask again in a second"
            raise RequestError(503, "busy", message, {"Retry-After": "1"})
        entry = _Entry(job, size, disconnected, asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        self.queued += size
        self._begin()
        try:
            return await entry.answered
        except asyncio.CancelledError:
            if entry in self._queue:
                self._queue.remove(entry)
                self.queued -= size
            raise

    async def close(self) -> None:
        """Answer what waits, then end."""
        while self._passes:
            await asyncio.wait(self._passes)

    def _begin(self) -> None:
        """Begin a pass, unless enough of them run."""
        running, overlap_from = len(self._passes), self._overlap_from
        overlaps = running == 1 and overlap_from is not None and self.queued >= overlap_from
        if self._queue and (not running or overlaps):
            self._passes.add(begun := asyncio.create_task(self._pass()))
            begun.add_done_callback(self._end)

    def _end(self, ended: "asyncio.Task[None]") -> None:
        self._passes.discard(ended)
        self._begin()

    async def _pass(self) -> None:
        if batch := await self._next():
            answers: Sequence[AnswerT] | Exception
            try:
                answers = await self._answer([entry.job for entry in batch])
            except Exception as failure:
                answers = failure
            _settle(batch, answers)

    async def _next(self) -> "list[_Entry[JobT, AnswerT]]":
        batch: list[_Entry[JobT, AnswerT]] = []
        size, now = 0, time.monotonic()
        while self._queue and (not batch or size + self._queue[0].size <= self._max_batch_size):
            entry = self._queue.popleft()
            self.queued -= entry.size
            if entry.disconnected is not None and now - entry.since > CHECK_SECONDS and await entry.disconnected():
                entry.answered.set_exception(RequestError(499, "client_gone", "nobody waits for this answer any more"))
            if not entry.answered.done():
                batch.append(entry)
                size += entry.size
        return batch


def _settle(batch: "list[_Entry[JobT, AnswerT]]", answers: "Sequence[AnswerT] | Exception") -> None:
    size = sum(entry.size for entry in batch)
    for number, entry in enumerate(batch):
        if entry.answered.done():
            continue
        if isinstance(answers, Exception):
            entry.answered.set_exception(answers)
        else:
            entry.answered.set_result((answers[number], size))
