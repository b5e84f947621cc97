"""Rankings in a process of their own: HTTP and products of matrices then do not wait for one interpreter.

The server writes calls to the process's standard input and reads results, in the same order, from its standard output.
A message is a length and so many bytes of safetensors: nothing in it is ever executed. Whatever goes wrong with the
process, the server ranks by itself until another one has started.
"""

import asyncio
import json
import os
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import torch as safetensors
from torch import Tensor

from ssna.compute.allocator import tune_allocator
from ssna.core.ragged import Ints, Ragged
from ssna.recommender import Recommender
from ssna.recommender.ranking import RankRequest, rank
from ssna.scoring import Scorer, below, restore, under
from ssna.serving.logs import background_log, described, log

LOAD, UNLOAD, RANK = range(3)
LENGTH = struct.Struct("<Q")
RESTART_SECONDS = 1.0  # before a process that ended is started again
PATIENCE_SECONDS = 1.0  # for a ranking, or three times the slowest of late; then the server ranks by itself
TIMEOUT_SECONDS = 60.0  # for a result; a process that takes longer is stuck, and ended
THREADS = "SSNA_RANKER_THREADS"

Message = Mapping[str, Tensor]


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
        self._numbers: dict[Recommender, int] = {}  # of all that are to be loaded
        self._loaded: set[int | None] = set()
        self._waiting: deque[_Waiting] = deque()
        self._slowest = 0.0  # seconds that a ranking took lately
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._count = 0

    async def start(self) -> None:
        """Start the process; it is started again whenever it ends."""
        self._process = await _start_process()
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

    def answers(self, recommender: Recommender) -> bool:
        """Whether the process ranks with ``recommender`` and does so in time."""
        return self.is_loaded(recommender) and not self._is_late

    @property
    def _is_late(self) -> bool:
        """Whether it still works for somebody who ranked by himself meanwhile."""
        return bool(self._waiting) and self._waiting[0].result.cancelled()

    def is_loaded(self, recommender: Recommender) -> bool:
        """Whether the process can rank with ``recommender`` now."""
        return self._numbers.get(recommender) in self._loaded

    async def load(self, recommender: Recommender) -> None:
        """Give the process a recommender to rank with; without a process, the next one gets it."""
        if recommender not in self._numbers:
            self._count += 1
            self._numbers[recommender] = self._count
            with suppress(RankerError):
                await self._send_load(recommender)

    def unload(self, recommender: Recommender) -> None:
        """Let the process forget a recommender; earlier calls are answered."""
        if (number := self._numbers.pop(recommender, None)) in self._loaded:
            self._send_unload(number)

    async def rank(
        self, recommender: Recommender, request: RankRequest, excluded: Ints
    ) -> tuple[Ints, NDArray[np.float32]]:
        """As :func:`ssna.recommender.ranking.rank`, with a recommender that is loaded.

        Raises:
            RankerError: there is no result; rank here.
        """
        if not self.answers(recommender):  # or not any more, since its requests were looked up
            raise RankerError
        call = {"call": torch.tensor([RANK, self._numbers[recommender]]), "excluded": torch.from_numpy(excluded)}
        patience = min(max(PATIENCE_SECONDS, 3 * self._slowest), TIMEOUT_SECONDS / 6)
        try:
            result = await asyncio.wait_for(self._call(call | _pack_request(request), timed=True), patience)
        except TimeoutError:
            log("ranker", level="warning", message=f"no result in {patience:.1f} s; the server ranks by itself for now")
            raise RankerError from None
        return result["rows"].numpy(), result["scores"].numpy()

    async def _send_load(self, recommender: Recommender) -> None:
        number = self._numbers[recommender]
        await self._call(await asyncio.to_thread(_load_call, recommender, number))
        self._loaded.add(number)
        if self._numbers.get(recommender) != number:  # unloaded meanwhile
            self._send_unload(number)

    def _send_unload(self, number: int | None) -> None:
        self._loaded.discard(number)
        with suppress(RankerError):
            self._call({"call": torch.tensor([UNLOAD, number])})

    def _call(self, message: Message | bytes, timed: bool = False) -> "asyncio.Future[Message]":
        if self._process is None or self._process.stdin is None or self._process.stdin.is_closing():
            raise RankerError
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Message] = loop.create_future()
        overdue = loop.call_later(TIMEOUT_SECONDS, _kill, self._process)
        self._waiting.append(_Waiting(result, overdue, time.monotonic() if timed else None))
        self._process.stdin.write(_frame(message if isinstance(message, bytes) else safetensors.save(dict(message))))
        return result

    async def _supervise(self, process: asyncio.subprocess.Process) -> None:
        while True:
            reading = asyncio.create_task(self._read_results(process))
            try:
                for recommender in tuple(self._numbers):
                    with suppress(RankerError, KeyError):
                        await self._send_load(recommender)
                await reading
            finally:
                reading.cancel()
            _kill(process)
            log("ranker", level="error", message="ended; the server ranks by itself", status=await process.wait())
            process = self._process = await _restart_process()
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


async def _start_process() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, THREADS: str(torch.get_num_threads())},
    )  # fmt: skip


async def _restart_process() -> asyncio.subprocess.Process:
    while True:
        await asyncio.sleep(RESTART_SECONDS)
        try:
            return await _start_process()
        except OSError as error:  # no memory, or no process to be had, for now
            log("ranker", level="error", **described(error))


def _frame(content: bytes) -> bytes:
    return LENGTH.pack(len(content)) + content


def _load_call(recommender: Recommender, number: int) -> bytes:
    scorer = recommender.scorer
    config, tensors = scorer.state()
    described_scorer = json.dumps({"kind": scorer.kind, "config": config}).encode()
    call = {
        "call": torch.tensor([LOAD, number]),
        "scorer": torch.frombuffer(bytearray(described_scorer), dtype=torch.uint8),
        "counts": torch.from_numpy(recommender.counts),
    }
    return safetensors.save(call | under("state.", {name: tensor.contiguous() for name, tensor in tensors.items()}))


def _pack_request(request: RankRequest) -> dict[str, Tensor]:
    message = {"k": torch.from_numpy(request.k), "exclude_seen": torch.from_numpy(request.exclude_seen)}
    message |= _pack("histories", request.histories) | _pack("deny", request.deny)
    limited = [number for number, allow in enumerate(request.allow) if allow is not None]
    if limited:
        rows = Ragged.from_rows([allow for allow in request.allow if allow is not None])
        message |= {"limited": torch.tensor(limited)} | _pack("allow", rows)
    if request.new_items is not None:
        message["new_items"] = torch.from_numpy(request.new_items)
    return message


def _unpack_request(message: Message) -> RankRequest:
    k = message["k"].numpy()
    allow: list[Ints | None] = [None] * len(k)
    if "limited" in message:
        for number, rows in zip(message["limited"].tolist(), _unpack("allow", message), strict=True):
            allow[number] = rows.astype(np.int64)
    histories, deny = _unpack("histories", message), _unpack("deny", message)
    new_items = message["new_items"].numpy() if "new_items" in message else None
    return RankRequest(histories, k, message["exclude_seen"].numpy(), tuple(allow), deny, new_items)


def _pack(name: str, rows: Ragged) -> dict[str, Tensor]:
    return {
        f"{name}.values": torch.from_numpy(rows.values.astype(np.int64, copy=False)),
        f"{name}.offsets": torch.from_numpy(rows.offsets),
    }


def _unpack(name: str, message: Message) -> Ragged:
    return Ragged(message[f"{name}.values"].numpy(), message[f"{name}.offsets"].numpy())


def answer_calls(calls: BinaryIO, results: BinaryIO) -> None:
    """The process's end: answer until nothing more can come."""
    loaded: dict[int, tuple[Scorer, NDArray[np.int64]]] = {}
    while len(head := calls.read(LENGTH.size)) == LENGTH.size:
        (size,) = LENGTH.unpack(head)
        if len(content := calls.read(size)) < size:
            return  # the server was killed while it wrote
        message = safetensors.load(content)
        try:
            result = _answer_call(loaded, message)
        except Exception as error:  # the server ranks by itself then, and the client notices nothing
            log("ranker", level="error", **described(error))
            result = {"failed": torch.ones(1)}
        results.write(_frame(safetensors.save(result)))
        results.flush()


def _answer_call(loaded: dict[int, tuple[Scorer, NDArray[np.int64]]], message: Message) -> dict[str, Tensor]:
    kind, number = message["call"].tolist()
    if kind == LOAD:
        saved = json.loads(message["scorer"].numpy().tobytes())
        loaded[number] = restore(saved["kind"], saved["config"], below("state.", message)), message["counts"].numpy()
    elif kind == UNLOAD:
        loaded.pop(number, None)
    else:
        rows, scores = rank(*loaded[number], _unpack_request(message), message["excluded"].numpy())
        return {"rows": torch.from_numpy(rows).contiguous(), "scores": torch.from_numpy(scores).contiguous()}
    return {"done": torch.ones(1)}


def main() -> None:
    """Serve the process that started this one; it alone says when to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(int(os.environ.get(THREADS, "1")))
    output = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no result
    with background_log(), tune_allocator(), suppress(BrokenPipeError), os.fdopen(output, "wb") as results:
        answer_calls(sys.stdin.buffer, results)


if __name__ == "__main__":
    main()
