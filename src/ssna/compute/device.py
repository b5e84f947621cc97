"""Where to compute."""

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

from ssna.compute.forks import lost_the_gpu
from ssna.compute.launch import launch
from ssna.compute.threads import choose_threads
from ssna.core.errors import SettingsError


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one that this process can use. Of several processes, ``auto`` and ``cuda`` give
    each a GPU of its own. What computes on the CPU does so in as many threads as :func:`choose_threads` finds.

    Raises:
        SettingsError: there is no such device.
    """
    found = "cuda" if torch.cuda.is_available() and not lost_the_gpu() else "cpu"
    place = found if name == "auto" else name
    if place == "cpu":
        choose_threads()
    if place == "cuda" and launch().world_size > 1:
        place = f"cuda:{launch().local_rank}"
    elif name == "auto":
        return torch.device(found)
    try:
        return torch.empty(0, device=place).device
    except (RuntimeError, AssertionError, ValueError):
        raise SettingsError(f"there is no device {place} here; {_remedy(name)}") from None


@cache
def multiplies_bf16() -> bool:
    """Whether this processor has instructions for products of bf16; without, they are slower than those of fp32."""
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def free_memory(device: torch.device) -> float:
    """Bytes that this process can take for what goes to ``device`` by way of the machine's memory; infinite where the
    system does not say. Several processes share what the machine has."""
    free = float("inf")
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = 1024.0 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    if free == float("inf") and hasattr(os, "sysconf"):
        with suppress(OSError, ValueError):  # no such name: half of what there is at all
            free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    free /= launch().world_size
    if device.type != "cuda":
        return free
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # of what earlier runs gave back
    return min(free, float(torch.cuda.mem_get_info(device)[0] + kept))


def _remedy(name: str) -> str:
    return "start no more processes than there are GPUs" if launch().world_size > 1 else "`auto` takes what there is"
