"""What a loop that makes and drops the same tensors at every step asks of the C library and of Python."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
_LARGEST_BLOCK = 32 << 20  # bytes; glibc takes no more: larger blocks come from the system every time


@contextmanager
def tune_allocator() -> Iterator[None]:
    """Inside, memory that a step frees serves the next one, and the collector looks at new objects only.

    Left alone, glibc hands megabytes back at every step and gets them again page by page, and Python's collector goes
    through all that was ever imported. The first lasts as long as the process: it then holds what it once needed.
    Where the C library is another one, only the second happens. What was frozen for the collector before stays so.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    freeze = not gc.get_freeze_count()  # there is no unfreezing of a part
    if freeze:
        gc.collect()
        gc.freeze()
    try:
        yield
    finally:
        if freeze:
            gc.unfreeze()


def trim_heap() -> None:
    """Give the system back what is free, in spite of :func:`tune_allocator`; for now, and where glibc is."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
