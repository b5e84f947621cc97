import sys

import pytest
import torch

from ssna.compute.memory import MemoryMeter

CPU, MB = torch.device("cpu"), 2**20

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")]


def held(megabytes: int) -> torch.Tensor:
    return torch.ones(megabytes * MB // 4)


def test_the_peak_holds_what_was_taken_and_given_back():
    meter = MemoryMeter(CPU)
    held(300)
    assert 290 * MB <= meter.peak < 360 * MB


def test_what_was_held_before_does_not_count():
    before = held(200)
    meter = MemoryMeter(CPU)
    assert meter.peak < 30 * MB
    assert before[0] == 1


def test_an_earlier_peak_is_forgotten_and_what_it_freed_hides_nothing():
    held(400)
    meter = MemoryMeter(CPU)
    held(100)
    assert 90 * MB <= meter.peak < 160 * MB


def test_many_small_pieces_count_too():
    [torch.ones(1000) for _ in range(50_000)]  # taken from the heap, which keeps what is freed
    meter = MemoryMeter(CPU)
    pieces = [torch.ones(1000) for _ in range(50_000)]
    assert meter.peak > 0.8 * 4 * 1000 * len(pieces)
