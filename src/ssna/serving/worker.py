"""One thread for what takes longer than a ranking."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ssna.serving.refusal import RequestError

T = TypeVar("T")
PATIENT = 5  # steps down in priority: about a quarter of a core that rankings want, and all of one that is idle


class Worker:
    """Runs jobs one after the other in a thread of its own; recommending goes on meanwhile.

    Args:
        name: of the thread.
        limit: jobs that may wait or run; None for any number.
        patient: whether its jobs take what rankings leave of the processors (on Linux, which knows priorities of
            threads).
    """

    def __init__(self, name: str, limit: int | None = None, patient: bool = False) -> None:
        self._thread, self.limit = ThreadPoolExecutor(1, name, _step_back if patient else None), limit
        self._jobs = 0

    async def run(self, job: Callable[..., T], *arguments: object) -> T:
        """The job's result.

        Raises:
            RequestError: too many jobs wait.
        """
        if self.limit is not None and self._jobs >= self.limit:
            message = (
                f"{self._jobs} requests of this kind wait already, the limit is {self.limit}; ask again in a second"
            )
            raise RequestError(503, "busy", message, {"Retry-After": "1"})
        self._jobs += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, job, *arguments)
        finally:
            self._jobs -= 1

    async def close(self) -> None:
        """Finish what waits, then end."""
        await asyncio.to_thread(self._thread.shutdown)


def _step_back() -> None:
    """Of this thread, and of those that it starts."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + PATIENT)
