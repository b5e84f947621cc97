"""One log, however it is written, is one data set: any order of columns, delimiter, quoting and form of times."""

import csv
import datetime as dt
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soak import examples
from ssna.data import prepare

pytestmark = pytest.mark.long

START = 1_400_000_000
RULES = {"min_user": 0, "min_item": 0, "missing_text": "id", "quiet": True}
TIMES = {
    "seconds": lambda at, zone: str(int(at.timestamp())),
    "milliseconds": lambda at, zone: str(int(at.timestamp()) * 1000),
    "ISO": lambda at, zone: at.astimezone(zone).isoformat(),
    "offset": lambda at, zone: at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %z"),
    "day first": lambda at, zone: at.strftime("%d/%m/%Y %H:%M:%S"),
    "month first": lambda at, zone: at.strftime("%m/%d/%Y %I:%M:%S %p"),
    "points": lambda at, zone: at.strftime("%d.%m.%Y %H:%M:%S"),
    "ctime": lambda at, zone: at.astimezone(zone).strftime("%a %b %d %H:%M:%S %z %Y"),
    "mail": lambda at, zone: at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    "compact": lambda at, zone: at.strftime("%Y%m%d%H%M%S"),
}

events = st.lists(
    st.tuples(
        st.sampled_from(["kim", "x,y", 'q"z', "7", "a;b", "Ü 1"]),
        st.sampled_from(["i1", "i2", "1 2", "i|4"]),
        st.integers(0, 10**8),
    ),
    max_size=20,
)
zones = st.integers(-11, 13).map(lambda hours: dt.timezone(dt.timedelta(hours=hours, minutes=30 if hours > 0 else 0)))


@st.composite
def logs(draw):
    """Rows of user, item and moment. The first user's days tell day from month."""
    sure = [("sure", f"i{k % 4}", k * 86_400 + 40_000) for k in range(20)]
    rows = [(user, item, START + second) for user, item, second in sure + draw(events)]
    return [(user, item, dt.datetime.fromtimestamp(second, dt.UTC)) for user, item, second in rows]


def write_text(draw, folder, rows):
    form, zone = draw(st.sampled_from(sorted(TIMES))), draw(zones)
    order = draw(st.permutations(["user", "item", "time"]))
    quoting = draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    delimiter, suffix = draw(st.sampled_from([(",", "csv"), (";", "csv"), ("\t", "tsv"), ("|", "txt"), ("\t", "txt")]))
    path = folder / f"log.{suffix}"
    with path.open("w", newline="", encoding=draw(st.sampled_from(["utf-8", "utf-8-sig"]))) as file:
        end = draw(st.sampled_from(["\n", "\r\n"]))
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=end)
        writer.writerow(order)
        for user, item, at in rows:
            cells = {"user": user, "item": item, "time": TIMES[form](at, zone)}
            writer.writerow([cells[name] for name in order])
    return path


def write_headless(draw, folder, rows):
    path = folder / "log.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])))
        writer.writerows((user, item, 5, int(at.timestamp())) for user, item, at in rows)
    return path


def write_json(draw, folder, rows):
    form, zone, nested = draw(st.sampled_from(sorted(TIMES))), draw(zones), draw(st.booleans())
    lines = []
    for user, item, at in rows:
        said = {"userId": user, "timestamp": TIMES[form](at, zone)}
        lines.append(json.dumps(said | ({"lines": [{"item_id": item}]} if nested else {"item_id": item})))
    (folder / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder / "log.jsonl"


def write_parquet(draw, folder, rows):
    users, items, moments = map(list, zip(*rows, strict=True))
    times = pa.array(moments, pa.timestamp(draw(st.sampled_from(["s", "ms", "us", "ns"])), tz="UTC"))
    if draw(st.booleans()):
        users, items = (pa.array([each.encode() for each in values], pa.binary()) for values in (users, items))
    pq.write_table(pa.table({"user_id": users, "item_id": items, "timestamp": times}), folder / "log.parquet")
    return folder / "log.parquet"


def write_lists(draw, folder, rows):
    taken: dict[str, list] = {}
    for user, item, at in rows:
        taken.setdefault(user, []).append((item, int(at.timestamp())))
    items, times = ([[event[place] for event in row] for row in taken.values()] for place in (0, 1))
    pq.write_table(pa.table({"uid": list(taken), "item_id": items, "timestamp": times}), folder / "lists.parquet")
    return folder / "lists.parquet"


def write_apart(draw, folder, rows):
    """The day and the time of day in two columns, in any order of all columns and rows."""
    day, clock = draw(st.sampled_from([("%Y-%m-%d", "%H:%M:%S"), ("%d.%m.%Y", "%I:%M:%S %p"), ("%Y%m%d", "%H:%M:%S")]))
    order = draw(st.permutations(["user_id", "item_id", "date", "time"]))
    with (folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])))
        writer.writerow(order)
        for user, item, at in draw(st.permutations(rows)):
            cells = {"user_id": user, "item_id": item, "date": at.strftime(day), "time": at.strftime(clock)}
            writer.writerow([cells[name] for name in order])
    return folder / "log.csv"


def write_orders(draw, folder, rows):
    """Orders in one table and their lines in another; the lines of a moment are of one order."""
    numbers = {}
    for user, _, at in rows:
        numbers.setdefault((user, at), len(numbers))
    names = draw(st.permutations(["order_id", "user_id", "timestamp"]))
    orders = [{"order_id": n, "user_id": user, "timestamp": at.isoformat()} for (user, at), n in numbers.items()]
    lines = [{"order_id": numbers[user, at], "item_id": item} for user, item, at in draw(st.permutations(rows))]
    with (folder / "orders.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(draw(st.permutations(orders)))
    (folder / "order_lines.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return folder


WRITERS = (write_text, write_headless, write_json, write_parquet, write_lists, write_apart, write_orders)


@settings(max_examples=examples(2), deadline=None)
@given(st.data(), logs())
def test_a_log_is_the_same_data_in_any_layout(data, rows):
    with TemporaryDirectory() as place:
        plain = Path(place) / "plain.jsonl"
        plain.write_text(
            "\n".join(json.dumps({"user": user, "item": item, "time": at.timestamp()}) for user, item, at in rows)
        )
        expected = prepare(plain, **RULES)
        for write in WRITERS:
            folder = Path(place) / write.__name__
            folder.mkdir()
            found = prepare(write(data.draw, folder, rows), **RULES)
            assert found.histories.times.tolist() == expected.histories.times.tolist(), write.__name__
            assert found.fingerprint == expected.fingerprint, write.__name__
