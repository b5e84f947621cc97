import datetime as dt
import os
import subprocess
import sys

import pyarrow as pa
import pytest

from ssna.data.engine import open_engine
from ssna.data.sources.values import as_id, as_microseconds, as_text

SECOND = 1_000_000


@pytest.fixture(scope="module")
def engine():
    with open_engine() as engine:
        yield engine


@pytest.fixture
def convert(engine):
    def convert(conversion, values, kind=None):
        table = engine.import_arrow(pa.table({"value": pa.array(values, kind)}))
        return table.select(value=conversion(table.value)).to_pyarrow()["value"].to_pylist()

    return convert


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1589000000", 1_589_000_000),
        ("1589000000.25", 1_589_000_000.25),
        ("1.589e9", 1_589_000_000),
        (" 12 ", 12),
        ("-86400", -86_400),
        ("1589000000123", 1_589_000_000.123),
        ("1589000000123456", 1_589_000_000.123456),
        ("1589000000123456000", 1_589_000_000.123456),
        ("99999999999", 99_999_999_999),
        ("100000000000", 100_000_000),
        ("99999999999000", 99_999_999_999),
        ("100000000000000", 100_000_000),
        ("99999999999000000", 99_999_999_999),
        ("100000000000000000", 100_000_000),
        ("2020-05-09", 1_588_982_400),
        ("2020-05-09 04:53:20", 1_589_000_000),
        ("2020-05-09T04:53:20.5", 1_589_000_000.5),
        ("2020-05-09T04:53:20Z", 1_589_000_000),
        ("2020-05-09T06:53:20+02:00", 1_589_000_000),
    ],
)
def test_a_time_is_read_from_text_by_the_stated_rule(convert, value, seconds):
    assert convert(as_microseconds, [value]) == [round(seconds * SECOND)]


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "2020-13-01", "nan", "inf", "infinity", "epoch", "1e300", None, "1_000", "1e1_0"),
        *("2024-01-15 24:00:00", "2024-01-15  10:00:00", "2024-01-15 (BC)", "2024-07-15 10:00:00 PST", "2024-01-15Z"),
    ],
)
def test_what_is_no_time_is_null(convert, value):
    assert convert(as_microseconds, [value], pa.string()) == [None]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1_589_000_000, pa.int64()),
        (1_589_000_000, pa.int32()),
        (1_589_000_000.0, pa.float64()),
        (1_589_000_000_000, pa.int64()),
        (dt.datetime(2020, 5, 9, 4, 53, 20), pa.timestamp("us")),
        (dt.datetime(2020, 5, 9, 4, 53, 20), pa.timestamp("ns")),
        (dt.datetime(2020, 5, 9, 4, 53, 20), pa.timestamp("s")),
        (dt.datetime(2020, 5, 9, 4, 53, 20, tzinfo=dt.UTC), pa.timestamp("us", tz="Europe/Paris")),
    ],
)
def test_a_typed_time_means_the_same_as_its_text(convert, value, kind):
    assert convert(as_microseconds, [value], kind) == [1_589_000_000 * SECOND]


def test_a_date_is_its_midnight_in_utc(convert):
    assert convert(as_microseconds, [dt.date(2020, 5, 9)]) == [1_588_982_400 * SECOND]


def test_a_time_without_a_zone_is_utc_wherever_the_machine_stands():
    code = (
        "import pyarrow as pa\n"
        "from ssna.data.engine import open_engine\n"
        "from ssna.data.sources.values import as_microseconds\n"
        "with open_engine() as engine:\n"
        "    table = engine.import_arrow(pa.table({'value': ['2020-05-09 04:53:20']}))\n"
        "    print(as_microseconds(table.value).to_pyarrow().to_pylist())\n"
    )
    tokyo = os.environ | {"TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", code], env=tokyo, capture_output=True, text=True, check=True)
    assert done.stdout == f"[{1_589_000_000 * SECOND}]\n"


def test_a_missing_typed_time_is_null(convert):
    assert convert(as_microseconds, [float("nan"), None], pa.float64()) == [None, None]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("007", pa.string(), "007"),
        ("17850.0", pa.string(), "17850.0"),
        (" a b ", pa.string(), "a b"),
        ("  ", pa.string(), None),
        (None, pa.string(), None),
        (12345678901234567, pa.int64(), "12345678901234567"),
        (2**64 - 1, pa.uint64(), "18446744073709551615"),
        (17850.0, pa.float64(), "17850"),
        (1e15, pa.float64(), "1000000000000000"),
        (-3.0, pa.float64(), "-3"),
        (1.5, pa.float64(), "1.5"),
        (float("nan"), pa.float64(), None),
    ],
)
def test_an_id_is_the_text_that_people_write(convert, value, kind, expected):
    assert convert(as_id, [value], kind) == [expected]


def test_lists_are_joined_with_commas_however_deep(convert):
    assert convert(as_text, [["Toys", None, "Games"], [], None]) == ["Toys, Games", "", None]
    assert convert(as_text, [[["Toys", "Games"], ["Dolls"]]]) == ["Toys, Games, Dolls"]
    assert convert(as_text, [[1, 2]]) == ["1, 2"]
