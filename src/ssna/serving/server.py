"""The process: a socket, uvicorn, signals."""

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn

from ssna.compute import threads
from ssna.compute.allocator import tune_allocator
from ssna.core.errors import EncoderError, SsnaError
from ssna.serving.access import Access, allowed_hosts
from ssna.serving.app import create_app
from ssna.serving.connection import OTHER_DESCRIPTORS, Connection
from ssna.serving.keys import Keys
from ssna.serving.limits import LIMITS
from ssna.serving.logs import JsonHandler, background_log, log
from ssna.serving.service import Service

KEY_VARIABLE = "SSNA_API_KEY"
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
    keys: Path | None = None,
    state: Path | str | None = None,
    runs: Path | None = None,
    compare_with: Sequence[Path] = (),
    allowed_host: Sequence[str] = (),
    allow_origin: Sequence[str] = (),
    rate: float | None = None,
    model: str | None = None,
    users: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads run and keys again. The address goes to stdout, logs to stderr.

    Args:
        port: 0 takes a free one.
        api_key: one key that may change; without any, changes are refused.
        keys: a file of more, read again at SIGHUP. With one, reading needs a key, too.
        state: where additions, users and events are kept: a folder, or the address of a PostgreSQL database; None takes
            a folder beside the run, named after it.
        runs: a folder from below which other runs may be loaded, besides the run's own folder's.
        compare_with: runs that recommend by name, too, and are compared with in the explorer.
        allowed_host: names under which clients address the server, besides those of this machine; ``*`` is any.
        allow_origin: of pages elsewhere that may read answers.
        rate: requests a second of one client; None: any number.
        model: where the language model lies now, if it moved.
        users: a data folder, whose histories users begin with.

    Raises:
        SsnaError: the run, the state or the keys cannot be read, the address is taken, or its names are not given.
    """
    os.environ.pop(KEY_VARIABLE, None)  # no process that is started from here gets it
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
        raise SsnaError("the key must be printable ASCII without blanks at its ends, since it travels in a header")
    known = Keys(api_key, keys)
    access = Access(allowed_hosts(host, allowed_host), tuple(allow_origin), rate)
    sys.setswitchinterval(SWITCH_SECONDS)
    _raise_file_limit()
    with background_log(), _hangups_noted() as noted, _bound(host, port) as listening:
        service = Service(run, state or default_state(run), runs, compare_with, model, users)
        config = uvicorn.Config(
            create_app(service, known, access), http=Connection, ws="none", log_config=None, access_log=False,
            lifespan="on", timeout_graceful_shutdown=SECONDS_TO_STOP, timeout_keep_alive=IDLE,
            server_header=False, backlog=BACKLOG,
        )  # fmt: skip
        _log_libraries()
        server = _Server(config, service, known, noted)
        with tune_allocator(), _ending_well():
            server.run([listening])
        if server.failure is not None:
            raise server.failure
        log("stopped")


def default_state(run: Path) -> Path:
    """Beside the run, whose own folder is replaced as a whole when it is trained again."""
    run = run.absolute()
    return run.with_name(f".{run.name}.state")


class _Server(uvicorn.Server):
    """Listens first, so that it can say what is missing, then loads; a run that cannot be loaded ends it.

    Args:
        noted: the hangups that came before there was a loop.

    Attributes:
        failure: why it ended by itself.
    """

    def __init__(self, config: uvicorn.Config, service: Service, keys: Keys, noted: Sequence[int]) -> None:
        super().__init__(config)
        self.service, self._keys, self._noted = service, keys, noted
        self.failure: Exception | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loaded = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, tell the address, then load."""
        await super().startup(sockets)
        assert sockets is not None
        host, port = sockets[0].getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        with suppress(OSError):  # nobody may read it any more
            print(f"{self.service.run.name} is served at {address}", flush=True)
        self._begin(self._load())

        def reload() -> None:
            self._begin(_logged(self._read_keys(), "keys"))
            self._begin(_logged(self._reload(), "reload"))

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        if self._noted:
            reload()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What clients have sent by now is accepted and read first: closing over it would reset their connections."""
        for _ in range(TIMES_TO_READ):
            before = len(self.server_state.connections), self.server_state.total_requests
            await asyncio.sleep(SECONDS_TO_READ)
            if before == (len(self.server_state.connections), self.server_state.total_requests):
                break
        await super().shutdown(sockets)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(task := asyncio.ensure_future(work))
        task.add_done_callback(self._tasks.discard)

    async def _load(self) -> None:
        try:
            await asyncio.to_thread(_use_cores)
            await _logged(self.service.start(), "language model", EncoderError)
            self._loaded.set()
        except Exception as cause:
            self.failure, self.should_exit = cause, True

    async def _read_keys(self) -> None:
        self._keys.read_again()

    async def _reload(self) -> None:
        await self._loaded.wait()
        await self.service.changes.reload()


def _use_cores() -> None:
    import torch  # takes seconds, in which requests are answered

    free = threads.choose_threads(lambda line: log("threads", message=line))
    if not threads.given():
        torch.set_num_threads(max(1, free - 1))  # one core is left to the event loop


async def _logged(work: Awaitable[None], event: str, foreseen: type[SsnaError] = SsnaError) -> None:
    """What nobody waits for is told in the log."""
    try:
        await work
    except foreseen as error:
        log(event, level="error", message=" ".join(str(error).split()))


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that does not listen yet: nothing would answer."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    with listening:
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if listening.family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind((host, port))
        except (OSError, OverflowError) as cause:
            reason = getattr(cause, "strerror", None) or cause
            raise SsnaError(f"{host}:{port} cannot be served at ({reason}); name another --host or --port") from None
        yield listening


@contextmanager
def _hangups_noted() -> Iterator[list[int]]:
    """SIGHUP would end the process until there is a loop to handle it; those that came meanwhile."""
    noted: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: noted.append(number))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGHUP, before)


def _raise_file_limit() -> None:
    """As many files as the system allows, where that is not more than the connections need."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = LIMITS.connections + OTHER_DESCRIPTORS
    wanted = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    if files != resource.RLIM_INFINITY and files < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


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
