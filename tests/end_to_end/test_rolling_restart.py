"""Two servers behind nginx, as ``examples/nginx.conf`` has it: each is stopped, killed and started anew under load."""

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
from test_serve_process import Server, started

from container import ROOT

pytestmark = [pytest.mark.long, pytest.mark.fork]
EXAMPLE = ROOT / "examples" / "nginx.conf"
AROUND = """
daemon off; pid nginx.pid; error_log stderr crit;
events { worker_connections 256; }
http {
    access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include %s;
}
"""
CLIENTS = 4


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@contextmanager
def proxied(folder: Path, ports: dict[int, int]) -> Iterator[None]:
    """nginx by the example, with other ports than it names."""
    text = EXAMPLE.read_text()
    for named, port in ports.items():
        assert text.count(f"127.0.0.1:{named}") == 1
        text = text.replace(f"127.0.0.1:{named}", f"127.0.0.1:{port}")
    (folder / "ssna.conf").write_text(text)
    (folder / "nginx.conf").write_text(AROUND % (folder / "ssna.conf"))
    process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"])
    try:
        while True:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", ports[8000])):
                break
            assert process.poll() is None
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


class Load:
    """Clients that ask without a pause, over connections that are kept, and what they were answered."""

    def __init__(self, port: int) -> None:
        self.port, self.answers = port, Counter[str]()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        body, headers = json.dumps({"history": ["i1"]}), {"Content-Type": "application/json"}
        while not self._stop.is_set():
            try:
                connection.request("POST", "/recommend", body, headers)
                response = connection.getresponse()
                content = response.read()
                found = "answered" if response.status == 200 else f"{response.status} {content[:200]!r}"
            except (OSError, HTTPException) as cause:
                found = repr(cause)
                connection.close()
            self.answers[found] += 1


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx")
def test_no_request_is_lost_while_two_servers_are_stopped_killed_and_started_in_turn(run_folders, tmp_path):
    run = Path(shutil.copytree(run_folders["ssna"], tmp_path / "ssna"))
    ports = {8000: free_port(), 8001: free_port(), 8002: free_port()}
    with ExitStack() as servers:

        def start(named: int) -> subprocess.Popen:
            process = servers.enter_context(started(run, tmp_path / "state", "--port", str(ports[named])))
            Server(process).until_ready()
            return process

        running = {named: start(named) for named in (8001, 8002)}
        with proxied(tmp_path, ports), Load(ports[8000]) as load:
            for ended in (signal.SIGTERM, signal.SIGKILL):
                for named in running:
                    before = load.answers["answered"]
                    running[named].send_signal(ended)
                    assert running[named].wait(timeout=40) == (0 if ended == signal.SIGTERM else -signal.SIGKILL)
                    running[named] = start(named)
                    assert load.answers["answered"] > before + 20  # the other one went on meanwhile
            time.sleep(1)  # both
        assert set(load.answers) == {"answered"}, load.answers
        assert load.answers["answered"] > 200
