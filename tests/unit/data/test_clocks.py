"""A day in one column and the time of day in another."""

import datetime as dt

import pytest
from data_files import ready, square, write_csv, write_json_lines

from ssna.core.errors import DataError
from ssna.data.sources.clocks import days_and_clock

COLUMNS = ("user", "item", "date", "time", "title")
START = dt.datetime(2024, 1, 25, 23, 50, tzinfo=dt.UTC)


def apart(day, clock):
    for place, (user, item, _, title) in enumerate(square()):
        moment = START + dt.timedelta(minutes=place * 25)
        yield user, item, moment.strftime(day), moment.strftime(clock), title


def whole():
    for place, (user, item, _, title) in enumerate(square()):
        yield user, item, int(START.timestamp()) + place * 1_500, title


def rows(**columns):
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def found(sample, *names):
    days, clock = days_and_clock(sample, names)
    return days, None if clock is None else clock.name


def test_a_clock_stands_beside_days_and_beside_nothing_else():
    days, clocks, moments = ["2024-01-01"] * 3, ["9:05", "23:59:59.5", "7:15 PM"], ["2024-01-01 10:00"] * 3
    assert found(rows(time=clocks, date=days), "time", "date") == (("date",), "time")
    assert found(rows(time=clocks, created_at=moments), "time", "created_at") == (("created_at",), None)
    assert found(rows(ts=[1_700_000_000] * 3, time=clocks), "ts", "time") == (("ts",), None)
    assert found(rows(date=["20240101"] * 3, time=clocks), "time", "date") == (("date",), "time")
    assert found(rows(time=clocks), "time") == (("time",), None)
    assert found(rows(date=days), "date") == (("date",), None)
    assert found(rows(date=days, time=["25:00"] * 3), "time", "date") == (("time", "date"), None)
    assert found([], "time", "date") == (("time", "date"), None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("day", "clock"), [("%Y-%m-%d", "%H:%M:%S"), ("%d/%m/%Y", "%I:%M %p"), ("%Y%m%d", "%H:%M"), ("%d.%m.%Y", "%H:%M")]
)
@pytest.mark.parametrize("write", [write_csv, write_json_lines])
def test_day_and_time_of_day_are_one_moment(tmp_path, write, day, clock):
    expected = ready(write_csv(tmp_path / "whole.csv", whole()))
    data = ready(write(tmp_path / f"log.{'csv' if write is write_csv else 'jsonl'}", apart(day, clock), COLUMNS))
    assert data.fingerprint == expected.fingerprint
    assert data.manifest["source"]["columns"]["time"] == "date and time"


@pytest.mark.slow
def test_a_day_without_a_time_of_day_is_its_midnight_and_a_time_without_a_day_is_none(tmp_path):
    kept = list(apart("%Y-%m-%d", "%H:%M"))
    path = write_csv(tmp_path / "log.csv", [("u0", "i0", "2024-01-02", "", "Title 0"), *kept], COLUMNS)
    assert ready(path).manifest["period"]["first"] == "2024-01-02T00:00:00Z"
    path = write_csv(tmp_path / "log.csv", [("u0", "i0", "", "10:00", "Title 0"), *kept], COLUMNS)
    assert ready(path).manifest["dropped"]["no_time"] == 1


@pytest.mark.slow
def test_a_column_of_times_that_is_named_is_read_alone(tmp_path):
    path = write_csv(tmp_path / "log.csv", apart("%Y-%m-%d", "%H:%M"), COLUMNS)
    assert ready(path, time_col="date").manifest["period"]["first"] == "2024-01-25T00:00:00Z"
    with pytest.raises(DataError, match=r"time column time: '0[0-9]:[0-9]5' cannot be read"):
        ready(path, time_col="time")
    bad = write_csv(tmp_path / "bad.csv", [(*row[:2], "soon", row[3], row[4]) for row in apart("", "%H:%M")], COLUMNS)
    with pytest.raises(DataError, match=r"time column .*: 'soon.*' cannot be read"):
        ready(bad)
