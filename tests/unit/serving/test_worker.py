import asyncio
import threading

import pytest

from ssna.serving.refusal import RequestError
from ssna.serving.worker import Worker


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
