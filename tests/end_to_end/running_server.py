"""A service in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

KEY = "a-key-of-this-test"


class Server:
    """A running ``ssna serve``."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        assert process.stdout is not None
        self.port = int(process.stdout.readline().rpartition(b":")[2])

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Content-Type": "application/json", **headers}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, json.loads(content) if content.startswith(b"{") else content.decode()

    def until_ready(self) -> "Server":
        while self.ask("GET", "/ready")[0] != 200:
            time.sleep(0.05)
        return self

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def started(run: Path, state: Path, *words: str, stderr: Any = subprocess.DEVNULL, **options: Any) -> Iterator[Any]:
    command = [sys.executable, "-m", "ssna", "serve", str(run), "--port", "0", "--state", str(state), *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, "SSNA_API_KEY": KEY}, **options
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def wait_for_line(log: Path, part: str) -> None:
    """A thread writes the log, a moment after the answer."""
    end = time.monotonic() + 30
    while part not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
