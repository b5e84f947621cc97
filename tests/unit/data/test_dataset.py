import numpy as np
import pytest

from ssna.core.errors import DataError
from ssna.data import Dataset, Histories, IdMap


def dataset(rows=((1, 2, 3, 1), (3, 2, 1)), texts=("", "a", "b", "c"), max_history=50, users=("u", "v"), items="xyz"):
    lengths = [len(row) for row in rows]
    return Dataset(
        users=IdMap(users),
        items=IdMap(tuple(items)),
        texts=texts,
        histories=Histories(
            items=np.concatenate([np.array(row, np.int32) for row in rows]),
            times=None,
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
        ),
        max_history=max_history,
    )


def rows(ragged):
    return [row.tolist() for row in ragged]


def test_the_last_event_is_the_test_target_and_the_one_before_the_validation_target():
    data = dataset()
    assert (data.test.targets.tolist(), data.valid.targets.tolist()) == ([1, 1], [3, 2])


def test_the_test_history_holds_the_validation_item_and_training_neither():
    data = dataset()
    assert rows(data.test.histories) == [[1, 2, 3], [3, 2]]
    assert rows(data.valid.histories) == [[1, 2], [3]]
    assert rows(data.train) == [[1, 2], [3]]


def test_views_keep_the_latest_items_while_seen_items_stay_whole():
    data = dataset(max_history=2)
    assert rows(data.test.histories) == [[2, 3], [3, 2]]
    assert rows(data.test.seen) == [[1, 2, 3], [3, 2]]


def test_interactions_used_counts_the_target_and_what_the_view_holds():
    assert dataset(max_history=2).interactions_used == 3 + 3


def test_a_split_is_found_by_its_name():
    data = dataset()
    assert data.split("test") is data.test
    assert data.split("valid") is data.valid


@pytest.mark.parametrize(
    "change",
    [
        {"rows": ((1, 2, 3, 2), (3, 2, 1))},
        {"rows": ((1, 2, 3), (1, 3, 2, 1))},
        {"texts": ("", "ab", "", "c")},
        {"max_history": 49},
        {"users": ("u", "w")},
        {"items": "xyw"},
    ],
)
def test_the_fingerprint_changes_with_everything_that_figures_depend_on(change):
    assert dataset(**change).fingerprint != dataset().fingerprint


def test_the_fingerprint_does_not_confuse_where_one_text_ends():
    assert dataset(texts=("", "ab", "c", "d")).fingerprint != dataset(texts=("", "a", "bc", "d")).fingerprint


def test_the_fingerprint_of_a_data_set_stays_what_it_was():
    assert dataset().fingerprint == "5d9aee767339b48a"
    assert dataset(texts=("", "plain", "größer", "語"), users=("u", "é")).fingerprint == "8b17b921b769e875"


def test_equal_data_sets_have_equal_fingerprints():
    assert dataset().fingerprint == dataset().fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": ((1, 2), (3, 2, 1))}, "fewer than 3 events"),
        ({"rows": ((1, 2, 4), (3, 2, 1))}, "not in the catalogue"),
        ({"rows": ((1, 2, 0), (3, 2, 1))}, "row 0"),
        ({"rows": ((1, 2, 3),)}, "one history a user"),
        ({"texts": ("", "a", "b")}, "one text an item"),
        ({"max_history": 0}, "max_history"),
        ({"users": ("u", "u")}, "twice"),
        ({"users": ("u", "")}, "empty"),
    ],
)
def test_what_does_not_fit_together_is_refused_at_birth(change, message):
    with pytest.raises(DataError, match=message):
        dataset(**change)


def test_ids_become_rows_from_one_on_and_unknown_ones_zero():
    ids = IdMap(("a", "b"))
    assert ids.rows(["b", "nobody", "a"]).tolist() == [2, 0, 1]
    assert ids.ids([2, 1]) == ["b", "a"]
    assert "a" in ids
    assert "c" not in ids
