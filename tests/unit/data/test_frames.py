"""Logs and items in memory: pandas, Polars, Arrow, DuckDB, anything with an Arrow C stream; and lists of files."""

from datetime import UTC, datetime

import duckdb
import narwhals
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from data_files import COLUMNS, dropped, square, texts, write_parquet

from ssna.core.errors import SsnaError
from ssna.data import append, prepare

pytestmark = pytest.mark.slow


class StreamOnly:
    """What some other library may hand over: one Arrow stream, taken once, and nothing else."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        table, self.table = self.table, None
        return table.__arrow_c_stream__(requested_schema)


def log_columns(rows=None):
    return dict(zip(COLUMNS, map(list, zip(*(rows or square()), strict=True)), strict=True))


def as_table(columns):
    return pa.table(columns)


KINDS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": as_table,
    "arrow batch": lambda columns: as_table(columns).to_batches()[0],
    "arrow reader": lambda columns: as_table(columns).to_reader(max_chunksize=7),
    "duckdb": lambda columns: duckdb.connect().from_arrow(as_table(columns)),
    "narwhals": lambda columns: narwhals.from_native(pl.DataFrame(columns)),
    "stream": lambda columns: StreamOnly(as_table(columns)),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = write_parquet(tmp_path_factory.mktemp("parquet") / "log.parquet", square())
    return prepare(path, quiet=True).fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_in_memory_gives_what_its_parquet_gives(kind, expected):
    assert prepare(KINDS[kind](log_columns()), quiet=True).fingerprint == expected


@pytest.mark.parametrize("kind", KINDS)
def test_items_may_be_a_table_in_memory_beside_logs_of_any_kind(kind, tmp_path, expected):
    catalogue = {"item": [f"i{k}" for k in range(6)], "title": [f"Title {k}" for k in range(6)]}
    path = write_parquet(tmp_path / "log.parquet", square())
    assert prepare(path, KINDS[kind](catalogue), quiet=True).fingerprint == expected
    assert prepare(KINDS[kind](log_columns()), KINDS["pandas"](catalogue), quiet=True).fingerprint == expected


def test_the_manifest_says_what_was_read_without_naming_a_file():
    catalogue = pl.DataFrame({"item": ["i0"], "title": ["Title"]})
    source = prepare(pd.DataFrame(log_columns()), catalogue, missing_text="id", quiet=True).manifest["source"]
    assert source["frames"] == {"logs": "pandas DataFrame", "items": "polars DataFrame"}
    assert source["files"] == []


def test_ids_times_and_texts_of_every_type_are_read_as_from_parquet(tmp_path):
    moment = [datetime(2024, 1, 1 + step, 12, tzinfo=UTC) for _ in range(6) for step in range(6)]
    frame = pd.DataFrame(
        {
            "User": pd.array([float(row // 6 + 1) for row in range(36)], dtype="float64"),
            "item": pd.Categorical([row[1] for row in square()]),
            "time": pd.Series(moment).astype("datetime64[ns, Europe/Paris]"),
            "title": [[row[3], "more"] for row in square()],
            "user": None,
        }
    )
    frame.to_parquet(tmp_path / "log.parquet")
    options = {"user_col": "User", "text_cols": ["title"], "quiet": True}
    read = prepare(frame, **options)
    assert read.fingerprint == prepare(tmp_path / "log.parquet", **options).fingerprint
    assert read.users.external == tuple("123456")
    assert texts(read)["i3"] == "Title 3, more"
    assert read.histories.times[0] == moment[0].timestamp()


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_polars_times_and_categories_are_read_as_from_parquet(tmp_path, unit):
    frame = pl.DataFrame(log_columns()).with_columns(
        pl.from_epoch("time").cast(pl.Datetime(unit, "UTC")), pl.col("item").cast(pl.Categorical)
    )
    frame.write_parquet(tmp_path / "log.parquet")
    assert prepare(frame, quiet=True).fingerprint == prepare(tmp_path / "log.parquet", quiet=True).fingerprint


def test_a_named_index_is_a_column_as_in_parquet(expected):
    frame = pd.DataFrame(log_columns())
    assert prepare(frame.set_index("user"), quiet=True).fingerprint == expected
    assert prepare(frame.set_index(["user", "item"]), quiet=True).fingerprint == expected


def test_a_frame_is_not_changed_and_may_be_used_again(expected):
    frame = pd.DataFrame(log_columns())
    before = frame.copy()
    assert [prepare(frame, quiet=True).fingerprint for _ in range(2)] == [expected] * 2
    pd.testing.assert_frame_equal(frame, before)


def test_several_files_may_be_given_as_a_list_in_any_order(tmp_path, expected):
    parts = [write_parquet(tmp_path / f"{part}.parquet", square()[part::2]) for part in range(2)]
    read = prepare([str(parts[1]), parts[0]], quiet=True)
    assert read.fingerprint == expected
    assert read.manifest["source"]["files"] == ["1.parquet", "0.parquet"]


def test_a_frame_can_be_appended(tmp_path):
    first, rest = square()[:33], square()[33:]
    prepare(pd.DataFrame(log_columns(first)), min_user=0, min_item=0, out=tmp_path / "data", quiet=True)
    both = append(tmp_path / "data", pl.DataFrame(log_columns(rest)), quiet=True)
    assert both.fingerprint == prepare(as_table(log_columns()), min_user=0, min_item=0, quiet=True).fingerprint
    assert both.manifest["appended_to"]["logs"] == "logs (a polars DataFrame)"
    assert both.manifest["appended_to"]["again"] == []


def test_missing_values_are_dropped_with_their_reason():
    frame = pd.DataFrame(log_columns([*square(), ("u0", None, 1, "x"), (None, "i1", 1, "x"), ("u1", "i1", None, "x")]))
    assert dropped(prepare(frame, quiet=True)) == {"no_user": 1, "no_item": 1, "no_time": 1}


FRAME = pd.DataFrame(log_columns())
WRONG = {
    "mixed": (FRAME.assign(user=[7, *FRAME.user[1:]]), "'user' holds values of several kinds (int, str); make them"),
    "twice": (pd.concat([FRAME, FRAME[["user"]]], axis=1), "two columns 'user'; rename one"),
    "lacking": (FRAME.drop(columns="item"), "which column is the item? Name it with item_col; it has: user, time, ti"),
    "empty": (FRAME.head(0), "logs (a pandas DataFrame) holds no events; give logs with rows"),
    "lazy": (pl.DataFrame(log_columns()).lazy(), "not a polars LazyFrame; collect it first"),
    "column": (FRAME["user"], "not a pandas Series"),
    "dictionary": (log_columns(), "not a dict; make it one: pandas.DataFrame(logs)"),
    "number": (3, "logs takes a path, a list of paths, or a table (pandas, Polars, Arrow, DuckDB, or"),
    "empty list": ([], "not an empty list"),
    "list of frames": ([FRAME], "not a list with a pandas DataFrame"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_named_with_a_remedy(name):
    given, message = WRONG[name]
    with pytest.raises(SsnaError) as error:
        prepare(given, quiet=True)
    assert message in str(error.value)
    assert len(str(error.value)) < 300


def test_a_format_of_files_refuses_a_frame():
    with pytest.raises(SsnaError, match="the format recbole is the path of one file or folder"):
        prepare(FRAME, format="recbole", quiet=True)
