"""A split by time at moments that ``prepare`` is told."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from ssna.core.errors import DataError, SettingsError
from ssna.data import append, load, prepare
from ssna.data.subset import sample

pytestmark = pytest.mark.slow

DAYS = 10


def log(users=20):
    rows = [
        (f"u{user}", f"i{(user + day) % 12}", f"2024-01-{day + 1:02}", "T")
        for user in range(users)
        for day in range(DAYS)
    ]
    return pd.DataFrame(rows, columns=["user", "item", "time", "title"])


def at(valid, test, logs=None, **options):
    return prepare(
        log() if logs is None else logs, split="time", valid_from=valid, test_from=test, quiet=True, **options
    )


def test_validation_and_test_begin_where_they_are_told():
    data = at("2024-01-04", "2024-01-08")
    assert data.items.ids(data.train[0]) == ["i0", "i1", "i2"]
    for split, day in ((data.valid, 3), (data.test, 7)):
        assert data.items.ids(split.targets) == [f"i{(int(user[1:]) + day) % 12}" for user in data.users.external]
        assert (split.seen.lengths == day).all()
    assert data.manifest["moments"]["valid"]["date"] == "2024-01-04T00:00:00Z"
    assert "validation begins at 2024-01-04T00:00:00Z and the test at 2024-01-08" in data.manifest["rules"]["split"]


def test_they_may_be_written_as_any_moment_and_count_in_the_fingerprint():
    one = at("2024-01-04", "2024-01-08")
    assert at(dt.date(2024, 1, 4), dt.datetime(2024, 1, 8, tzinfo=dt.UTC)).fingerprint == one.fingerprint
    assert at(1_704_326_400, "1704672000").fingerprint == one.fingerprint
    others = [at("2024-01-05", "2024-01-08"), prepare(log(), split="time", quiet=True)]
    assert len({one.fingerprint, *(each.fingerprint for each in others)}) == 3
    default = prepare(log(), split="time", quiet=True).split_points.moments
    assert at(*default).fingerprint == others[1].fingerprint


def test_they_are_kept_with_the_data_and_hold_for_a_sample_and_for_logs_that_are_appended(tmp_path):
    data = at("2024-01-04", "2024-01-08", out=tmp_path / "data")
    assert load(tmp_path / "data").fingerprint == data.fingerprint
    some = sample(load(tmp_path / "data"), 10, np.random.default_rng(0))
    assert some.split_points.moments == data.split_points.moments
    late = log().assign(time="2024-02-01")
    both = append(tmp_path / "data", late, out=tmp_path / "both", quiet=True)
    assert both.split_points.moments == data.split_points.moments
    assert load(tmp_path / "both").fingerprint == both.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valid_from": "2024-01-04"}, "valid_from = '2024-01-04': it needs test_from, too"),
        ({"test_from": "2024-01-04"}, "test_from = '2024-01-04': it needs valid_from, too"),
        (
            {"valid_from": "2024-01-08", "test_from": "2024-01-08"},
            "valid_from = '2024-01-08' is not before test_from = '2024-01-08'; validation comes first",
        ),
        ({"valid_from": "soon", "test_from": "2024-01-08"}, "valid_from = 'soon': it is no time"),
        (
            {"split": "leave-one-out", "valid_from": "2024-01-04", "test_from": "2024-01-08"},
            "valid_from = '2024-01-04': it is for split = 'time'",
        ),
    ],
)
def test_moments_that_make_no_split_are_refused(options, message):
    with pytest.raises(SettingsError) as error:
        prepare(log(), quiet=True, **{"split": "time", **options})
    assert str(error.value).startswith(message)


def test_moments_that_nobody_has_events_around_are_named_with_the_remedy():
    with pytest.raises(DataError, match=r"no user has events both before and in test; .*other moments \(valid_from"):
        at("2024-01-04", "2025-01-01")
