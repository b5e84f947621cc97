"""One session of Spark for all; skipped where there is no Java."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from spark_settings import QUICK

from ssna.data.engine import open_engine

sys.path.append(str(Path(__file__).parents[1]))  # command_line


@pytest.fixture(scope="module")
def session():
    pyspark = pytest.importorskip("pyspark", reason="the extra spark is not installed")
    if shutil.which("java") is None:
        pytest.skip("there is no Java")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = pyspark.sql.SparkSession.builder
    for name, value in QUICK.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()
    del os.environ["PYSPARK_PYTHON"]


@pytest.fixture
def engines(session):
    with open_engine("duckdb") as duck, open_engine("spark") as spark:
        yield duck, spark
