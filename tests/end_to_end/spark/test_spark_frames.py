"""Tables in memory, prepared by Spark."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from data_files import COLUMNS, square

from ssna.data import prepare

pytestmark = pytest.mark.spark


def test_spark_makes_the_same_of_a_table_in_memory():
    columns = dict(zip(COLUMNS, map(list, zip(*square(), strict=True)), strict=True))
    expected = prepare(pa.table(columns), quiet=True).fingerprint
    lists = pl.DataFrame(columns).with_columns(pl.concat_list("title"))
    frames = (
        lists,
        pd.DataFrame(columns).astype({"item": "category"}),
        pl.DataFrame(columns),
        pa.table(columns).to_reader(),
    )
    assert [prepare(frame, engine="spark", quiet=True).fingerprint for frame in frames] == [expected] * 4
