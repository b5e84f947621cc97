import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ssna.compute import blocks
from ssna.compute.blocks import appended, block_of, give_back, per_row, placed


@pytest.fixture(autouse=True)
def few_spare_rows(monkeypatch):
    monkeypatch.setattr(blocks, "LEAST_SPARE", 4)
    monkeypatch.setattr(blocks, "SPARE", 0.0)


def rows(count: int, start: int = 0) -> torch.Tensor:
    return torch.arange(3 * start, 3 * (start + count), dtype=torch.float32).view(count, 3)


def test_rows_are_appended_in_place_and_an_earlier_array_stays_as_it_was():
    first = placed(rows(5))
    more = appended(first, rows(2, 5))
    most = appended(more, rows(1, 7))
    assert first.data_ptr() == more.data_ptr() == most.data_ptr()
    for array, count in ((first, 5), (more, 7), (most, 8)):
        torch.testing.assert_close(array, rows(count), rtol=0, atol=0)


def test_a_block_that_is_full_is_left_for_a_longer_one_with_spare_rows_again():
    first = placed(rows(5))
    more = appended(first, rows(6, 5))
    assert more.data_ptr() != first.data_ptr()
    torch.testing.assert_close(more, rows(11), rtol=0, atol=0)
    assert appended(more, rows(2, 11)).data_ptr() == more.data_ptr()


def test_of_two_that_append_to_the_same_rows_the_second_gets_a_copy():
    first = placed(rows(5))
    one, other = appended(first, rows(1, 5)), appended(first, rows(1, 50))
    assert one.data_ptr() == first.data_ptr() != other.data_ptr()
    torch.testing.assert_close(one, rows(6), rtol=0, atol=0)
    torch.testing.assert_close(other, torch.cat([rows(5), rows(1, 50)]), rtol=0, atol=0)


def test_rows_that_are_given_back_are_taken_by_the_next_and_worked_out_anew():
    first = placed(rows(5))
    gone = appended(first, rows(2, 50))
    per_row("double", gone, lambda part: 2 * part)
    give_back(first)
    again = appended(first, rows(2, 5))
    assert again.data_ptr() == first.data_ptr()
    torch.testing.assert_close(per_row("double", again, lambda part: 2 * part), 2 * rows(7), rtol=0, atol=0)


def test_an_array_elsewhere_is_appended_to_by_a_copy():
    plain = rows(5)
    assert block_of(plain) is None
    torch.testing.assert_close(appended(plain, rows(2, 5)), rows(7), rtol=0, atol=0)


def test_of_rows_in_a_block_each_is_worked_out_once(monkeypatch):
    monkeypatch.setattr(blocks, "AT_ONCE", 2)
    seen = []

    def double(part):
        seen.append(len(part))
        return 2 * part

    first = placed(rows(5))
    short = per_row("double", first, double)
    more = appended(first, rows(2, 5))
    torch.testing.assert_close(per_row("double", more, double), 2 * rows(7), rtol=0, atol=0)
    torch.testing.assert_close(short, 2 * rows(5), rtol=0, atol=0)
    per_row("double", first, double)
    assert sum(seen) == 7
    per_row("double", rows(4), double)
    assert sum(seen) == 11


def test_memory_and_its_descriptor_go_with_the_last_tensor():
    def descriptors():
        return {path.name for path in Path("/proc/self/fd").iterdir()}

    before = descriptors()
    some = [placed(rows(5)) for _ in range(10)]
    part = some[0][1:]
    assert len(descriptors()) >= len(before) + 10
    some.clear()
    gc.collect()
    torch.testing.assert_close(part, rows(5)[1:], rtol=0, atol=0)
    del part
    gc.collect()
    assert descriptors() == before


CHILD = """
import sys, torch
from ssna.compute.blocks import Block
block = Block.map(int(sys.argv[1]), int(sys.argv[2]), 0)
print(block.tensor(torch.float32, (7, 3)).sum().item())
"""


@pytest.mark.slow
@pytest.mark.fork
@pytest.mark.parametrize("memfd", [True, False])
def test_another_process_sees_what_was_appended(memfd, monkeypatch):
    if not memfd:
        monkeypatch.delattr(os, "memfd_create")
    first = placed(rows(5))
    block = block_of(first)
    appended(first, rows(2, 5))
    words = [sys.executable, "-c", CHILD, str(block.descriptor), str(len(block))]
    found = subprocess.run(words, capture_output=True, text=True, pass_fds=(block.descriptor,), timeout=60)
    assert float(found.stdout) == float(rows(7).sum()), found.stderr
