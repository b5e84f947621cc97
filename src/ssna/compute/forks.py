"""Forked processes that compute: GNU OpenMP has no threads left in them, and waits for these forever."""

import os
import sys
from functools import cache

HARD = 2  # of omp_pause_resource_t: also the memory of the threads is given back

_released = False  # by the parent, right before the fork that is under way


@cache
def make_forks_safe() -> None:
    """From now on a forked process may compute, whatever this one computed before: with as many threads.

    A fork copies one thread. GNU OpenMP, which PyTorch brings along, believes in the child that all are there, and
    the first sum of many terms never ends. So its idle threads end before each fork, and both sides start new ones when
    they need them. A process that was forked by other means than ``os.fork`` computes in one thread.
    """
    os.register_at_fork(
        before=lambda: _before(), after_in_parent=lambda: _in_parent(), after_in_child=lambda: _in_child()
    )


def lost_the_gpu() -> bool:
    """Whether this process was forked from one that used a GPU: CUDA does not work in it, and what lies there is out of
    reach."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda._is_in_bad_fork())


def _before() -> None:
    global _released
    _released = _release_threads()


def _in_parent() -> None:
    global _released
    _released = False


def _in_child() -> None:
    global _released
    if not _released and (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    _released = False


def _release_threads() -> bool:
    """End the idle threads of the thread that forks. False where a library cannot."""
    from threadpoolctl import ThreadpoolController

    try:
        found = [each.dynlib for each in ThreadpoolController().lib_controllers if each.prefix == "libgomp"]
        return all(library.omp_pause_resource_all(HARD) == 0 for library in found)
    except AttributeError:  # of before OpenMP 5
        return False
