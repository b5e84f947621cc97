"""Spark reads layouts as DuckDB does."""

import shlex

import pytest
from data_files import histories, texts, times

from layouts import layouts
from ssna.data import prepare

pytestmark = pytest.mark.spark

SOME = {
    "A folder named like a column": {},
    "Parquet strings without the mark": {},
    "Parquet with UUIDs of 16 bytes": {},
    "EB-NeRD": {},
    "GA4": {},
    "GA4, Parquet": {},
    "Shopify orders": {},
    "Times with AM and PM": {},
    "Times of Twitter and Goodreads": {},
    "Ticks of .NET": {},
    "A name beside an id": {},
    "goodbooks-10k": {"order": "rows"},
    "Yelp, the folder": {},
    "MIND": {},
}


@pytest.mark.parametrize("layout", [layout for layout in layouts() if layout.name in SOME], ids=lambda each: each.name)
def test_a_layout_is_read_by_spark_too(layout, session, tmp_path, monkeypatch):
    layout.written_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    logs, *rest = shlex.split(layout.command)
    items = rest[rest.index("--items") + 1] if "--items" in rest else None
    data = prepare(logs, items, engine="spark", quiet=True, **SOME[layout.name])
    assert histories(data) == layout.histories()
    assert texts(data) == layout.texts()
    assert layout.times() in (None, times(data))
