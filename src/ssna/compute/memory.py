"""How much memory a run needed, above what was loaded before it."""

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class MemoryMeter:
    """Started before a run; :attr:`peak` afterwards.

    On a GPU: the device memory that torch held at most. On a CPU: the process's resident memory at most, above what
    it held at the start (on Linux; elsewhere the process's peak stands in for it, which only the first run of a
    process raises).
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        gc.collect()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        if sys.platform == "linux":
            with suppress(OSError, AttributeError):
                ctypes.CDLL("libc.so.6").malloc_trim(0)  # what earlier runs freed must not hide what this one takes
            with suppress(OSError):
                CLEAR.write_text("5")  # the kernel forgets the peak
        self.baseline = _resident("VmRSS")

    @property
    def peak(self) -> int:
        """Bytes."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return max(_resident("VmHWM") - self.baseline, 0)


def _resident(field: str) -> int:
    try:
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
