"""The split by time, by hand: eleven events at seconds 0 to 9; validation begins at 8 and the test at 9."""

import json

import numpy as np
import pytest
from data_files import timed

from ssna.core.errors import DataError
from ssna.data import load, save
from ssna.data.holdout import holdout_items

# u0 is asked twice, u1 in validation only, u2 (who has no training event but one) in the test only, u3 never.
LOG = (
    [(1, 0), (2, 1), (3, 8), (5, 9)],
    [(2, 2), (1, 3), (4, 4), (1, 8)],
    [(4, 5), (3, 9)],
    [(2, 6)],
)


def rows(ragged):
    return [row.tolist() for row in ragged]


def test_training_is_what_came_before_validation_whoever_did_it():
    assert rows(timed([*LOG, [(2, 8)]]).train) == [[1, 2], [2, 1, 4], [4], [2], []]


def test_the_target_is_the_first_event_from_the_cut_on_and_the_history_all_before_the_cut():
    data = timed(LOG)
    assert data.split_points.moments == (8, 9)
    assert (data.valid.users.tolist(), data.valid.targets.tolist()) == ([0, 1], [3, 1])
    assert rows(data.valid.seen) == [[1, 2], [2, 1, 4]]
    assert (data.test.users.tolist(), data.test.targets.tolist()) == ([0, 2], [5, 3])
    assert rows(data.test.seen) == [[1, 2, 3], [4]]


def test_a_second_event_in_the_window_is_nobodys_target_but_enters_the_test_history():
    data = timed([[(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (2, 8), (3, 8), (4, 9), (5, 10)]])
    assert data.split_points.moments == (8, 9)  # of twelve stamps those at places 9 and 10
    assert (data.valid.targets.tolist(), data.test.targets.tolist()) == ([2], [4])
    assert data.test.seen[0].tolist()[-2:] == [2, 3]


def test_events_of_one_second_never_straddle_a_cut():
    data = timed([[(1, 0), (2, 1), (3, 1), (4, 1), (1, 2), (1, 3)]])
    assert data.split_points.moments == (2, 3)
    data = timed([[(1, 0), (2, 1), (3, 2), (4, 2), (1, 2), (1, 3)]])
    assert data.split_points.moments == (2, 3)
    assert (rows(data.train), data.valid.targets.tolist(), rows(data.test.seen)) == ([[1, 2]], [3], [[1, 2, 3, 4, 1]])


def test_views_keep_the_latest_items_while_seen_items_stay_whole():
    data = timed(LOG, max_history=2)
    assert rows(data.test.histories) == [[2, 3], [4]]
    assert rows(data.test.seen) == [[1, 2, 3], [4]]


def test_interactions_used_counts_the_users_who_are_asked_only():
    assert timed(LOG, max_history=2).interactions_used == (1 + 2) + (1 + 1)


def test_targets_without_a_training_event_are_counted():
    assert timed(LOG).unseen_targets == 2  # items 5 and 3


def test_one_event_is_enough_for_a_user_by_time():
    assert len(timed(LOG).users) == 4
    with pytest.raises(DataError, match="fewer than 3 events"):
        timed(LOG, protocol="leave-one-out")


def test_the_fingerprint_knows_the_test_cut_too():
    early = [[(1, second) for second in range(15)], [(1, 0)]]
    one, other = (
        timed([[*row, *((2, second) for second in late)] for row, late in zip(early, lates, strict=True)])
        for lates in (((20, 22), (21, 23)), ((20, 21), (22, 23)))
    )
    assert (one.split_points.valid == other.split_points.valid).all()
    assert one.fingerprint != other.fingerprint


def test_the_fingerprint_tells_the_splits_apart_and_knows_where_rows_are_cut():
    longer = [[*row, (1, 10), (1, 11), (1, 12)] for row in LOG]
    assert timed(longer).fingerprint != timed(longer, protocol="leave-one-out").fingerprint
    moved = [LOG[0], [(2, 2), (1, 3), (4, 4), (1, 7)], *LOG[2:]]
    assert (timed(moved).histories.items == timed(LOG).histories.items).all()
    assert timed(moved).fingerprint != timed(LOG).fingerprint


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[(1, 0), (2, 1)], []], "missing or not in the order"),
        ([[(1, 1), (2, 0)], [(1, 5)]], "missing or not in the order"),
        ([[(1, 0), (2, 0), (3, 0)]], "before and in validation.*take split = 'leave-one-out'"),
        (
            [[(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)], [(2, 8), (2, 9)]],
            "split at 1970-01-01T00:00:08Z and .* in validation",
        ),
        ([[(1, t) for t in range(9)], [(2, 9)]], "before and in test.*take split = 'leave-one-out'"),
    ],
)
def test_what_cannot_be_split_is_refused_at_birth(rows, message):
    with pytest.raises(DataError, match=message):
        timed(rows)


def test_without_times_the_message_names_both_hints():
    data = timed(LOG)
    histories = type(data.histories)(data.histories.items, None, data.histories.offsets)
    with pytest.raises(DataError, match=r"no times.*time_col.*leave-one-out"):
        type(data)(data.users, data.items, data.texts, histories, 50, protocol="time")


def test_an_unknown_split_is_refused():
    with pytest.raises(DataError, match="'random' is not known; it must be one of leave-one-out, time"):
        timed(LOG, protocol="random")


def test_the_split_comes_back_from_the_disk_and_people_can_read_it(tmp_path):
    data = timed(LOG)
    save(data, tmp_path / "data")
    loaded = load(tmp_path / "data")
    assert (loaded.protocol, loaded.split_points.moments, loaded.fingerprint) == ("time", (8, 9), data.fingerprint)
    manifest = json.loads((tmp_path / "data/manifest.json").read_text())
    assert (manifest["split"], manifest["evaluation_users"], manifest["unseen_targets"]) == (
        "time",
        {"valid": 2, "test": 2},
        2,
    )
    assert manifest["moments"]["valid"] == {"seconds": 8, "date": "1970-01-01T00:00:08Z"}


@pytest.mark.parametrize(
    "changes", [{"split": "leave-one-out"}, {"split": "random"}, {"evaluation_users": {}}, {"moments": {}}]
)
def test_a_manifest_with_another_split_is_refused(tmp_path, changes):
    save(timed([[*row, (1, 10), (1, 11), (1, 12)] for row in LOG]), tmp_path / "data")
    path = tmp_path / "data/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(DataError, match="is damaged"):
        load(tmp_path / "data")


def test_items_are_not_held_out_of_a_split_by_time():
    with pytest.raises(DataError, match="leave-one-out only"):
        holdout_items(timed(LOG), 0.4, np.random.default_rng(0))
