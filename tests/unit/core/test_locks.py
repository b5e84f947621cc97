import os
import signal
from pathlib import Path

import pytest

from ssna.core.locks import is_locked, try_lock, wait_for_lock

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def child_that_holds(path: Path) -> int:
    """A process that holds the lock until it is killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with wait_for_lock(path):
            os.write(writing, b"1")
            signal.pause()
    assert os.read(reading, 1) == b"1"
    return child


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_lock_that_is_free_is_taken_and_given_back(path):
    for _ in range(2):
        with try_lock(path) as mine:
            assert mine
            assert is_locked(path)
        assert not is_locked(path)


def test_a_lock_is_held_by_one_alone_and_the_other_does_not_wait(path):
    with try_lock(path) as first, try_lock(path) as second:
        assert (first, second) == (True, False)


def test_who_was_refused_does_not_release_the_lock(path):
    with try_lock(path):
        with try_lock(path):
            pass
        assert is_locked(path)


def test_a_lock_of_a_process_that_is_killed_is_free(path):
    child = child_that_holds(path)
    with try_lock(path) as mine:
        assert not mine
    end(child)
    with try_lock(path) as mine:
        assert mine


def test_who_waits_gets_the_lock_when_its_holder_ends(path):
    child = child_that_holds(path)
    waiter = os.fork()
    if waiter == 0:
        with wait_for_lock(path):
            os._exit(0)
    assert os.waitpid(waiter, os.WNOHANG) == (0, 0)
    end(child)
    assert os.waitpid(waiter, 0)[1] == 0


def test_an_error_in_the_block_releases_the_lock(path):
    with pytest.raises(ValueError, match="mine"), try_lock(path):
        raise ValueError("mine")
    assert not is_locked(path)


def test_asking_whether_a_lock_is_held_makes_no_file(path):
    assert not is_locked(path)
    assert not path.exists()


def test_a_lock_leaves_the_content_of_the_folder_alone(path):
    (path.parent / "other").write_text("mine")
    with try_lock(path):
        pass
    assert (path.parent / "other").read_text() == "mine"
