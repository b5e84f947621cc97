"""A PostgreSQL server of a test's own, skipped where there is none to start."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class PostgresServer:
    """A cluster in ``folder``; it listens on loopback."""

    def __init__(self, folder: Path, programs: dict[str, str], user: dict[str, int]) -> None:
        self.folder, self._programs = folder, programs
        self._quiet: dict[str, Any] = {
            "check": True,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "cwd": "/",
            **user,
        }
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-A", "trust", "-U", "me")

    @property
    def address(self) -> str:
        return f"postgresql://me@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
        self._run("pg_ctl", "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """As a crash does, unless the mode is another one."""
        self._run("pg_ctl", "-m", mode, "stop")

    def _run(self, program: str, *words: str) -> None:
        subprocess.run([self._programs[program], "-D", str(self.folder / "data"), *words], **self._quiet)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """One that runs."""
    debian = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))  # which is on no path
    path = os.pathsep.join([os.environ.get("PATH", ""), *debian[-1:]])
    found = {name: shutil.which(name, path=path) for name in ("initdb", "pg_ctl")}
    programs = {name: program for name, program in found.items() if program is not None}
    if len(programs) < len(found):
        pytest.skip("PostgreSQL is not installed")
    user = {}
    if os.getuid() == 0:  # which the server refuses to run as
        try:
            user = {"user": pwd.getpwnam("postgres").pw_uid}
        except KeyError:
            pytest.skip("there is no user to run PostgreSQL as")
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name:
        if user:
            os.chown(name, user["user"], -1)
        server = PostgresServer(Path(name), programs, user)
        server.start()
        try:
            yield server
        finally:
            server.stop()
