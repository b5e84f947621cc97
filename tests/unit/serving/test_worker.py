import asyncio
import os
import sys
import threading

import pytest

from ssna.serving.refusal import RequestError
from ssna.serving.worker import PATIENT, Worker


def test_a_job_whose_client_left_is_not_begun_and_makes_room():
    begun, free = [], threading.Event()

    def job(number: int) -> None:
        begun.append(number)
        free.wait(20)

    async def test() -> None:
        worker = Worker("test", 2)
        first, left = (asyncio.create_task(worker.run(job, number)) for number in (1, 2))
        while not begun:
            await asyncio.sleep(0.001)
        with pytest.raises(RequestError, match="the limit is 2"):
            await worker.run(job, 3)
        left.cancel()
        await asyncio.wait([left])
        stays = asyncio.create_task(worker.run(job, 4))
        await asyncio.sleep(0)
        free.set()
        await asyncio.gather(first, stays)
        await worker.close()

    asyncio.run(test())
    assert begun == [1, 4]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities of their own")
@pytest.mark.parametrize("patient", [False, True])
def test_only_what_takes_long_steps_back_behind_rankings(patient):
    def priority(thread: int = 0) -> int:
        return os.getpriority(os.PRIO_PROCESS, thread)

    async def test() -> int:
        worker = Worker("test", patient=patient)
        found = await worker.run(lambda: priority(threading.get_native_id()))
        await worker.close()
        return found

    before = priority()
    assert asyncio.run(test()) == (min(before + PATIENT, 19) if patient else before)
    assert priority() == before
