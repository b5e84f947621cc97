import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from ssna.serving import batching
from ssna.serving.batching import Batcher, Part
from ssna.serving.refusal import RequestError


class Gate:
    """Answers a job with its double; each pass waits until it is let through."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.open = asyncio.Semaphore(0)

    async def __call__(self, jobs: list[int]) -> list[int]:
        self.passes.append(jobs)
        await self.open.acquire()
        return [2 * job for job in jobs]

    def let_through(self, passes: int) -> None:
        for _ in range(passes):
            self.open.release()


def with_batcher(test: Callable, limit: int = 100, max_batch_work: int = 10, overlap_from: int | None = None) -> None:
    async def run() -> None:
        gate = Gate()
        batcher = Batcher(gate, limit, max_batch_work, overlap_from)
        await asyncio.wait_for(test(gate, batcher), 20)
        gate.let_through(1000)
        await batcher.close()

    asyncio.run(run())


async def answer_of(batcher: Batcher, job: int, size: int) -> tuple[int, int]:
    answers, batch = await batcher.submit([Part(job, size, size)])
    return answers[0], batch


async def asked(batcher: Batcher, *jobs: int, size: int = 1) -> list[asyncio.Task]:
    tasks = [asyncio.create_task(answer_of(batcher, job, size)) for job in jobs]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_what_gathers_during_a_pass_is_answered_in_the_next_one_and_nobody_waits_for_more():
    async def test(gate, batcher):
        first = await asked(batcher, 1)
        await until(lambda: gate.passes == [[1]])
        later = await asked(batcher, 2, 3, 4)
        assert batcher.queued == 3
        gate.let_through(2)
        assert await asyncio.gather(*first, *later) == [(2, 1), (4, 3), (6, 3), (8, 3)]
        assert gate.passes == [[1], [2, 3, 4]]
        assert batcher.queued == 0

    with_batcher(test)


def test_a_pass_takes_no_more_requests_than_it_may_and_a_larger_job_goes_alone():
    async def test(gate, batcher):
        await asked(batcher, 0)
        await until(lambda: gate.passes == [[0]])
        tasks = await asked(batcher, 1, 2, 3, size=4)
        tasks += await asked(batcher, 4, size=30)
        gate.let_through(5)
        await asyncio.gather(*tasks)
        assert gate.passes == [[0], [1, 2], [3], [4]]

    with_batcher(test)


def test_a_full_queue_refuses_at_once_and_says_when_to_ask_again():
    async def test(gate, batcher):
        await asked(batcher, 0)
        await until(lambda: gate.passes == [[0]])
        waiting = await asked(batcher, 1, 2)
        with pytest.raises(RequestError, match="2 requests wait already") as refused:
            await batcher.submit([Part(3)])
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
        gate.let_through(2)
        assert await asyncio.gather(*waiting) == [(2, 2), (4, 2)]

    with_batcher(test, limit=2)


def test_who_is_cancelled_leaves_the_queue_and_makes_room():
    async def test(gate, batcher):
        await asked(batcher, 0)
        await until(lambda: gate.passes == [[0]])
        cancelled, stays = await asked(batcher, 1, 2)
        cancelled.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert batcher.queued == 1
        gate.let_through(2)
        assert await stays == (4, 1)
        assert gate.passes == [[0], [2]]

    with_batcher(test)


def test_who_is_cancelled_during_the_pass_takes_nothing_from_the_others():
    async def test(gate, batcher):
        await asked(batcher, 0)
        await until(lambda: gate.passes == [[0]])
        cancelled, stays = await asked(batcher, 1, 2)
        gate.let_through(1)
        await until(lambda: len(gate.passes) == 2)
        cancelled.cancel()
        gate.let_through(1)
        assert await stays == (4, 2)

    with_batcher(test)


def test_a_second_pass_overlaps_the_first_once_enough_wait_and_no_third_one():
    async def test(gate, batcher):
        first = await asked(batcher, 0)
        few = await asked(batcher, 1, 2)
        assert gate.passes == [[0]]
        more = await asked(batcher, 3)
        assert gate.passes == [[0], [1, 2, 3]]
        last = await asked(batcher, 4, 5, 6, 7)
        assert gate.passes == [[0], [1, 2, 3]]
        gate.let_through(3)
        assert await asyncio.gather(*first, *few, *more, *last) == [
            (0, 1), (2, 3), (4, 3), (6, 3), (8, 4), (10, 4), (12, 4), (14, 4)
        ]  # fmt: skip

    with_batcher(test, overlap_from=3)


def test_a_small_job_goes_ahead_of_larger_ones_that_came_before_it_and_in_its_own_pass():
    async def test(gate, batcher):
        await asked(batcher, 0)
        await until(lambda: gate.passes == [[0]])
        large = await asked(batcher, 1, 2, size=8)
        small = await asked(batcher, 3, size=1)
        gate.let_through(3)
        await asyncio.gather(*large, *small)
        assert gate.passes == [[0], [3, 1], [2]]

    with_batcher(test)


def test_of_divided_jobs_a_pass_takes_one_part_and_they_take_turns():
    async def test(gate, batcher):
        await asked(batcher, 0)
        await until(lambda: gate.passes == [[0]])
        parts = [[Part(job * 10 + part, work=3) for part in range(2)] for job in (1, 2)]
        jobs = [asyncio.create_task(batcher.submit(each)) for each in parts]
        small = await asked(batcher, 3)
        gate.let_through(5)
        assert [await job for job in jobs] == [([20, 22], 1), ([40, 42], 1)]
        await asyncio.gather(*small)
        assert gate.passes == [[0], [3, 10], [20], [11], [21]]

    with_batcher(test)


def test_parts_of_divided_jobs_go_together_where_nobody_else_waits_and_begin_no_second_pass():
    async def test(gate, batcher):
        await asked(batcher, 0)
        job = asyncio.create_task(batcher.submit([Part(number) for number in range(1, 6)]))
        await asyncio.sleep(0)
        assert gate.passes == [[0]]
        gate.let_through(4)
        await job
        assert gate.passes == [[0], [1, 2], [3, 4], [5]]

    with_batcher(test, overlap_from=3)


def test_a_large_job_is_not_put_off_for_ever(monkeypatch):
    now = 0.0
    monkeypatch.setattr(batching.time, "monotonic", lambda: now)

    async def test(gate, batcher):
        nonlocal now
        await asked(batcher, 0)
        large = await asked(batcher, 1, size=10)
        now += 2 * batching.PATIENCE * batching.FIRST_GUESS * 10
        small = await asked(batcher, 2, size=1)
        gate.let_through(3)
        await asyncio.gather(*large, *small)
        assert gate.passes == [[0], [1], [2]]

    with_batcher(test)


def test_divided_jobs_leave_half_of_the_queue_to_others():
    async def test(gate, batcher):
        await asked(batcher, 0)
        await until(lambda: gate.passes == [[0]])
        waiting = asyncio.create_task(batcher.submit([Part(1, work=2), Part(2, work=2)]))
        await asyncio.sleep(0)
        with pytest.raises(RequestError, match="ask again"):
            await batcher.submit([Part(3), Part(4)])
        small = await asked(batcher, 5)
        gate.let_through(9)
        assert await waiting == ([2, 4], 1)
        await asyncio.gather(*small)

    with_batcher(test, limit=9)


def test_who_is_cancelled_takes_all_parts_out_of_the_queue():
    async def test(gate, batcher):
        await asked(batcher, 0)
        await until(lambda: gate.passes == [[0]])
        gone = asyncio.create_task(batcher.submit([Part(1, work=10), Part(2, work=10), Part(3, work=10)]))
        await asyncio.sleep(0)
        gate.let_through(1)
        await until(lambda: gate.passes == [[0], [1]])
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
        assert batcher.queued == 0
        stays = await asked(batcher, 4)
        gate.let_through(2)
        await asyncio.gather(*stays)
        assert gate.passes == [[0], [1], [4]]

    with_batcher(test)


def test_a_failure_reaches_everybody_of_its_pass_and_the_next_pass_goes_on():
    async def run() -> None:
        async def answer(jobs: list[int]) -> list[int]:
            if 1 in jobs:
                raise ZeroDivisionError
            return jobs

        batcher = Batcher(answer, 100, 10)
        with pytest.raises(ZeroDivisionError):
            await batcher.submit([Part(1)])
        assert await batcher.submit([Part(2)]) == ([2], 1)
        await batcher.close()

    asyncio.run(run())


def test_closing_answers_what_waits():
    async def run() -> None:
        async def answer(jobs: list[int]) -> list[int]:
            return jobs

        batcher = Batcher(answer, 100, 1)
        tasks = await asked(batcher, 1, 2, 3)
        await batcher.close()
        assert [await task for task in tasks] == [(1, 1), (2, 1), (3, 1)]

    asyncio.run(run())
