"""``prepare --check`` says what is wrong with files that could be read as something else than they are."""

import datetime as dt
import re
import shlex

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ssna
from data_files import square, write_csv

pytestmark = pytest.mark.slow

LOG, FULL = ("user", "item", "time"), ("user", "item", "time", "title")


def log(at, change=lambda row, place: row, columns=FULL, name="log.csv"):
    return write_csv(at / name, [change(row, place) for place, row in enumerate(square())], columns)


def reviews(at):
    log(at, lambda row, place: (*row[:3], f"I took it {place} times"), (*LOG, "text"))


def folder_named_like_a_column(at):
    (at / "user=alice").mkdir()
    rows = dict(zip(FULL, map(list, zip(*square(), strict=True)), strict=True))
    pq.write_table(pa.table(rows), at / "user=alice" / "log.parquet")


def through_floats(at):
    log(at, lambda row, place: ("7.205759406317978e+17", *row[1:]))


def mostly_empty(at):
    log(at, lambda row, place: ("" if place % 9 else "7656", *row), ("user_id", "username", *FULL[1:]))


def swapped(at):
    rows = (f"100000000{row[0][1:]},{row[1][1:]},5.0,{1_500_000_000 + row[2]}" for row in square())
    (at / "log.csv").write_text("\n".join(rows))


def compact(at):
    start = dt.datetime(2024, 1, 15, 10)
    log(at, lambda row, place: (*row[:2], (start + dt.timedelta(hours=place)).strftime("%Y%m%d%H"), row[3]))


def abbreviated_zone(at):
    log(at, lambda row, place: (*row[:2], f"2024-07-15 10:00:{place:02} PST", row[3]))


def local_time(at):
    log(
        at,
        lambda row, place: (*row[:2], f"2024-07-15 10:00:{place:02}", row[2] + 1_500_000_000, row[3]),
        (*LOG, "timestamp", "title"),
    )


def items_with_commas(at):
    log(at, lambda row, place: row[:3], LOG)
    (at / "items.csv").write_text("item,title\ni0,Pans, large\n" + "".join(f"i{k},Pan {k}\n" for k in range(1, 6)))


def lists(at):
    log(at, lambda row, place: (row[0], "[2, 3]", row[2]), LOG)


def guests(at):
    log(at)
    rows = [("0", *row[1:]) for row in square()] + square()
    write_csv(at / "log.csv", rows, FULL)


def kinds_of_events(at):
    log(at, lambda row, place: (*row, ("view", "cart", "purchase")[place % 3]), (*FULL, "event_type"))


def read_or_not(at):
    log(at, lambda row, place: (*row, str(bool(place % 3)).lower()), (*FULL, "is_read"))


FILES = {  # what is written, the command, the exit code, and what is said
    reviews: ("log.csv", 1, "text hold texts of events.*--accept item-texts"),
    folder_named_like_a_column: ("user=alice", 0, r"kept +6 +6 +36"),
    through_floats: ("log.csv", 1, r"users such as 7.2\S+ went through floating point.*--accept float-ids"),
    mostly_empty: ("log.csv", 0, "user username.*fit, too: .*user_id"),
    swapped: ("log.csv --missing-text id", 0, "user user, item item"),
    compact: ("log.csv", 0, r"2024-01-15T10:00:00Z"),
    abbreviated_zone: ("log.csv", 1, "time column time: '2024-07-15 10:00:.* PST' cannot be read"),
    local_time: ("log.csv", 0, "time timestamp.*fit, too: .*time"),
    items_with_commas: ("log.csv --items items.csv", 0, "items.csv: 1 row cannot be read, such as 'i0,Pans, large'"),
    lists: ("log.csv --missing-text id", 1, r"items such as \[2, 3\] are no ids"),
    guests: ("log.csv", 1, "user 0 has 36 events, 50% of all.*--where"),
    kinds_of_events: ("log.csv", 0, "event_type has 3 values .*'view' 12.*--where"),
    read_or_not: ("log.csv", 0, "is_read has 2 values .*'true' 24.*--where"),
}


@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__name__)
def test_what_is_wrong_is_said_before_anything_is_written(tmp_path, monkeypatch, capfd, write):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    command, code, message = FILES[write]
    assert ssna("prepare", *shlex.split(command), "--check") == code
    found = capfd.readouterr()
    said = found.err if code else found.out + found.err
    assert re.search(message, said), said
    assert "Traceback" not in said
    if code:
        assert said.strip().count("\n") <= 1
    assert sorted(tmp_path.rglob("*")) == before
