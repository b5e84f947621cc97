"""Histories of any length, worked through block by block, are those of one block."""

from hashlib import md5
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soak import examples
from ssna.data import moments
from ssna.data.engine import open_engine
from ssna.data.ids import encode_ids, read_ids
from ssna.data.moments import blocks
from ssna.data.packing import pack
from ssna.data.sources import ITEM, USER, WHEN

pytestmark = pytest.mark.slow

rows = st.tuples(st.sampled_from("abcd"), st.sampled_from("uvwx"), st.integers(0, 3))


@pytest.fixture(scope="module")
def engine():
    with open_engine() as engine:
        yield engine


def packed(engine, log, block, monkeypatch):
    monkeypatch.setattr(moments, "_BLOCK", block)
    columns = zip(*log, strict=True)
    table = engine.import_arrow(pa.table(dict(zip((USER, ITEM, WHEN), map(list, columns), strict=True))))
    users, items = (read_ids(engine, table, key, typed=True) for key in (USER, ITEM))
    batches = type(engine).batches  # in reality of a million rows

    def small(expression):
        return (batch.slice(at, 2) for batch in batches(engine, expression) for at in range(0, len(batch), 2))

    monkeypatch.setattr(engine, "batches", small)
    return pack(engine, encode_ids(table, users, items, None), len(log), users, items, timed=True, predefined=False)


@settings(max_examples=examples(3), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows, min_size=1, max_size=40))
def test_histories_follow_time_and_the_digest_whatever_the_size_of_a_block(engine, monkeypatch, log):
    def place(row):
        return row[0], row[2], md5(f"{row[0]}\x1f{row[1]}".encode()).hexdigest()

    expected: dict[str, list[str]] = {}
    for user, item, _ in sorted(log, key=place):
        expected.setdefault(user, []).append(item)
    whole = packed(engine, log, 1_000, monkeypatch)
    for found in (whole, packed(engine, log, 3, monkeypatch)):
        histories = zip(found.users, found.histories.ragged, strict=True)
        assert {user: [found.items[item - 1] for item in row] for user, row in histories} == expected
        assert found.same_time == whole.same_time


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 20))
def test_blocks_hold_every_history_once_and_whole(lengths, size):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "_BLOCK", size)
        found = list(blocks(offsets))
    assert [pair for block in found for pair in pairwise(block.tolist())] == list(pairwise(offsets.tolist()))
    assert all(block[-1] - block[0] <= size or len(block) == 2 for block in found)
