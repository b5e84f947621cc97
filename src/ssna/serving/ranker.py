"""Rankings in a process of their own: HTTP and products of matrices then do not wait for one interpreter.

The server writes questions to the process's standard input and reads answers, in the same order, from its standard
output. A message is a length and so many bytes of safetensors: nothing in it is ever executed. Whatever goes wrong with
the process, the server ranks by itself until another one has started.
"""

import asyncio
import json
import os
import signal
import struct
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import torch as safetensors
from torch import Tensor

from ssna.compute.allocator import tune_allocator
from ssna.core.ragged import Ints, Ragged
from ssna.scoring import Scorer, below, restore, under
from ssna.scoring.topk import top
from ssna.serving.logs import described, log

LOAD, UNLOAD, TOP = range(3)
LENGTH = struct.Struct("<Q")
PAUSE = 1.0  # seconds before a process that ended is started again
PATIENCE = 60.0  # seconds for an answer; a process that takes longer is stuck, and ended
THREADS = "SSNA_RANKER_THREADS"


class RankerError(Exception):
    """The process is gone, or could not answer; never leaves the serving package."""


class Ranker:
    """The server's end. All methods belong to the event loop; :meth:`start` comes first."""

    def __init__(self) -> None:
        self._wanted: dict[Scorer, int] = {}
        self._held: set[int | None] = set()
        self._answers: deque[asyncio.Future[dict[str, Tensor]]] = deque()
        self._process: asyncio.subprocess.Process | None = None
        self._life: asyncio.Task[None] | None = None
        self._begun = 0

    async def start(self) -> None:
        """Start the process; it is started again whenever it ends."""
        self._process = await _process()
        self._life = asyncio.create_task(self._live(self._process))

    async def close(self) -> None:
        """End the process."""
        process = self._process
        if self._life is not None:
            self._life.cancel()
            with suppress(asyncio.CancelledError):
                await self._life
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await process.wait()

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def is_loaded(self, scorer: Scorer) -> bool:
        """Whether the process can rank with ``scorer`` now."""
        return self._wanted.get(scorer) in self._held

    async def load(self, scorer: Scorer) -> None:
        """Give the process a scorer to rank with; without a process, the next one gets it."""
        if scorer not in self._wanted:
            self._begun += 1
            self._wanted[scorer] = self._begun
            with suppress(RankerError):
                await self._give(scorer)

    def unload(self, scorer: Scorer) -> None:
        """Let the process forget a scorer; what was asked before is answered."""
        if (number := self._wanted.pop(scorer, None)) in self._held:
            self._send_unload(number)

    async def top(
        self, scorer: Scorer, histories: Ragged, k: int, exclude: Ragged, barred: Ints
    ) -> tuple[Ints, NDArray[np.float32]]:
        """As :func:`ssna.scoring.topk.top`, with a scorer that is held; ``barred`` are rows.

        Raises:
            RankerError: there is no answer; rank here.
        """
        number = self._wanted.get(scorer)
        if number is None:  # dropped while its questions were read
            raise RankerError
        message = {"ask": torch.tensor([TOP, number, k]), "barred": torch.from_numpy(barred)}
        message |= _packed("histories", histories)
        if exclude is not histories:  # else the process takes them for both
            message |= _packed("exclude", exclude)
        answer = await self._ask(message)
        rows, scores = answer["rows"].numpy(), answer["scores"].numpy()
        return rows, scores

    async def _give(self, scorer: Scorer) -> None:
        number = self._wanted[scorer]
        content = await asyncio.to_thread(_described, scorer, number)
        await self._ask(content)
        self._held.add(number)
        if self._wanted.get(scorer) != number:  # dropped meanwhile
            self._send_unload(number)

    def _send_unload(self, number: int | None) -> None:
        self._held.discard(number)
        with suppress(RankerError):
            self._ask({"ask": torch.tensor([UNLOAD, number])})

    def _ask(self, message: "Mapping[str, Tensor] | bytes") -> "asyncio.Future[dict[str, Tensor]]":
        if self._process is None or self._process.stdin is None or self._process.stdin.is_closing():
            raise RankerError
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[dict[str, Tensor]] = loop.create_future()
        overdue = loop.call_later(PATIENCE, _end, self._process)
        answer.add_done_callback(lambda _: overdue.cancel())
        self._answers.append(answer)
        content = message if isinstance(message, bytes) else safetensors.save(dict(message))
        self._process.stdin.write(_framed(content))
        return answer

    async def _live(self, process: asyncio.subprocess.Process) -> None:
        while True:
            reading = asyncio.create_task(self._read(process))
            try:
                for scorer in tuple(self._wanted):
                    with suppress(RankerError, KeyError):
                        await self._give(scorer)
                await reading
            finally:
                reading.cancel()
            _end(process)
            log("ranker", level="error", message="ended; the server ranks by itself", status=await process.wait())
            process = self._process = await _again()
            log("ranker", message="started again")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Answers, until the process ends or writes what is none; whoever still waits is told then."""
        assert process.stdout is not None
        try:
            while True:
                (size,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                found = safetensors.load(await process.stdout.readexactly(size))
                answer = self._answers.popleft()
                _settle(answer, RankerError() if "failed" in found else found)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as error:
            log("ranker", level="error", **described(error))
            _end(process)
        finally:
            self._process = None
            self._held.clear()
            while self._answers:
                _settle(self._answers.popleft(), RankerError())


def _settle(answer: "asyncio.Future[dict[str, Tensor]]", found: "dict[str, Tensor] | RankerError") -> None:
    if answer.done():
        return
    if isinstance(found, RankerError):
        answer.set_exception(found)
        answer.exception()  # looked at: of a drop nobody waits for the answer
    else:
        answer.set_result(found)


def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


async def _process() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, THREADS: str(torch.get_num_threads())},
    )  # fmt: skip


def _framed(content: bytes) -> bytes:
    return LENGTH.pack(len(content)) + content


async def _again() -> asyncio.subprocess.Process:
    while True:
        await asyncio.sleep(PAUSE)
        try:
            return await _process()
        except OSError as error:  # no memory, or no process to be had, for now
            log("ranker", level="error", **described(error))


def _packed(name: str, rows: Ragged) -> dict[str, Tensor]:
    return {
        f"{name}.values": torch.from_numpy(rows.values.astype(np.int64, copy=False)),
        f"{name}.offsets": torch.from_numpy(rows.offsets),
    }


def _unpacked(name: str, message: Mapping[str, Tensor]) -> Ragged:
    return Ragged(message[f"{name}.values"].numpy(), message[f"{name}.offsets"].numpy())


def _described(scorer: Scorer, number: int) -> bytes:
    config, tensors = scorer.state()
    words = json.dumps({"kind": scorer.kind, "config": config}).encode()
    message = {"ask": torch.tensor([LOAD, number]), "words": torch.frombuffer(bytearray(words), dtype=torch.uint8)}
    return safetensors.save({**message, **under("state.", {name: x.contiguous() for name, x in tensors.items()})})


def work(asked: BinaryIO, answers: BinaryIO) -> None:
    """The process's end: answer until nothing more can come."""
    held: dict[int, Scorer] = {}
    while len(head := asked.read(LENGTH.size)) == LENGTH.size:
        (size,) = LENGTH.unpack(head)
        if len(content := asked.read(size)) < size:
            return  # the server was killed while it asked
        message = safetensors.load(content)
        try:
            answer = _answer(held, message)
        except Exception as error:  # the server ranks by itself then, and tells whoever asked
            log("ranker", level="error", **described(error))
            answer = {"failed": torch.ones(1)}
        answers.write(_framed(safetensors.save(answer)))
        answers.flush()


def _answer(held: dict[int, Scorer], message: Mapping[str, Tensor]) -> dict[str, Tensor]:
    kind, number, *rest = message["ask"].tolist()
    if kind == LOAD:
        words: dict[str, Any] = json.loads(message["words"].numpy().tobytes())
        held[number] = restore(words["kind"], words["config"], below("state.", message))
    elif kind == UNLOAD:
        held.pop(number, None)
    else:
        scorer = held[number]
        barred = None
        if len(message["barred"]):
            barred = torch.zeros(scorer.num_rows, dtype=torch.bool).index_fill_(0, message["barred"], True)
        histories = _unpacked("histories", message)
        exclude = _unpacked("exclude", message) if "exclude.values" in message else histories
        rows, scores = top(scorer, histories, rest[0], exclude, barred)
        return {"rows": torch.from_numpy(rows).contiguous(), "scores": torch.from_numpy(scores).contiguous()}
    return {"done": torch.ones(1)}


def main() -> None:
    """Serve the process that started this one; it alone says when to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(int(os.environ.get(THREADS, "1")))
    answering = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    with tune_allocator(), suppress(BrokenPipeError), os.fdopen(answering, "wb") as answers:
        work(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
