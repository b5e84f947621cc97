import ctypes
import gc
from types import SimpleNamespace

import pytest

from ssna.compute.allocator import tune_allocator


def test_what_lives_before_is_out_of_the_collectors_sight_inside_only():
    with tune_allocator():
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() == 0


def test_the_collector_sees_everything_again_after_a_failure():
    with pytest.raises(ValueError, match="broken"), tune_allocator():
        raise ValueError("broken")
    assert gc.get_freeze_count() == 0


def test_the_c_library_is_asked_to_keep_freed_memory_and_to_fetch_only_large_blocks_alone(monkeypatch):
    asked = {}
    library = SimpleNamespace(mallopt=lambda option, value: asked.update({option: value}))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    with tune_allocator():
        assert asked == {-1: 2**31 - 1, -3: 32 * 2**20}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h


def test_a_c_library_without_mallopt_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    with tune_allocator():
        assert gc.get_freeze_count() > 1000
