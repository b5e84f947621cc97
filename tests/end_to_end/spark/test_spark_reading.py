"""Spark takes files apart as DuckDB does, to the last bit."""

import datetime as dt
import gzip
import math
import re
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ssna.data.engine import Layout
from ssna.data.sources.values import as_id, as_microseconds, as_number, as_text

pytestmark = pytest.mark.spark


def rows(table):
    """In an order of their own, NaN equal to itself."""
    found = table.to_pyarrow().to_pylist()
    return Counter(tuple("NaN" if value != value else value for value in row.values()) for row in found)


TIMES = [
    "",
    *re.findall(
        "[^,]+",
        """1589000000, 1.589e9, -86400,1589000000123,1589000000123456,1589000000123456000,1e300,
0.5,1.0000005,.5,5.,+5,1e5,1d,1.5f,0x1p3,nan,NaN,inf,-Infinity,soon,epoch,-,2020,2020-05,2020-05-09,2020-5-9,2020-02-30,
0001-01-01,9999-12-31 23:59:59,2020-05-09 04:53,2020-05-09 4:5:6,2020-05-09T04:53:20.123456789,2020-05-09 04:53:20.,
2020-05-09T04:53:20Z,2020-05-09 04:53:20 UTC,2020-05-09 04:53:20+02:00,2020-05-09 04:53:20+02,2020-05-09T04:53Z,
2020-05-09 04:53:20-0230,2020-05-09 04:53:20 Europe/Paris,2020-05-09 04:53:20 Z,2020-05-09 04:53:20 +02:00,
2024-07-15 10:00:00 PST,2020-05-09 24:00:00,2020-05-09  04:53:20,2020-05-09 (BC),1_000,1e1_0,1e400,
2020-05-09 04:53:20 GMT,2020-05-09 04:53:20 America/New_York,2020-05-09 04:53:20+15:00,2020-05-09 4:60:00,
2020-05-09 04:53:20 utc,2020-05-09 04,2020-05-09Z,2020-05-09 23:59:60,2020-05-09 25:00:00,1582-10-10,2020/05/09""",
    ),
]
TEXTS = [
    "",
    " ",
    "\t a b\r\n",
    "\xa0x\xa0",
    "17.0",
    "-17.00",
    "1.0\n",
    "NULL",
    "null",
    "\\",
    "'",
    "\x1f",
    "é",
    "e\u0301",
    "😀",
]
FLOATS = [0.0, -3.0, 1.5, 9.99, 1e7, 12345678.9, 1e15, 1.5e16, 0.0001, 1.5e-7, 123456789.125, math.nan, math.inf, None]


def test_what_is_text_a_time_or_a_number_is_so_on_both(tmp_path, engines):
    moment = dt.datetime(2020, 5, 9, 4, 53, 20, 123456)
    columns = {
        "time": pa.array([*TIMES, None]),
        "text": pa.array([*TEXTS, None]),
        "float": pa.array(FLOATS),
        "single": pa.array([1.5, 3.0, 9.5, None], pa.float32()),
        "whole": pa.array([2**63 - 1, -5, None]),
        "unsigned": pa.array([2**64 - 1, 5, None], pa.uint64()),
        "ns": pa.array([moment, None], pa.timestamp("ns")),
        "ms": pa.array([moment.replace(microsecond=123000)], pa.timestamp("ms")),
        "zoned": pa.array([moment.replace(tzinfo=dt.UTC)], pa.timestamp("us", "Europe/Paris")),
        "date": pa.array([dt.date(1969, 5, 9)]),
        "list": pa.array([["Toys", None, "Games"], ["one"], None]),
        "lists": pa.array([[["Toys"], None, ["Dolls", "Games"]], None]),
        "numbers": pa.array([[1, 2], None]),
        "decimal": pa.array(["1.50", None]).cast(pa.decimal128(9, 2)),
    }
    size = max(map(len, columns.values()))
    path = tmp_path / "typed [1].parquet"
    pq.write_table(
        pa.table({name: pa.concat_arrays([c, pa.nulls(size - len(c), c.type)]) for name, c in columns.items()}), path
    )
    lists, moments = {"list", "lists", "numbers"}, {"ns", "ms", "zoned", "date"}
    found = []
    for engine in engines:
        table = engine.read_parquet(path)
        chosen = {f"{name}_text": as_text(table[name]) for name in columns.keys() - moments}
        chosen |= {f"{name}_id": as_id(table[name]) for name in columns.keys() - moments}
        chosen |= {f"{name}_when": as_microseconds(table[name]) for name in columns.keys() - lists}
        chosen |= {f"{name}_number": as_number(table[name]) for name in columns.keys() - lists - moments}
        found.append(engine.materialize(table.select(**dict(sorted(chosen.items())))).to_pyarrow())
    duck, spark = found
    for name in duck.column_names:
        expected, got = (list(map(str, table[name].to_pylist())) for table in (duck, spark))
        assert got == expected, name
    assert spark["time_when"].to_pylist()[1] == 1_589_000_000_000_000


HEAD = "user,item,time\r\n"
CLEAN = {
    "plain": "user,item,time\nu,i,1\n\nv,,\n,i,2\nu,i,1",
    "windows": HEAD + "u,i,1\r\nv,i,2\r\n",
    "mark": "\ufeffuser,item,time\nu,i,1\n",
    "quoted": 'user,item,time\n"u","a ""b"", c",1\nv,"",2\n"\\","i\t",é\n',
    "semicolons": "user;item;time\nu;i,j;1\n",
}
MESSY = {
    "line ends in quotes": 'user,item,time\nu,"a\nb",1\nv,"a\r\nb",2\n',
    "cells too few and too many": "user,item,time\nu\nu,i,1,2\nv,i,2\n",
    "quotes out of place": 'user,item,time\nu,5" pan,1\nu,"t" x,1\nv,i,2\n',
    "a header again": "user,item,time\nu,i,1\nuser,item,time\nv,i,2\n",
    "windows without an end": HEAD + "u,i,1\r\nv,i,2",
    "a giant": "user,item,time\nu,i,1\nu," + "x" * 3_000_000 + ",1\n",
}


@pytest.mark.parametrize("group", [CLEAN, MESSY], ids=["clean", "messy"])
def test_cells_are_taken_apart_alike_and_what_is_messy_is_left_to_duckdb(tmp_path, engines, group):
    for name, content in group.items():
        path = tmp_path / f"{name}.csv"
        path.write_bytes(content.encode())
        engines[1]._duck = None
        delimiter = ";" if name == "semicolons" else ","
        layout, wanted = Layout(3, delimiter, '"', header=True), {f"n{k}": (k, as_id) for k in range(3)}
        duck, spark = (engine.select_cells(path, layout, wanted) for engine in engines)
        assert (rows(spark.table), spark.unreadable) == (rows(duck.table), duck.unreadable), name
        assert (engines[1]._duck is None) == (group is CLEAN), name


def test_cells_without_quotes_and_without_a_header_are_taken_apart_alike(tmp_path, engines):
    layout, wanted = Layout(3, "::", "", header=False), {f"n{k}": (k, as_id) for k in range(3)}
    for name, content in (
        ("clean.dat", 'u::"i::1\nv::::2\n'),
        ("packed.dat.gz", "u::i::1\n"),
        ("x.dat", "u::i\nu::i::1\n"),
    ):
        path = tmp_path / name
        path.write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
        duck, spark = (engine.select_cells(path, layout, wanted) for engine in engines)
        assert (rows(spark.table), spark.unreadable) == (rows(duck.table), duck.unreadable), name
        assert (engines[1]._duck is None) == (name != "x.dat"), name


OBJECTS = [
    '{"a": "x", "b": 1, "c.d": true}',
    ' {"a": "1.0", "b": 1.0, "A": "other case"}\t',
    "",
    '{"a": null, "b": 1589000000123, "e f": "\\u00e9\\n\\ud83d\\ude00"}',
    '{"a": ["x", null, "y"], "b": [1, 2], "c.d": []}',
    '{"a": [["x", "y"], ["z"]], "b": 9.99, "c.d": "[1]"}',
    '{"b": 9007199254740993, "a": "null", "c.d": " "}',
    '{"b": 0.00001, "a": false, "c.d": 17850.00}',
]
STRANGE = [
    "no json",
    '"x"',
    '{"a": 1} x',
    '{"a": 1} {"a": 2}',
    '{"a": NaN}',
    '{"a": 1, "a": 2}',
    '{"a": "\\ud83d"}',
    '{"a": 1e3}',
    '{"a": {"b": 1.0}}',
    '{"a": ["x", 1]}',
    "{'a': 1}",
    '{"a": 123456789.123456789123}',
]


@pytest.mark.parametrize("strange", [False, True], ids=["clean", "messy"])
def test_json_is_taken_apart_alike_and_what_is_messy_is_left_to_duckdb(tmp_path, engines, strange):
    for number, line in enumerate(STRANGE if strange else [""]):
        path = tmp_path / f"{number}.jsonl"
        path.write_text("\n".join([*OBJECTS, line]), encoding="utf-8")
        engines[1]._duck = None
        duck, spark = (engine.read_json(path) for engine in engines)
        assert spark.names == duck.names, line
        wanted = {"first": "a", "second": "b", "third": "c.d", "fourth": "e f"}
        found, expected = spark.texts(wanted, set(), False), duck.texts(wanted, set(), False)
        # An empty list is nothing to both, if written differently.
        assert (rows(found.table), found.unreadable) == (rows(expected.table), expected.unreadable), line
        assert (engines[1]._duck is None) != strange, line
