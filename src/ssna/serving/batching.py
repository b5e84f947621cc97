"""Micro-batches without waiting: while passes run, requests gather, and the next pass takes what is due first.

A part of a job is due some multiple of its work after it came. Small jobs so go ahead of large ones, and no job waits
for ever.
"""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ssna.serving.refusal import RequestError

JobT = TypeVar("JobT")
AnswerT = TypeVar("AnswerT")
PATIENCE = 64  # times as long as it takes alone may a part wait before later and smaller ones go behind it
FIRST_GUESS = 1e-3  # seconds that a unit of work takes, until passes were timed
SMOOTHING = 0.2  # weight of the newest pass in that time


@dataclass(frozen=True)
class Part(Generic[JobT]):
    """What is answered in one pass.

    Attributes:
        size: requests in it.
        work: that it makes, in rankings of a short history.
    """

    job: JobT
    size: int = 1
    work: float = 1.0


@dataclass(order=True)
class _Entry(Generic[JobT, AnswerT]):
    due: float
    number: int
    part: Part[JobT] = field(compare=False)
    divided: bool = field(compare=False)  # whether its job has more parts
    answered: "asyncio.Future[tuple[AnswerT, int]]" = field(compare=False)


class Batcher(Generic[JobT, AnswerT]):
    """Answers parts of jobs together. All methods belong to the event loop.

    Args:
        answer: jobs to answers.
        limit: work that may wait; jobs of several parts may have half of it.
        max_batch_work: work of one pass; a larger part goes alone. Of divided jobs it takes one part while whole jobs
            wait, and parts of a quarter of this otherwise.
        overlap_from: so many waiting requests of whole jobs begin a pass before the one that runs has ended.

    Attributes:
        queued: requests that wait.
    """

    def __init__(
        self,
        answer: Callable[[list[JobT]], Awaitable[Sequence[AnswerT]]],
        limit: float,
        max_batch_work: float,
        overlap_from: int | None = None,
    ) -> None:
        self._answer, self._limit = answer, limit
        self._max_batch_work, self._overlap_from = max_batch_work, overlap_from
        self._queue: list[_Entry[JobT, AnswerT]] = []
        self._passes: set[asyncio.Task[None]] = set()
        self._seconds, self._count = FIRST_GUESS, 0
        self.queued, self._whole, self._work = 0, 0, 0.0

    async def submit(self, parts: Sequence[Part[JobT]]) -> tuple[list[AnswerT], int]:
        """The answers of the parts of one job, and how many requests were answered with the last one. Who is cancelled
        leaves the queue with all parts.

        Raises:
            RequestError: the queue is full.
        """
        work = sum(part.work for part in parts)
        limit = self._limit / 2 if len(parts) > 1 else self._limit
        if self.queued and self._work + work > limit:
            message = f"{self.queued} requests wait already, work of {limit:g} is the limit; ask again in a second"
            raise RequestError(503, "busy", message, {"Retry-After": "1"})
        entries = self._add(parts)
        self._begin()
        try:
            found = [await entry.answered for entry in entries]
        except BaseException:  # one failed, or the client is gone
            for entry in entries:
                entry.answered.cancel()
                if entry in self._queue:
                    self._leave(entry)
            raise
        return [answer for answer, _ in found], found[-1][1]

    async def close(self) -> None:
        """Answer what waits, then end."""
        while self._passes:
            await asyncio.wait(self._passes)

    def _add(self, parts: Sequence[Part[JobT]]) -> "list[_Entry[JobT, AnswerT]]":
        loop, due, entries = asyncio.get_running_loop(), time.monotonic(), []
        for part in parts:
            due += PATIENCE * self._seconds * part.work
            self._count += 1
            entries.append(_Entry(due, self._count, part, len(parts) > 1, loop.create_future()))
            heapq.heappush(self._queue, entries[-1])
            self._count_in(entries[-1], 1)
        return entries

    def _leave(self, entry: "_Entry[JobT, AnswerT]") -> None:
        self._queue.remove(entry)
        heapq.heapify(self._queue)
        self._count_in(entry, -1)

    def _count_in(self, entry: "_Entry[JobT, AnswerT]", times: int) -> None:
        self.queued += times * entry.part.size
        self._whole += 0 if entry.divided else times * entry.part.size
        self._work += times * entry.part.work

    def _begin(self) -> None:
        """Begin a pass, unless enough of them run."""
        running, overlap_from = len(self._passes), self._overlap_from
        overlaps = running == 1 and overlap_from is not None and self._whole >= overlap_from
        if self._queue and (not running or overlaps):
            self._passes.add(begun := asyncio.create_task(self._pass()))
            begun.add_done_callback(self._end)

    def _end(self, ended: "asyncio.Task[None]") -> None:
        self._passes.discard(ended)
        self._begin()

    async def _pass(self) -> None:
        batch = self._next()
        start, work = time.monotonic(), sum(entry.part.work for entry in batch)
        answers: Sequence[AnswerT] | Exception
        try:
            answers = await self._answer([entry.part.job for entry in batch])
        except Exception as failure:
            answers = failure
        if work:
            self._seconds += SMOOTHING * ((time.monotonic() - start) / work - self._seconds)
        _settle(batch, answers)

    def _next(self) -> "list[_Entry[JobT, AnswerT]]":
        batch: list[_Entry[JobT, AnswerT]] = []
        later: list[_Entry[JobT, AnswerT]] = []
        work = divided = 0.0
        most = 0.0 if self._whole else self._max_batch_work / 4
        while self._queue and (not batch or work + self._queue[0].part.work <= self._max_batch_work):
            entry = heapq.heappop(self._queue)
            if entry.divided and divided and divided + entry.part.work > most:
                later.append(entry)
                continue
            divided += entry.part.work if entry.divided else 0.0
            batch.append(entry)
            work += entry.part.work
            self._count_in(entry, -1)
        for entry in later:
            heapq.heappush(self._queue, entry)
        return batch


def _settle(batch: "list[_Entry[JobT, AnswerT]]", answers: "Sequence[AnswerT] | Exception") -> None:
    size = sum(entry.part.size for entry in batch)
    for number, entry in enumerate(batch):
        if entry.answered.done():
            continue
        if isinstance(answers, Exception):
            entry.answered.set_exception(answers)
            entry.answered.exception()  # looked at: of several parts that fail, one is waited for
        else:
            entry.answered.set_result((answers[number], size))
