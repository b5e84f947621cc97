"""Spark reads the rows of every layout as DuckDB does. What comes of rows is the same expressions for both."""

import shlex
from collections import Counter

import pytest
from command_line import ssna

from layouts import layouts
from soak import FACTOR
from ssna.core.errors import SsnaError
from ssna.data.engine import open_engine
from ssna.data.sources import FORMATS

pytestmark = pytest.mark.spark

# Spark has no type for a time of day.
NOT_READ = {"Date and time in two columns of Parquet"}
READ = [layout for layout in layouts() if layout.command and layout.name not in NOT_READ]
SOME = READ if FACTOR > 1 else READ[::5]  # all of them in `make soak`


@pytest.fixture(scope="module")
def both(session):
    with open_engine("duckdb") as duck, open_engine("spark") as spark:
        yield duck, spark


def asked(command, monkeypatch):
    """What the command line asks of a reader."""
    requests = []

    def assemble(request, *_):
        requests.append(request)
        raise SsnaError("that is enough")

    monkeypatch.setattr("ssna.data.pipeline.assemble", assemble)
    assert ssna("prepare", *shlex.split(command), "-o", "data", "--quiet") == 1
    return requests[0]


def rows(table):
    return Counter(tuple(row.values()) for row in table.to_pyarrow().to_pylist())


@pytest.mark.parametrize("layout", SOME, ids=lambda each: each.name)
def test_spark_reads_the_rows_of_a_layout_as_duckdb_does(layout, both, tmp_path, monkeypatch):
    layout.written_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    request = asked(layout.command, monkeypatch)
    duck, spark = (FORMATS[request.options.format].read(engine, request) for engine in both)
    assert spark.events.columns == duck.events.columns
    assert rows(spark.events) == rows(duck.events)
    assert (spark.parts is None) == (duck.parts is None)
    if duck.parts is not None:
        assert rows(spark.parts) == rows(duck.parts)
    for name in ("timed", "typed", "unreadable", "columns", "also_fitting", "notes"):
        assert getattr(spark, name) == getattr(duck, name), name
