"""Rankings in a process of their own: HTTP and products of matrices then do not wait for one interpreter.

The server writes calls to the process's standard input and reads results, in the same order, from its standard output.
A message is a length and so many bytes of safetensors: nothing in it is ever executed. Whatever goes wrong with the
process, the server ranks by itself until another one has started. Large tensors lie in memory that both see
(:mod:`ssna.serving.sharing`); descriptors of it travel beside the calls, by a socket.
"""

import asyncio
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import torch as safetensors

from ssna.compute.blocks import Block
from ssna.compute.threads import VARIABLE
from ssna.core.ragged import Ints
from ssna.recommender import Recommender
from ssna.recommender.admission import NewItems
from ssna.recommender.ranking import RankRequest
from ssna.scoring import Scorer
from ssna.serving.logs import described, log
from ssna.serving.messages import LENGTH, frame, pack_request
from ssna.serving.ranker_process import LOAD, RANK, UNLOAD
from ssna.serving.sharing import (
    Message,
    pack_new,
    pack_scorer,
    send_descriptors,
)

RESTART_SECONDS = 1.0  # before a process that ended is started again
PATIENCE_SECONDS = 1.0  # for a ranking, or three times the slowest of late; then the server ranks by itself
TIMEOUT_SECONDS = 60.0  # for a result; a process that takes longer is stuck, and ended
PROCESS = "ssna.serving.ranker_process"


class RankerError(Exception):
    """The process is gone, or could not rank; never leaves the serving package."""


@dataclass(frozen=True)
class _Waiting:
    """For a result of the process: cancelled, once nobody waits any more.

    Attributes:
        overdue: ends the process.
        since: when a ranking was asked for; None for other calls.
    """

    result: "asyncio.Future[Message]"
    overdue: asyncio.TimerHandle
    since: float | None


class Ranker:
    """The server's end. All methods belong to the event loop; :meth:`start` comes first."""

    def __init__(self) -> None:
        self._numbers: dict[Scorer, int] = {}  # of all that are to be loaded
        self._recommenders: dict[int, Recommender] = {}  # by these numbers
        self._loaded: set[int | None] = set()
        self._waiting: deque[_Waiting] = deque()
        self._slowest = 0.0  # seconds that a ranking took lately
        self._process: asyncio.subprocess.Process | None = None
        self._channel: socket.socket | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._count = 0

    async def start(self) -> None:
        """Start the process; it is started again whenever it ends."""
        self._process, self._channel = await _start_process()
        self._supervisor = asyncio.create_task(self._supervise(self._process))

    async def close(self) -> None:
        """End the process."""
        process = self._process
        if self._supervisor is not None:
            self._supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervisor
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await process.wait()
        if self._channel is not None:
            self._channel.close()

    def answers(self, recommender: Recommender) -> bool:
        """Whether the process ranks with ``recommender`` and does so in time."""
        return self.is_loaded(recommender) and not self._is_late

    @property
    def _is_late(self) -> bool:
        """Whether it still works for somebody who ranked by himself meanwhile."""
        return bool(self._waiting) and self._waiting[0].result.cancelled()

    def is_loaded(self, recommender: Recommender) -> bool:
        """Whether the process can rank with ``recommender`` now."""
        return self._numbers.get(recommender.scorer) in self._loaded

    async def load(self, recommender: Recommender) -> None:
        """Give the process a recommender to rank with; without a process, the next one gets it.

        One with the scorer of another that is loaded is loaded, too.
        """
        if recommender.scorer not in self._numbers:
            self._count += 1
            self._numbers[recommender.scorer], self._recommenders[self._count] = self._count, recommender
            with suppress(RankerError):
                await self._send_load(self._count)

    def unload(self, recommender: Recommender) -> None:
        """Let the process forget a recommender; earlier calls are answered."""
        number = self._numbers.pop(recommender.scorer, None)
        self._recommenders.pop(number or 0, None)
        if number in self._loaded:
            self._send_unload(number)

    async def rank(
        self, recommender: Recommender, request: RankRequest, excluded: Ints, new: NewItems | None = None
    ) -> tuple[Ints, NDArray[np.float32]]:
        """As :func:`ssna.recommender.ranking.rank`, with a recommender that is loaded.

        Args:
            new: items that only histories have, by the rows behind the catalogue.

        Raises:
            RankerError: there is no result; rank here.
        """
        if not self.answers(recommender):  # or not any more, since its requests were looked up
            raise RankerError
        call = {"call": torch.tensor([RANK, self._numbers[recommender.scorer]]), "excluded": torch.from_numpy(excluded)}
        message = call | pack_request(request) | ({} if new is None else pack_new(new))
        patience = min(max(PATIENCE_SECONDS, 3 * self._slowest), TIMEOUT_SECONDS / 6)
        try:
            result = await asyncio.wait_for(self._call(message, timed=True), patience)
        except TimeoutError:
            log("ranker", level="warning", message=f"no result in {patience:.1f} s; the server ranks by itself for now")
            raise RankerError from None
        return result["rows"].numpy(), result["scores"].numpy()

    async def _send_load(self, number: int) -> None:
        sent = await asyncio.to_thread(pack_scorer, self._recommenders[number])
        await self._call(sent.message | {"call": torch.tensor([LOAD, number])}, sent.blocks)
        self._loaded.add(number)
        if number not in self._recommenders:  # unloaded meanwhile
            self._send_unload(number)

    def _send_unload(self, number: int | None) -> None:
        self._loaded.discard(number)
        with suppress(RankerError):
            self._call({"call": torch.tensor([UNLOAD, number])})

    def _call(self, message: Message, blocks: Sequence[Block] = (), timed: bool = False) -> "asyncio.Future[Message]":
        if self._process is None or self._process.stdin is None or self._process.stdin.is_closing():
            raise RankerError
        if blocks:
            assert self._channel is not None
            try:
                send_descriptors(self._channel, blocks)
            except OSError as cause:  # it is gone, or stuck
                _kill(self._process)
                raise RankerError from cause
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Message] = loop.create_future()
        overdue = loop.call_later(TIMEOUT_SECONDS, _kill, self._process)
        self._waiting.append(_Waiting(result, overdue, time.monotonic() if timed else None))
        self._process.stdin.write(frame(safetensors.save(dict(message))))
        return result

    async def _supervise(self, process: asyncio.subprocess.Process) -> None:
        while True:
            reading = asyncio.create_task(self._read_results(process))
            try:
                for number in tuple(self._recommenders):
                    with suppress(RankerError, KeyError):
                        await self._send_load(number)
                await reading
            finally:
                reading.cancel()
            _kill(process)
            log("ranker", level="error", message="ended; the server ranks by itself", status=await process.wait())
            if self._channel is not None:
                self._channel.close()
            self._process, self._channel = await _restart_process()
            process = self._process
            log("ranker", message="started again")

    async def _read_results(self, process: asyncio.subprocess.Process) -> None:
        """Until the process ends or writes what is no result; whoever still waits is told then."""
        assert process.stdout is not None
        try:
            while True:
                (size,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                found = safetensors.load(await process.stdout.readexactly(size))
                self._settle(RankerError() if "failed" in found else found)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as error:
            log("ranker", level="error", **described(error))
            _kill(process)
        finally:
            self._process = None
            self._loaded.clear()
            while self._waiting:
                self._settle(RankerError())

    def _settle(self, found: "Message | RankerError") -> None:
        """Whoever waits first has its result."""
        first = self._waiting.popleft()
        first.overdue.cancel()
        if first.since is not None:
            self._slowest = max(time.monotonic() - first.since, 0.9 * self._slowest)
        if first.result.done():
            return
        if isinstance(found, RankerError):
            first.result.set_exception(found)
            first.result.exception()  # looked at: nobody waits for the result of an unload
        else:
            first.result.set_result(found)


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


async def _start_process() -> tuple[asyncio.subprocess.Process, socket.socket]:
    """The process, and where descriptors are sent to it."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", PROCESS, str(theirs.fileno()), pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, VARIABLE: str(torch.get_num_threads())},
        )  # fmt: skip
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


async def _restart_process() -> tuple[asyncio.subprocess.Process, socket.socket]:
    while True:
        await asyncio.sleep(RESTART_SECONDS)
        try:
            return await _start_process()
        except OSError as error:  # no memory, or no process to be had, for now
            log("ranker", level="error", **described(error))
