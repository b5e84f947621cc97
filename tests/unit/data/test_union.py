import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssna.core.errors import DataError
from ssna.data import Dataset, Histories, IdMap, load, save, union
from ssna.data.holdout import holdout_items


def made(histories: list[list[int]], items: int, max_history: int = 50, times: bool = False, **fields) -> Dataset:
    values = np.array([item for history in histories for item in history], dtype=np.int32)
    return Dataset(
        users=IdMap(tuple(f"u{number}" for number in range(len(histories)))),
        items=IdMap(tuple(f"i{number}" for number in range(1, items + 1))),
        texts=("", *(f"text {number}" for number in range(1, items + 1))),
        histories=Histories(
            values,
            np.concatenate([np.arange(len(each)) for each in histories]).astype(np.int64) if times else None,
            np.cumsum([0, *map(len, histories)]).astype(np.int64),
        ),
        max_history=max_history,
        **fields,
    )


ONE = made([[1, 2, 3], [3, 2, 1, 1]], 3)
TWO = made([[2, 1, 4, 4]], 5)


def test_ids_carry_the_name_of_their_data_set_and_everything_else_is_side_by_side():
    both = union({"one": ONE, "two": TWO})
    assert both.users.external == ("one/u0", "one/u1", "two/u0")
    assert both.items.external == ("one/i1", "one/i2", "one/i3", "two/i1", "two/i2", "two/i3", "two/i4", "two/i5")
    assert both.texts == (*ONE.texts, *TWO.texts[1:])
    assert [list(row) for row in both.histories.ragged] == [[1, 2, 3], [3, 2, 1, 1], [5, 4, 7, 7]]
    assert both.manifest["union_of"] == {"one": ONE.fingerprint, "two": TWO.fingerprint}


histories = st.lists(st.lists(st.integers(1, 6), min_size=3, max_size=6), min_size=1, max_size=5)


@given(st.tuples(histories, histories, histories))
def test_every_view_is_those_of_the_parts_one_after_the_other(parts):
    sets = {name: made(part, 6) for name, part in zip("abc", parts, strict=True)}
    joined = union(sets)
    for name in ("valid", "test"):
        expected = [each.split(name) for each in sets.values()]
        shifts = [0, 6, 12]
        targets = [split.targets + shift for split, shift in zip(expected, shifts, strict=True)]
        assert joined.split(name).targets.tolist() == np.concatenate(targets).tolist()
        seen = [list(row + shift) for split, shift in zip(expected, shifts, strict=True) for row in split.seen]
        assert [list(row) for row in joined.split(name).seen] == seen


def test_it_is_kept_and_loaded_as_any_data_set(tmp_path):
    both = union({"one": ONE, "two": TWO})
    save(both, tmp_path / "both")
    assert load(tmp_path / "both").fingerprint == both.fingerprint


def test_times_are_kept_only_if_all_have_them():
    timed = made([[1, 2, 3]], 3, times=True)
    assert union({"a": timed, "b": timed}).histories.times.tolist() == [0, 1, 2, 0, 1, 2]
    assert union({"a": timed, "b": ONE}).histories.times is None


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({}, "at least one"),
        ({"": ONE}, "a name for each"),
        ({"a": ONE, "b": made([[1, 2, 3]], 3, max_history=9)}, "max_history is 50 in a and 9 in b"),
        ({"a": made([[1, 2] * 20] * 9, 2, times=True, protocol="time")} | {"b": ONE}, "split is time in a"),
        ({name: made([[1, 2] * 20] * 9, 2, times=True, protocol="time") for name in "ab"}, "a is split by time"),
        (
            {"a": ONE, "b": holdout_items(made([[1, 2, 3, 4, 5, 6]] * 9, 6), 0.3, np.random.default_rng(0))[0]},
            "b has items held out",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused_by_name(sets, message):
    with pytest.raises(DataError, match=message):
        union(sets)
