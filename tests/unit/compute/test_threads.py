import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ssna.compute import cpus, threads
from ssna.compute.cpus import cpu_count
from ssna.compute.device import choose_device
from ssna.core.ragged import Ragged
from ssna.scoring.topk import chunks
from ssna.training.checkpoint import Checkpoint, Position

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from side import load


@pytest.fixture
def machine(monkeypatch):
    """One of 4 processors, whose PyTorch would compute in all of them; ``machine(free)`` says how many are free."""
    number = [4]
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    monkeypatch.setattr(threads, "_chosen", None)
    monkeypatch.setattr(threads, "_by_us", False)
    monkeypatch.setattr(threads, "allowed_cpus", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(threads, "core_count", lambda: 4)
    monkeypatch.setattr(threads, "cpu_count", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: number[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda count: number.__setitem__(0, count))

    def make(free: int) -> list[int]:
        monkeypatch.setattr(threads, "free_cpus", lambda: free)
        return number

    return make


@pytest.mark.parametrize(
    "compute",
    [lambda: choose_device("auto"), lambda: choose_device("cpu"), lambda: list(chunks(Ragged.from_rows([[1]])))],
)
def test_whatever_computes_on_the_processor_does_so_in_as_many_threads_as_are_free(
    machine, compute, capsys, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    number = machine(free=3)
    compute()
    assert number == [3]
    assert capsys.readouterr().err.splitlines() == [
        "ssna: computing in 3 threads, as 3 of 4 processors are free; OMP_NUM_THREADS sets another number"
    ]
    machine(free=1)
    compute()  # once for each process
    assert (number, capsys.readouterr().err) == ([3], "")


def test_nothing_is_said_where_all_processors_are_free(machine, capsys):
    machine(free=4)
    assert (threads.choose_threads(), capsys.readouterr().err) == (4, "")


def test_where_two_processors_share_a_core_a_thread_for_each_core_is_the_most(machine, monkeypatch, capsys):
    monkeypatch.setattr(threads, "core_count", lambda: 2)
    number = machine(free=4)
    number[0] = 2  # what PyTorch begins with there
    assert (threads.choose_threads(), number, capsys.readouterr().err) == (2, [2], "")
    monkeypatch.setattr(threads, "_chosen", None)
    machine(free=1)
    assert (threads.choose_threads(), number) == (1, [1])
    assert "computing in 1 thread, as 1 of 4 processors is free" in capsys.readouterr().err


def test_of_two_processors_of_a_core_one_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(cpus, "TOPOLOGY", tmp_path)
    monkeypatch.setattr(cpus, "allowed_cpus", lambda: [0, 1, 2])
    for cpu, core in ((0, "0,2"), (1, "1,3")):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(core + "\n")
    assert cpus.core_count() == 3  # nobody says where the last one lies
    (tmp_path / "cpu2" / "topology").mkdir(parents=True)
    (tmp_path / "cpu2" / "topology" / "thread_siblings_list").write_text("0,2\n")
    assert cpus.core_count() == 2


def test_one_thread_is_not_several(machine):
    said: list[str] = []
    machine(free=1)
    assert threads.choose_threads(said.append) == 1
    assert said == ["computing in 1 thread, as 1 of 4 processors is free; OMP_NUM_THREADS sets another number"]


def test_a_variable_and_a_call_of_the_user_go_before(machine, monkeypatch, capsys):
    number = machine(free=1)
    number[0] = 2  # by torch.set_num_threads
    assert threads.choose_threads() == 2
    threads.go_on_in(1)
    assert number == [2]
    monkeypatch.setattr(threads, "_chosen", None)
    monkeypatch.setenv(threads.VARIABLE, "4")
    number[0] = 4
    assert threads.choose_threads() == 4
    threads.go_on_in(1)
    assert (number, capsys.readouterr().err) == ([4], "")


@pytest.mark.parametrize(("begun", "then"), [(4, 4), (2, 2), (64, 4)])
def test_what_was_cut_off_goes_on_in_the_threads_that_it_was_begun_in(machine, tmp_path, begun, then):
    number = machine(free=1)
    number[0] = begun
    Checkpoint(tmp_path / "file", {}).write(Position(), {})
    number[0] = 4
    assert Checkpoint(tmp_path / "file", {}).read() is not None
    assert number == [then]


def test_threads_soon_sleep_unless_the_user_has_said_how_they_wait(monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    threads.shorten_waiting()
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    threads.shorten_waiting()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    threads.shorten_waiting()
    assert "GOMP_SPINCOUNT" not in os.environ


@pytest.mark.fork
@pytest.mark.slow
@pytest.mark.skipif(not 1 < cpu_count() == len(os.sched_getaffinity(0)) <= 16, reason="cannot be loaded")
def test_on_a_machine_that_computes_for_others_one_thread_is_left():
    code = "import torch; from ssna.compute.device import choose_device as c; c('cpu'); print(torch.get_num_threads())"
    unset = {name: value for name, value in os.environ.items() if name != threads.VARIABLE}
    with load(2 * cpu_count()):
        chosen, given = (
            subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
            for variables in (unset, unset | {threads.VARIABLE: "2"})
        )
    assert chosen.stdout == "1\n"
    assert f"1 of {cpu_count()} processors is free" in chosen.stderr
    assert (given.stdout, given.stderr) == ("2\n", "")
