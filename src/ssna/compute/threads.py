"""In how many threads to compute: in as many as processors are free.

Threads that wait for each other at every step are as fast as the slowest. Where others compute, too, one of two threads
always waits for its processor, and both take longer than one alone.
"""

import os
import sys
from collections.abc import Callable
from threading import Lock

from ssna.compute.cpus import allowed_cpus, core_count, cpu_count, free_cpus

VARIABLE = "OMP_NUM_THREADS"
SPINS = 1000  # some microseconds, as long as the kernel takes to wake a thread; 300,000 without a word from us

_chosen: int | None = None
_by_us = False
_one_at_a_time = Lock()


def choose_threads(say: Callable[[str], object] | None = None) -> int:
    """Once for each process: PyTorch computes in as many threads as processors are free now. ``OMP_NUM_THREADS`` and
    ``torch.set_num_threads`` go before.

    Args:
        say: gets a line where some are not free; standard error without.

    Returns:
        How many threads that were.
    """
    global _chosen
    with _one_at_a_time:
        if _chosen is None:
            _chosen = _choose(say or _tell)
        return _chosen


def _tell(line: str) -> None:
    print(f"ssna: {line}", file=sys.stderr, flush=True)


def _choose(say: Callable[[str], object]) -> int:
    global _by_us
    import torch

    usual = torch.get_num_threads()
    if given() or usual == 1 or usual not in (len(allowed_cpus()), core_count()):  # what PyTorch begins with
        return usual
    _by_us = True
    count, free = cpu_count(), free_cpus()
    chosen = min(free, usual)
    torch.set_num_threads(chosen)
    if chosen < min(count, usual):
        threads, are = ("1 thread" if chosen == 1 else f"{chosen} threads"), "is" if free == 1 else "are"
        say(f"computing in {threads}, as {free} of {count} processors {are} free; {VARIABLE} sets another number")
    return chosen


def go_on_in(threads: int) -> None:
    """Work was begun in so many: sums in others round otherwise. Nothing where somebody else has said how many."""
    import torch

    choose_threads()
    if _by_us:
        torch.set_num_threads(max(1, min(threads, cpu_count())))


def given() -> bool:
    """Whether somebody has said in how many threads to compute."""
    return VARIABLE in os.environ


def shorten_waiting() -> None:
    """Threads of GNU OpenMP that wait for each other soon sleep, and burn no processor that others need.

    To be called where PyTorch is not imported yet, in a process of ours. Who has set how threads wait goes before.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
