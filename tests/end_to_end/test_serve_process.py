"""A server in a process of its own, under a full log, early signals, few files, and a ranking process that is stuck."""

import os
import resource
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest
from command_line import ssna
from running_server import KEY, Server, started, wait_for_line

pytestmark = [pytest.mark.long, pytest.mark.fork]

QUESTION = {"history": ["i1"]}


@pytest.fixture
def run(run_folders, tmp_path) -> Path:
    return Path(shutil.copytree(run_folders["ssna"], tmp_path / "ssna"))


def test_a_standard_error_that_nobody_reads_stops_nobody(run, tmp_path):
    read, write = os.pipe()
    with started(run, tmp_path / "state", stderr=write) as process:
        os.close(write)
        server = Server(process).until_ready()
        capacity = 2**16
        for _ in range(capacity // 80):  # a line is longer
            assert server.ask("GET", "/health")[0] == 200
        assert server.ask("POST", "/recommend", QUESTION)[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    os.close(read)


def test_a_hangup_before_readiness_ends_nothing(run, tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as errors, started(run, tmp_path / "state", stderr=errors) as process:
        server, sent = Server(process), 0
        while server.ask("GET", "/ready")[0] != 200:
            process.send_signal(signal.SIGHUP)
            sent += 1
            time.sleep(0.05)
        assert sent
        end = time.monotonic() + 30
        while server.ask("GET", "/ready")[1]["version"] == 1:
            assert time.monotonic() < end
            time.sleep(0.1)
        wait_for_line(log, '"event": "reload"')


def test_no_process_that_a_server_starts_has_its_key(run, tmp_path):
    with started(run, tmp_path / "state") as process:
        server = Server(process).until_ready()
        assert server.children()
        for child in server.children():
            assert KEY.encode() not in Path(f"/proc/{child}/environ").read_bytes()
        assert server.ask("DELETE", "/items/none", **{"X-API-Key": KEY})[0] == 404


def test_a_stuck_ranking_process_holds_answers_for_a_second_and_the_gauge_says_so(run, tmp_path):
    with started(run, tmp_path / "state") as process:
        server = Server(process).until_ready()
        assert server.ask("POST", "/recommend", QUESTION)[0] == 200
        assert "ssna_ranking_process 1.0" in server.ask("GET", "/metrics")[1]
        os.kill(server.children()[0], signal.SIGSTOP)
        seconds = []
        for _ in range(5):
            start = time.monotonic()
            assert server.ask("POST", "/recommend", QUESTION)[0] == 200
            seconds.append(time.monotonic() - start)
        assert max(seconds) < 5
        assert sorted(seconds)[-2] < 0.5
        assert "ssna_ranking_process 0.0" in server.ask("GET", "/metrics")[1]


def test_more_connections_than_files_are_told_in_the_log_and_others_are_answered(run, tmp_path):
    log, few = tmp_path / "log", 256
    with log.open("wb") as errors:
        limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))}
        with started(run, tmp_path / "state", stderr=errors, **limited) as process:
            server = Server(process).until_ready()
            idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2 * few)]
            for _ in range(10):
                assert server.ask("POST", "/recommend", QUESTION)[0] == 200
            for each in idle:
                each.close()
            wait_for_line(log, "connections are open, the limit")


def test_a_server_answers_to_its_own_names_only(run, tmp_path):
    with started(run, tmp_path / "state", "--allowed-host", "shop.example") as process:
        server = Server(process)
        statuses = [
            server.ask("GET", "/health", Host=name)[0] for name in ("shop.example", "localhost", "evil.example")
        ]
        assert statuses == [200, 200, 421]


def test_a_server_of_every_address_that_was_told_no_name_is_refused_in_one_line(run, tmp_path, capsys):
    assert ssna("serve", run, "--port", 0, "--state", tmp_path / "state", "--host", "0.0.0.0") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--allowed-host" in said
    assert not (tmp_path / "state").exists()
