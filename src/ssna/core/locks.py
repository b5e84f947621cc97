"""Locks between processes. The system releases them when their process ends, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

POLL_SECONDS = 0.01


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Whether this process alone holds the lock file ``path``, until the block ends. It does not wait.

    The file is made if need be and stays, for whoever locks it next. Its content does not matter.

    Raises:
        OSError: the file cannot be made.
    """
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def wait_for_lock(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` until the block ends; as :func:`try_lock`, but wait until it is free."""
    with FileLock(path).acquire(poll_interval=POLL_SECONDS):
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock file ``path``. Asking makes no file."""
    if not path.exists():
        return False
    with try_lock(path) as free:
        return not free
