"""A forked process computes, with as many threads as its parent had."""

import sys
import threading
from pathlib import Path

import pytest
import torch
from forked import answer_of

from ssna.compute import forks
from ssna.compute.device import choose_device
from ssna.compute.forks import lost_the_gpu, make_forks_safe

pytestmark = [
    pytest.mark.slow, pytest.mark.fork, pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, no GNU OpenMP")
]  # fmt: skip


@pytest.fixture(autouse=True)
def threads():
    make_forks_safe()
    torch.set_num_threads(2)
    compute()  # here, so that there are threads that the child will not have
    yield
    torch.set_num_threads(1)


def compute() -> int:
    """Threads of the process once it has added up more than one thread does alone."""
    assert torch.ones(1 << 20).exp().sum() > 0
    return len(list(Path("/proc/self/task").iterdir()))


def threads_of_two() -> list[int]:
    return [compute(), torch.get_num_threads()]


def test_a_fork_computes_in_as_many_threads():
    assert answer_of(threads_of_two) == [2, 2]


def test_a_fork_of_a_fork_computes():
    assert answer_of(lambda: [compute(), answer_of(threads_of_two)]) == [2, [2, 2]]


def test_the_parent_computes_on():
    answer_of(compute)
    assert compute() >= 2


def test_a_fork_from_another_thread_computes():
    found = []

    def fork() -> None:
        compute()
        found.append(answer_of(compute))

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    assert found == [2]


def test_where_the_library_keeps_its_threads_a_fork_computes_in_one(monkeypatch):
    monkeypatch.setattr(forks, "_release_threads", lambda: False)
    assert answer_of(threads_of_two) == [1, 1]


def test_a_process_that_was_forked_by_other_means_computes_in_one_thread(monkeypatch):
    monkeypatch.setattr(forks, "_before", lambda: None)
    assert answer_of(threads_of_two) == [1, 1]


def test_a_fork_of_what_used_a_gpu_takes_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (lost_the_gpu(), choose_device("auto").type) == (False, "cuda")
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    assert (lost_the_gpu(), choose_device("auto").type) == (True, "cpu")
