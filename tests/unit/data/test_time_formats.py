"""Times that are neither ISO nor seconds."""

import datetime as dt

import pyarrow as pa
import pytest
from data_files import histories, ready, square, write_csv, write_parquet

from ssna.core.errors import DataError, SettingsError
from ssna.data import append, prepare
from ssna.data.engine import open_engine
from ssna.data.sources.time_formats import TICKS, TimeFormat, known_formats

pytestmark = pytest.mark.slow

NOON = int(dt.datetime(2024, 7, 5, 12, 3, 9, tzinfo=dt.UTC).timestamp())
DAY = int(dt.datetime(2024, 7, 5, tzinfo=dt.UTC).timestamp())


@pytest.fixture(scope="module")
def engine():
    with open_engine() as engine:
        yield engine


def seconds(engine, name, text):
    table = engine.import_arrow(pa.table({"time": [text]}))
    found = table.select(when=TimeFormat(name).microseconds(table.time)).to_pyarrow()["when"].to_pylist()[0]
    return None if found is None else found / 1e6


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("%d/%m/%Y", "5/7/2024", DAY),
        ("%d/%m/%Y", "05/07/2024 12:03:09", NOON),
        ("%m/%d/%Y", "7/5/2024 12:03:09 PM", NOON),
        ("%m/%d/%Y", "7/5/2024 12:03:09 a.m.", NOON - 12 * 3600),
        ("%m/%d/%Y", "7/5/2024 1:03 PM", NOON - 9 + 3600),
        ("%d.%m.%y", "05.07.24 12:03", NOON - 9),
        ("%d.%m.%y", "05.07.70", 15_984_000),
        ("%Y-%m-%d", "2024-07-05 16:03:09 +0400", NOON),
        ("%Y-%m-%d", "2024-07-05 12:03:09,250", NOON + 0.25),
        ("%Y-%m-%d", "2024-07-05 12:03:09 GMT", NOON),
        ("%a %b %d %H:%M:%S %z %Y", "Fri Jul 05 10:03:09 -0200 2024", NOON),
        ("%a, %d %b %Y", "Fri, 05 Jul 2024 12:03:09 UTC", NOON),
        ("%B %d, %Y", "July 5, 2024", DAY),
        ("%Y%m%d", "20240705", DAY),
        ("%Y%m%d%H", "2024070512", NOON - 189),
        ("%Y%m%d%H%M%S", "20240705120309", NOON),
        ("%d-%b-%Y %I:%M:%S %p", "05-JUL-2024 12:03:09 PM", NOON),
        (TICKS, str((NOON + 62_135_596_800) * 10_000_000 + 2_500_000), NOON + 0.25),
        ("%d/%m/%Y", "31/02/2024", None),
        ("%d/%m/%Y", "soon", None),
        ("%d/%m/%Y", "5/7/2024 25:00", None),
        ("%d/%m/%Y", "5/7/2024 PST", None),
    ],
)
def test_a_time_is_read_by_its_format(engine, name, text, expected):
    assert seconds(engine, name, text) == expected


@pytest.mark.parametrize("name", ["%d/%m", "%H:%M", "%Y", "%Q/%d/%m/%Y", "%d/%d/%m/%Y", "", "dd/mm/yyyy"])
def test_what_is_no_format_of_dates_is_refused_with_an_example(name):
    with pytest.raises(SettingsError, match=r"time_format = .*(such as %d/%m/%Y|not known, or stands twice)"):
        TimeFormat(name)


def test_every_known_format_fits_what_strftime_writes():
    moment = dt.datetime(2024, 7, 25, 13, 3, 9, tzinfo=dt.UTC)
    for each in known_formats():
        assert each.name == TICKS or each.fits(moment.strftime(each.name))


def dated(written, days=range(1, 29)):
    moments = [dt.datetime(2024, 1 + place // len(days), days[place % len(days)]) for place in range(36)]
    return [(*row[:2], moment.strftime(written), row[3]) for row, moment in zip(square(), moments, strict=True)]


@pytest.mark.parametrize("written", ["%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d", "%b %d, %Y %I:%M %p", "%Y%m%d"])
def test_a_column_says_by_itself_how_its_times_are_written(tmp_path, written):
    iso = ready(write_csv(tmp_path / "iso.csv", dated("%Y-%m-%d")))
    for path in (
        write_csv(tmp_path / "log.csv", dated(written)),
        write_parquet(tmp_path / "log.parquet", dated(written)),
    ):
        assert ready(path).fingerprint == iso.fingerprint


@pytest.mark.parametrize("days", [range(1, 10)])
def test_a_value_far_down_the_column_decides_between_day_and_month(tmp_path, days):
    rows = dated("%d/%m/%Y", days) * 60  # the first rows tell nothing
    late = ("u0", "i0", "25/12/2024", "Title 0")
    data = ready(write_csv(tmp_path / "log.csv", [*rows, late]))
    assert histories(data)["u0"][-1] == "i0"
    assert data.manifest["period"]["last"].startswith("2024-12-25")
    with pytest.raises(DataError, match=r"'0\d/0\d/2024' in the column time do not tell.* time_format = '%m/%d/%Y' or"):
        ready(write_csv(tmp_path / "log.csv", rows))


def test_what_is_appended_is_read_in_the_format_that_was_found_first(tmp_path):
    prepare(write_csv(tmp_path / "0.csv", dated("%d/%m/%Y")), out=tmp_path / "data", quiet=True)
    new = write_csv(tmp_path / "1.csv", [("u0", "i0", "03/04/2024", "Title 0")])
    data = append(tmp_path / "data", new, quiet=True)
    assert data.manifest["period"]["last"].startswith("2024-04-03")


def test_where_no_time_can_be_read_the_message_names_the_column_and_a_value(tmp_path):
    rows = [(*row[:2], "5 past 3", row[3]) for row in square()]
    with pytest.raises(DataError, match=r"time column time: '5 past 3' cannot be read; time_format = '%d/%m/%Y' says"):
        ready(write_csv(tmp_path / "log.csv", rows))
