import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssna.core.ragged import Ragged, evenly_spaced

ROWS = [[5, 6, 7], [], [8], [9, 10]]
row_lists = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=6)


def lists(ragged: Ragged) -> list[list[int]]:
    return [row.tolist() for row in ragged]


@given(row_lists)
def test_packed_rows_are_the_rows_given(rows):
    assert lists(Ragged.from_rows(rows)) == rows


def test_rows_are_found_by_number():
    assert Ragged.from_rows(ROWS)[3].tolist() == [9, 10]


def test_lengths_count_the_values_of_each_row():
    assert Ragged.from_rows(ROWS).lengths.tolist() == [3, 0, 1, 2]


def test_every_value_knows_its_row():
    assert Ragged.from_rows(ROWS).row_of_value.tolist() == [0, 0, 0, 2, 3, 3]


def test_every_value_knows_its_place_in_its_row():
    assert Ragged.from_rows(ROWS).position_of_value.tolist() == [0, 1, 2, 0, 0, 1]


@given(row_lists, st.integers(0, 8))
def test_last_keeps_the_end_of_each_row(rows, count):
    assert lists(Ragged.from_rows(rows).last(count)) == [row[max(len(row) - count, 0) :] for row in rows]


@given(row_lists, st.data())
def test_cut_keeps_the_stretch_asked_for_of_each_row(rows, data):
    bounds = [sorted(data.draw(st.tuples(*[st.integers(0, len(row))] * 2))) for row in rows]
    start, stop = np.array(bounds, dtype=np.int64).reshape(-1, 2).T
    expected = [row[a:b] for row, (a, b) in zip(rows, bounds, strict=True)]
    assert lists(Ragged.from_rows(rows).cut(start, stop)) == expected


@given(row_lists.filter(len), st.data())
def test_take_gives_the_rows_named_in_the_order_named(rows, data):
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    taken = Ragged.from_rows(rows).take(np.array(chosen, dtype=np.int64))
    assert lists(taken) == [rows[row] for row in chosen]


@given(row_lists, st.integers(0, 7), st.integers(0, 7))
def test_take_understands_slices(rows, start, stop):
    assert lists(Ragged.from_rows(rows).take(slice(start, stop))) == rows[start:stop]


@pytest.mark.parametrize(
    ("values", "offsets"),
    [
        ([1, 2], [0, 1]),
        ([1, 2], [1, 2]),
        ([1, 2], [0, 2, 1, 2]),
        ([1, 2], []),
        ([[1, 2]], [0, 2]),
    ],
    ids=["values left over", "not from zero", "falling", "no offsets", "two dimensions"],
)
def test_offsets_that_do_not_fit_the_values_are_refused(values, offsets):
    with pytest.raises(ValueError, match="offsets"):
        Ragged(np.array(values), np.array(offsets, dtype=np.int64))


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_evenly_spaced_rows_rise_within_all_rows_at_like_distances(sizes):
    n, k = sizes
    rows = evenly_spaced(n, k)
    assert len(rows) == k
    assert rows[0] == 0
    assert k == 1 or rows[-1] == n - 1
    distances = np.diff(rows)
    assert (distances >= 1).all()
    assert k < 3 or distances.max() - distances.min() <= 1


def test_evenly_spaced_rows_are_all_rows_where_as_many_are_asked_for():
    assert evenly_spaced(7, 7).tolist() == list(range(7))
