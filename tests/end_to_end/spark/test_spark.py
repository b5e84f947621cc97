"""Spark prepares and appends what DuckDB does, to the last bit; and runs of Spark by itself."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from amazon_files import meta_2014, ratings
from data_files import SHARED, atomic, ready, square, write_csv
from movielens_files import colons
from spark_settings import QUICK

from ssna.core.errors import DataError, SettingsError
from ssna.data import append, prepare
from ssna.data.engine import open_engine

pytestmark = pytest.mark.spark
pyspark = pytest.importorskip("pyspark", reason="the extra spark is not installed")
needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java")

ONLINE_RETAIL = SHARED / "online_retail" / "online_retail.parquet"


def require_equal(path, **options):
    """Returns the data of DuckDB."""
    duck, spark = (ready(path, engine=engine, **options) for engine in ("duckdb", "spark"))
    assert spark.manifest == duck.manifest
    assert spark.fingerprint == duck.fingerprint
    return duck


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
    with pytest.raises(SettingsError, match=r"engine = 'sparc': there are duckdb, spark; did you mean spark\?"):
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
