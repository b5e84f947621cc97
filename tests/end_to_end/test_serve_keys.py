"""``ssna keys`` as it is typed, and a server that reads the file again."""

import signal
import time
from pathlib import Path

import pytest
from command_line import ssna
from test_serve_process import KEY, QUESTION, Server, started


def test_keys_are_added_listed_and_taken_away(tmp_path, capsys):
    file = tmp_path / "keys.json"
    assert ssna("keys", "add", file, "--name", "shop", "--may", "read") == 0
    assert ssna("keys", "add", file, "--name", "office", "--may", "change") == 0
    said = capsys.readouterr()
    assert [len(key) > 40 for key in said.out.split()] == [True, True]
    assert "shop may read" in said.err
    assert ssna("keys", "remove", file, "--name", "shop") == 0
    assert ssna("keys", "list", file) == 0
    assert [line.split("\t")[:2] for line in capsys.readouterr().out.splitlines()] == [["office", "change"]]
    assert ssna("keys", "remove", file, "--name", "shop") == 1
    assert "no key 'shop'; there are office" in capsys.readouterr().err
    assert ssna("keys", "list", tmp_path / "none") == 1


@pytest.mark.parametrize("content", [None, "{"])
def test_a_server_does_not_start_with_a_file_that_holds_no_keys(run_folders, tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "keys.json").write_text(content)
    assert ssna("serve", run_folders["ssna"], "--keys", tmp_path / "keys.json") == 1
    assert "ssna keys add" in capsys.readouterr().err


def status_becomes(server: Server, status: int, **headers: str) -> bool:
    end = time.monotonic() + 20
    while server.ask("POST", "/recommend", QUESTION, **headers)[0] != status:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.long
@pytest.mark.fork
def test_a_hangup_lets_new_keys_in_and_old_ones_out_and_a_damaged_file_changes_nothing(run_folders, tmp_path, capsys):
    file, log = tmp_path / "keys.json", tmp_path / "log"

    def add(name: str) -> str:
        assert ssna("keys", "add", file, "--name", name, "--may", "read") == 0
        return capsys.readouterr().out.strip()

    old = add("old")
    run: Path = run_folders["ssna"]
    with log.open("wb") as errors, started(run, tmp_path / "state", "--keys", str(file), stderr=errors) as process:
        server = Server(process).until_ready()
        assert server.ask("POST", "/recommend", QUESTION)[0] == 401
        assert server.ask("POST", "/recommend", QUESTION, **{"X-API-Key": KEY})[0] == 200  # of SSNA_API_KEY
        new = add("new")
        assert ssna("keys", "remove", file, "--name", "old") == 0
        assert server.ask("POST", "/recommend", QUESTION, **{"X-API-Key": old})[0] == 200
        process.send_signal(signal.SIGHUP)
        assert status_becomes(server, 200, **{"X-API-Key": new})
        assert server.ask("POST", "/recommend", QUESTION, **{"X-API-Key": old})[0] == 401
        file.write_text("{")
        process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 20
        while "is no file of keys" not in log.read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        assert server.ask("POST", "/recommend", QUESTION, **{"X-API-Key": new})[0] == 200
