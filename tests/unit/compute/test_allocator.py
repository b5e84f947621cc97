import ctypes
import gc
from types import SimpleNamespace

import pytest

from ssna.compute.allocator import tune_allocator

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def nothing_is_frozen():
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_objects_from_before_are_frozen_for_the_garbage_collector_inside_only():
    with tune_allocator():
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() == 0


def test_the_garbage_collector_is_unfrozen_after_a_failure():
    with pytest.raises(ValueError, match="broken"), tune_allocator():
        raise ValueError("broken")
    assert gc.get_freeze_count() == 0


def test_what_was_frozen_before_stays_frozen_after():
    gc.freeze()
    with tune_allocator(), tune_allocator():
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() > 1000


def test_malloc_is_told_to_keep_freed_memory_and_to_map_only_large_blocks(monkeypatch):
    options = {}
    library = SimpleNamespace(mallopt=lambda option, value: options.update({option: value}))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    with tune_allocator():
        assert options == {-1: 2**31 - 1, -3: 32 * 2**20}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h


def test_a_c_library_without_mallopt_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    with tune_allocator():
        assert gc.get_freeze_count() > 1000
