"""Which of the processes that torchrun started this one is; it costs no import of torch."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """Place among the processes of one run.

    Attributes:
        rank: from 0, over all machines. Process 0 speaks and writes for all.
        count: how many there are; 1 without torchrun.
        local: place on this machine, from 0: also the number of its GPU.
    """

    rank: int
    world_size: int
    local_rank: int


def launch() -> Launch:
    """As torchrun says; variables that a cluster sets for other ends are not looked at."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Launch(0, 1, 0)
    return Launch(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
