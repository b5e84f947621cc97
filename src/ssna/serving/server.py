"""The process: a socket, uvicorn, signals."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import uvicorn

from ssna.compute.allocator import tune_allocator
from ssna.core.errors import SsnaError
from ssna.serving.additions import journal
from ssna.serving.app import create_app
from ssna.serving.connection import Connection
from ssna.serving.logs import JsonHandler, log
from ssna.serving.service import Service

SECONDS_TO_STOP = 30
BACKLOG = 2048
IDLE = 75  # seconds that a connection may stay without a request: longer than proxies keep theirs
SECONDS_TO_READ, TIMES_TO_READ = 0.05, 20  # what came before the signal is looked for until nothing more is found
SWITCH_SECONDS = 0.0005  # between threads: a pass hands the interpreter over many times, and would wait each time


def serve(
    run: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    state: Path | None = None,
    runs: Path | None = None,
    compare_with: Sequence[Path] = (),
    model: str | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the run again. The address goes to standard output, logs to stderr.

    Args:
        port: 0 takes a free one.
        api_key: for changes; None refuses them.
        state: where additions are kept; None takes a folder beside the run, named after it.
        runs: a folder from below which other runs may be loaded, besides the run's own folder's.
        compare_with: runs that recommend by name, too, and are compared with in the explorer.
        model: where the language model lies now, if it moved.

    Raises:
        SsnaError: the run or the state cannot be read, or the address is taken.
    """
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
        raise SsnaError("the key must be printable ASCII without blanks at its ends, since it travels in a header")
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))  # one core is left to the event loop
    sys.setswitchinterval(SWITCH_SECONDS)
    with _listening(host, port) as listening, journal(state or default_state(run)) as kept:
        service = Service.open(run, kept, runs, compare_with, model)
        app = create_app(service, api_key, lambda: _started(service, listening))
        _log_libraries()
        config = uvicorn.Config(
            app, http=Connection, ws="none", log_config=None, access_log=False, lifespan="on",
            timeout_graceful_shutdown=SECONDS_TO_STOP, timeout_keep_alive=IDLE, server_header=False,
        )  # fmt: skip
        with tune_allocator(), _ending_well():
            _Server(config).run([listening])
    log("stopped")


def default_state(run: Path) -> Path:
    """Beside the run, whose own folder is replaced as a whole when it is trained again."""
    run = run.absolute()
    return run.with_name(f".{run.name}.state")


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What clients have sent by now is accepted and read first: closing over it would reset their connections."""
        for _ in range(TIMES_TO_READ):
            before = len(self.server_state.connections), self.server_state.total_requests
            await asyncio.sleep(SECONDS_TO_READ)
            if before == (len(self.server_state.connections), self.server_state.total_requests):
                break
        await super().shutdown(sockets)


def _started(service: Service, listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def begin(work: Callable[[], Any]) -> None:
        tasks.add(task := asyncio.ensure_future(work()))
        task.add_done_callback(tasks.discard)

    begin(lambda: _logged(service.start(), "language model"))
    loop.add_signal_handler(signal.SIGHUP, begin, lambda: _logged(service.changes.reload(), "reload"))
    host, port = listening.getsockname()[:2]
    print(f"{service.snapshot.run} is served at http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


async def _logged(work: Any, event: str) -> None:
    """What nobody waits for is told in the log."""
    try:
        await work
    except SsnaError as error:
        log(event, level="error", message=" ".join(str(error).split()))


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as cause:
        reason = getattr(cause, "strerror", None) or cause
        raise SsnaError(f"{host}:{port} cannot be served at ({reason}); name another --host or --port") from None
    with listening:
        yield listening


@contextmanager
def _ending_well() -> Iterator[None]:
    """uvicorn raises the signal that stopped it once more; by then all is answered, and the process may end with 0."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_libraries() -> None:
    for name in ("uvicorn", "fastapi", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [JsonHandler(logging.WARNING)], False
        logger.setLevel(logging.WARNING)
