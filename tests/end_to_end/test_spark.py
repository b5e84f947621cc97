"""Spark gives what DuckDB gives, to the last bit. One session for all; skipped where there is no Java."""

import datetime as dt
import gzip
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import SHARED, square, write_csv
from test_data_amazon import meta_2014, ratings
from test_data_movielens import colons
from test_data_recbole import atomic

from ssna.core.errors import DataError, SettingsError
from ssna.data import append, prepare
from ssna.data.engine import Layout, open_engine
from ssna.data.sources.values import as_id, as_microseconds, as_number, as_text

pyspark = pytest.importorskip("pyspark", reason="the extra spark is not installed")
needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java")

ONLINE_RETAIL = SHARED / "online_retail" / "online_retail.parquet"
QUICK = {
    "spark.master": "local[2]",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@pytest.fixture(scope="module")
def session():
    if shutil.which("java") is None:
        pytest.skip("there is no Java")
    builder = pyspark.sql.SparkSession.builder
    for name, value in QUICK.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture
def engines(session):
    with open_engine("duckdb") as duck, open_engine("spark") as spark:
        yield duck, spark


def rows(table):
    """In an order of their own, NaN equal to itself."""
    found = table.to_pyarrow().to_pylist()
    return Counter(tuple("NaN" if value != value else value for value in row.values()) for row in found)


def ready(path, **options):
    return prepare(path, quiet=True, **options)


def require_equal(path, **options):
    """Returns the data of DuckDB."""
    duck, spark = (ready(path, engine=engine, **options) for engine in ("duckdb", "spark"))
    assert spark.manifest == duck.manifest
    assert spark.fingerprint == duck.fingerprint
    return duck


TIMES = [
    "",
    *re.findall(
        "[^,]+",
        """1589000000, 1.589e9, -86400,1589000000123,1589000000123456,1589000000123456000,1e300,
0.5,1.0000005,.5,5.,+5,1e5,1d,1.5f,0x1p3,nan,NaN,inf,-Infinity,soon,epoch,-,2020,2020-05,2020-05-09,2020-5-9,2020-02-30,
0001-01-01,9999-12-31 23:59:59,2020-05-09 04:53,2020-05-09 4:5:6,2020-05-09T04:53:20.123456789,2020-05-09 04:53:20.,
2020-05-09T04:53:20Z,2020-05-09 04:53:20 UTC,2020-05-09 04:53:20+02:00,2020-05-09 04:53:20+02,2020-05-09T04:53Z,
2020-05-09 04:53:20-0230,2020-05-09 04:53:20 Europe/Paris,2020-05-09 04:53:20 Z,2020-05-09 04:53:20 +02:00,
2020-05-09 04,2020-05-09Z,2020-05-09 23:59:60,2020-05-09 25:00:00,1582-10-10,2020/05/09""",
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
        found.append(engine.hold(table.select(**dict(sorted(chosen.items())))).to_pyarrow())
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
        assert (rows(spark[0]), spark[1]) == (rows(duck[0]), duck[1]), name
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
        assert (rows(spark[0]), spark[1]) == (rows(duck[0]), duck[1]), name
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
        (table, bad), (expected, lost) = spark.texts(wanted), duck.texts(wanted)
        # An empty list is nothing to both, if written differently.
        assert (rows(table), bad) == (rows(expected), lost), line
        assert (engines[1]._duck is None) != strange, line


def messy_log():
    """Users and items that only bytes tell apart, ties, repeats, gaps, and a core of several rounds."""
    names = ["é", "e\u0301", "Z", "a", "😀", "\uffee", "x y", "x  y", "10", "9", "01", "1"]
    rng = np.random.default_rng(0)
    rows = [
        (names[user], f"{names[item]}!", int(rng.integers(3)), f"It &amp; {names[item]}", int(rng.integers(1, 6)))
        for user in range(12)
        for item in rng.integers(0, 12, 3 + user)
    ]
    rows += [
        ("", "a!", 1, "", 5),
        ("a", "", 1, "", 5),
        ("a", "a!", "soon", "", 5),
        ("a", "bare", 1, "", 5),
        ("a ", "a!", 2, "", ""),
    ]
    return [rows[place] for place in rng.permutation(len(rows))]


def test_a_log_of_ties_gaps_and_odd_names_is_one_data_set(tmp_path, session):
    path = write_csv(tmp_path / "log.csv", messy_log(), ("user", "item", "time", "title", "rating"))
    data = require_equal(path, min_user=4, min_item=3, min_rating=2, until=2, dedup="same")
    assert len(data.manifest["checks"]["core_rounds"]) > 1
    assert data.manifest["checks"]["same_time"]["test_targets"] > 0
    assert {
        "no_user",
        "no_item",
        "no_time",
        "no_text",
        "no_rating",
        "below_min_rating",
        "after_until",
        "duplicate",
    } <= {reason for reason, count in data.manifest["dropped"].items() if count}


def sequences(folder):
    (folder / "sequences.txt").write_text("b 3 1 2\na 1 1 2 3\n")
    (folder / "items.tsv").write_text('item\ttitle\n1\t"One" &amp; only\n2\tTwo\n3\tThree\n')
    return {}


def amazon(folder):
    ratings(folder / "ratings_X.csv", (0, 1, 2, 3))
    return {"logs": folder / "ratings_X.csv", "items": meta_2014(folder / "meta_X.json.gz")}


def recbole(folder):
    films = [(f"i{k}", f'"Film" {k}', f"199{k}" if k else "") for k in range(6)]
    atomic(folder / "x.inter", [row[:3] for row in square()], ("user_id:token", "item_id:token", "timestamp:float"))
    atomic(folder / "x.item", films, ("item_id:token", "title:token_seq", "year:token"))
    return {}


def movielens(folder):
    return {"logs": folder / colons("latin-1")(folder)}


@pytest.mark.parametrize("make", [amazon, movielens, recbole, sequences])
def test_every_format_is_read_alike(tmp_path, session, make):
    options = {"logs": tmp_path, **make(tmp_path)}
    require_equal(options.pop("logs"), **options)


@pytest.mark.skipif(not ONLINE_RETAIL.exists(), reason="the shared data is not here")
def test_online_retail_is_one_data_set(session):
    require_equal(
        ONLINE_RETAIL, user_col="CustomerID", item_col="Description", time_col="InvoiceDate", text_cols="Description"
    )


def test_a_session_that_runs_is_used_and_left_as_it_was(session, tmp_path):
    with open_engine("spark") as engine:
        held = engine.materialize(engine.import_arrow(pa.table({"x": [1, 2]})))
        stored = session.sparkContext._jsc.sc().getPersistentRDDs
        before = stored().size()
        engine.release(held)
        assert stored().size() == before - 1
        engine.materialize(engine.import_arrow(pa.table({"x": [1, 2]})))
    assert stored().size() == before - 1
    assert not engine.folder.exists()
    assert session.catalog.listTables() == []
    assert session.conf.get("spark.sql.caseSensitive") == "false"
    assert session.range(3).count() == 3
    with (
        pytest.raises(SettingsError, match=r"Spark runs in this process at local\[2\] already"),
        open_engine("spark", "x"),
    ):
        pass


def test_a_damaged_file_is_an_error_of_one_line(session, tmp_path):
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(write_csv(tmp_path / "x.csv", square(60)).read_bytes())[:300])
    with pytest.raises(DataError, match=r"log.csv.gz cannot be read; is it whole") as caught:
        ready(tmp_path / "log.csv.gz", engine="spark")
    assert "\n" not in str(caught.value)


COMMAND = [sys.executable, "-m", "ssna", "prepare"]


@needs_java
def test_a_run_of_its_own_says_nothing_but_the_manifest(tmp_path):
    log = write_csv(tmp_path / "log.csv", square())
    words = ["--check", "--json", "--quiet", "--engine", "spark", "--spark-master", "local[1]"]
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "JDK_JAVA_OPTIONS": QUICK["spark.driver.extraJavaOptions"]}
    (tmp_path / "tmp").mkdir()
    done = subprocess.run([*COMMAND, log, *words], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["fingerprint"] == ready(log).fingerprint
    assert list((tmp_path / "tmp").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"log.csv", "tmp"}


@needs_java
def test_a_master_that_is_none_or_does_not_answer_is_named(tmp_path):
    log = write_csv(tmp_path / "log.csv", square())
    for master, message in (
        ("spark://127.0.0.1:1", "no Spark master answers at"),
        ("nowhere", "Spark cannot be started at nowhere (Master must"),
    ):
        words = ["--check", "--engine", "spark", "--spark-master", master]
        done = subprocess.run([*COMMAND, log, *words], capture_output=True, text=True)
        assert done.returncode == 1
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 2


@pytest.mark.parametrize("home", [None, "nowhere"])
def test_missing_java_is_named_with_the_remedy(tmp_path, monkeypatch, home):
    monkeypatch.setattr(pyspark.SparkContext, "_active_spark_context", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("JAVA_HOME", home)
    with pytest.raises(SettingsError, match=r"Spark finds no Java.*default-jre-headless"):
        ready(write_csv(tmp_path / "log.csv", square()), engine="spark")


def test_a_missing_extra_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ssna.data.engines.spark", None)
    with pytest.raises(SettingsError, match=r"pip install 'ssna\[spark\]'"):
        ready(write_csv(tmp_path / "log.csv", square()), engine="spark")


def test_a_master_is_for_spark_alone(tmp_path):
    with pytest.raises(SettingsError, match="spark_master = 'local'"):
        ready(tmp_path / "nowhere.csv", spark_master="local")
    with pytest.raises(SettingsError, match="engine = 'sparc': it must be one of duckdb, spark"):
        ready(Path("nowhere.csv"), engine="sparc")


def test_spark_appends_as_duckdb_does_and_keeps_the_same_rows(session, tmp_path):
    old = [*square(), ("", "i1", 1, "t"), ("late", "i1", 5, "t"), ("u1", "bare", 7.25, ""), ("u1", "ï", 8, "Later")]
    new = [("late", f"i{k}", 10 + k, "t") for k in range(5)] + [("u2", "bare", 9, "Now")]
    first, second = (write_csv(tmp_path / f"{name}.csv", rows) for name, rows in (("old", old), ("new", new)))
    found = {}
    for engine in ("duckdb", "spark"):
        prepare(first, out=tmp_path / f"{engine}-1", engine=engine, quiet=True)
        append(tmp_path / f"{engine}-1", second, out=tmp_path / f"{engine}-2", engine=engine, quiet=True)
        folder = tmp_path / f"{engine}-2"
        left = [Counter(map(tuple, map(dict.values, pq.read_table(folder / name).to_pylist()))) for name in KEPT]
        found[engine] = (json.loads((folder / "manifest.json").read_text()), left)
    assert found["duckdb"][0]["users"] == 7
    assert found["spark"] == found["duckdb"]


KEPT = ("dropped.parquet", "dropped_texts.parquet")
