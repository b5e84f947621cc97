"""Attributes of items: of which kind a column is, what a folder keeps, and what a condition means on them."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ssna
from ssna.core.conditions import ConditionError, from_tree, parse
from ssna.core.errors import DataError, SsnaError
from ssna.data import load
from ssna.data.attributes import MOST_PREDICATES, Attributes
from ssna.data.union import union

ITEMS = 12
LOG = pd.DataFrame(
    [(f"u{u}", f"i{(u + t) % ITEMS}", t) for u in range(12) for t in range(6)], columns=["user", "item", "time"]
)
SHELF = pd.DataFrame(
    {
        "item": [f"i{n}" for n in range(ITEMS)],
        "title": [f"title {n}" for n in range(ITEMS)],
        "price": [None if n == 3 else n * 1.5 for n in range(ITEMS)],
        "brand": [("Acme", "Brevik")[n % 2] for n in range(ITEMS)],
        "new": [n < 4 for n in range(ITEMS)],
        "listed": [f"2026-11-{n + 1:02}" for n in range(ITEMS)],
        "code": [f"0{n}" for n in range(ITEMS)],
    }
)
COLUMNS = ["price", "brand", "new", "listed", "code"]
KINDS = {"price": "number", "brand": "text", "new": "boolean", "listed": "time", "code": "text"}


def prepared(items=SHELF, columns=COLUMNS, **options):
    return ssna.prepare(LOG, items=items, attribute_cols=columns, min_user=0, min_item=0, quiet=True, **options)


def of(data) -> Attributes:
    return Attributes.of(data.attributes, data.items.external)


def write_csv(path):
    SHELF.to_csv(path, index=False)


def write_lines(path):
    SHELF.to_json(path, orient="records", lines=True)


def write_parquet(path):
    SHELF.assign(listed=pd.to_datetime(SHELF["listed"])).to_parquet(path)


@pytest.mark.parametrize(
    ("name", "write"), [("a.csv", write_csv), ("a.jsonl", write_lines), ("a.parquet", write_parquet)]
)
def test_every_kind_of_file_gives_the_same_attributes(tmp_path, name, write):
    write(tmp_path / name)
    found = of(prepared(tmp_path / name))
    assert found.kinds == KINDS
    row = prepared().items.rows(["i5"])[0]
    assert found.values(int(row)) == {
        "price": 7.5, "brand": "Brevik", "new": False, "listed": "2026-11-06T00:00:00+00:00", "code": "05",
    }  # fmt: skip


def test_a_column_with_one_odd_cell_is_text_and_that_is_said(tmp_path):
    SHELF.assign(price=["call us", *SHELF["price"][1:]]).to_csv(tmp_path / "a.csv", index=False)
    data = prepared(tmp_path / "a.csv", ["price"])
    assert of(data).kinds == {"price": "text"}
    assert any("1 of 11 cells are no number, such as 'call us'" in each for each in data.warnings)


def test_cells_that_say_nothing_do_not_make_a_column_text(tmp_path):
    SHELF.assign(price=["N/A", *map(str, SHELF["price"][1:])]).to_csv(tmp_path / "a.csv", index=False)
    data = prepared(tmp_path / "a.csv", ["price"])
    assert of(data).kinds == {"price": "number"}
    assert data.manifest["checks"]["attributes_missing"] == {"price": 2}
    assert "price (number; 2 (16.7%) lack it)" in str(data.summary())


def test_the_largest_value_of_several_rows_counts_and_that_is_said():
    twice = pd.concat([SHELF, SHELF.assign(price=99.0).head(1)])
    data = prepared(twice, ["price"])
    assert of(data).values(int(data.items.rows(["i0"])[0])) == {"price": 99.0}
    assert any("1 of 12 items have several rows of attributes, such as i0" in each for each in data.warnings)


def test_lists_of_texts_are_attributes():
    found = of(prepared(SHELF.assign(tags=[["x", "y"] if n % 2 else [] for n in range(ITEMS)]), ["tags"]))
    assert found.kinds == {"tags": "texts"}
    for condition, count in (
        ("tags = x", 6),
        ("tags in (y, z)", 6),
        ("tags != x", 0),
        ("exists tags", 6),
        ("tags != z", 6),
    ):
        assert found.mask(parse(condition)).sum() == count, condition


def test_attributes_are_no_part_of_the_fingerprint(tmp_path):
    without = ssna.prepare(LOG, items=SHELF, min_user=0, min_item=0, quiet=True)
    data = prepared(out=tmp_path / "data")
    assert data.fingerprint == without.fingerprint
    again = load(tmp_path / "data")
    assert again.attributes.equals(data.attributes)
    assert again.manifest["attributes"] == {**KINDS, "listed": "text"}  # a frame says of what kind a column is


def test_a_file_of_attributes_that_is_another_one_is_damage(tmp_path):
    prepared(out=tmp_path / "data")
    file = tmp_path / "data" / "attributes.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["price"]), file)
    with pytest.raises(DataError, match=r"damaged: attributes is .*, but the manifest says"):
        load(tmp_path / "data")
    pq.write_table(pa.table({"id": ["i1", "i1"], "price": [1.0, 2.0]}), file)
    with pytest.raises(DataError, match="does not have each item once"):
        load(tmp_path / "data")


def test_later_items_bring_their_values_and_take_the_place_of_earlier_ones(tmp_path):
    prepared(columns=["price", "brand"], out=tmp_path / "data")
    later = pd.DataFrame({"user": ["u0", "u1"], "item": ["i99", "i1"], "time": [50, 51]})
    shelf = pd.DataFrame(
        {"item": ["i99", "i1"], "title": ["t 99", "title 1"], "price": [5.0, 6.0], "brand": ["New", None]}
    )
    data = ssna.append(tmp_path / "data", later, items=shelf, quiet=True)
    found = of(data)
    assert found.values(int(data.items.rows(["i99"])[0])) == {"price": 5.0, "brand": "New"}
    assert found.values(int(data.items.rows(["i1"])[0])) == {"price": 6.0, "brand": "Brevik"}
    kept = ssna.append(tmp_path / "data", later.tail(1), quiet=True)
    assert of(kept).values(int(kept.items.rows(["i1"])[0])) == {"price": 1.5, "brand": "Brevik"}


def test_a_union_has_the_attributes_of_all(tmp_path):
    data = union({"a": prepared(columns=["price"]), "b": prepared(columns=["price", "brand"])})
    found = of(data)
    assert found.values(int(data.items.rows(["a/i1"])[0])) == {"price": 1.5}
    assert found.values(int(data.items.rows(["b/i1"])[0])) == {"price": 1.5, "brand": "Brevik"}
    with pytest.raises(DataError, match="several kinds"):
        union({"a": prepared(columns=["price"]), "b": prepared(SHELF.assign(price="x"), ["price"])})


@pytest.mark.parametrize(
    ("columns", "items", "message"),
    [
        (["prize"], SHELF, "did you mean 'price'"),
        (["price", "price"], SHELF, "named twice, or called id"),
        (["price"], None, "attributes are read of the items' own table"),
    ],
)
def test_columns_that_cannot_be_kept_are_refused(columns, items, message):
    with pytest.raises(DataError, match=message):
        prepared(items, columns, missing_text="id")


TABLE = Attributes(
    pa.table(
        {
            "price": pa.array([1.0, 2.0, None, 4.0]),
            "brand": pa.array(["Acme", None, "brevik", "Émile"]),
            "new": pa.array([True, False, None, True]),
            "listed": pa.array(
                [dt.datetime(2026, n, 1, tzinfo=dt.UTC) for n in (1, 2, 3, 4)], pa.timestamp("us", "UTC")
            ),
        }
    )
)


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("price < 2", [1]), ("price >= 2", [2, 4]), ("price != 2", [1, 4]), ("not price = 2", [1, 3, 4]),
        ("price in (1, 4, 9)", [1, 4]), ("exists brand", [1, 3, 4]), ("brand < b", [1]), ("brand > Acme", [3, 4]),
        ("new = true", [1, 4]), ("new != true", [2]), ("listed < 2026-02-01", [1]),
        ("listed = 2026-03-01T01:00:00+01:00", [3]),
        ("listed > 1770000000", [3, 4]), ("price < 2 or brand = brevik and not new = true", [1, 3]),
    ],
)  # fmt: skip
def test_a_condition_holds_for_the_items_that_have_such_a_value(condition, rows):
    TABLE.check(parse(condition))
    assert np.flatnonzero(TABLE.mask(parse(condition))).tolist() == rows


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"<": ["prise", 2]}, r"^where\.<: no attribute is called 'prise'; .*did you mean price"),
        (
            {"and": [{"exists": "price"}, {"not": {"=": ["price", "x"]}}]},
            r"^where\.and\.1\.not\.=: 'price' is a number; 'x'",
        ),
        ({"in": ["new", [True, 1]]}, r"^where\.in: 'new' is true or false; 1 is neither"),
        ({">": ["new", True]}, r"^where\.>: 'new' is true or false, which has no order"),
        ({"=": ["listed", "soon"]}, r"^where\.=: 'listed' is a time; 'soon' is neither"),
        ({"=": ["brand", 5]}, r"^where\.=: 'brand' is text; 5 is no text"),
    ],
)
def test_a_condition_on_other_attributes_or_values_names_the_place(tree, message):
    with pytest.raises(ConditionError, match=message):
        TABLE.check(from_tree(tree), "where")


def test_a_condition_of_very_many_predicates_is_refused():
    many = from_tree({"or": [{"=": ["price", n]} for n in range(MOST_PREDICATES)]})
    TABLE.check(many)
    with pytest.raises(ConditionError, match="at most 100 predicates"):
        TABLE.check(from_tree({"or": [{"=": ["price", n]} for n in range(MOST_PREDICATES + 1)]}))


def test_masks_are_remembered_and_no_change_reaches_one_that_is_held():
    condition = parse("price < 3")
    before = TABLE.mask(condition)
    assert TABLE.mask(condition) is before
    changed = TABLE.updated({3: {"price": 2.5}, 1: {"price": None, "brand": "Other"}})
    assert np.flatnonzero(changed.mask(condition)).tolist() == [2, 3]
    assert np.flatnonzero(before).tolist() == [1, 2]
    assert changed.values(1)["brand"] == "Other"


@pytest.mark.parametrize(
    ("name", "value"),
    [("price", "2"), ("price", True), ("new", 1), ("brand", 5), ("listed", "soon"), ("nothing", 1), ("price", 10**400)],
)
def test_a_value_of_another_kind_is_refused(name, value):
    with pytest.raises(SsnaError, match=name):
        TABLE.updated({1: {name: value}})


@given(
    st.lists(st.tuples(st.integers(1, 6), st.none() | st.floats(-9, 9)), max_size=5),
    st.lists(st.integers(1, 6), min_size=1),
)
def test_rows_keep_their_values_through_additions_changes_and_removals(changes, rows):
    held = Attributes(TABLE.columns.select(["price"])).extended(2)
    expected = [1.0, 2.0, None, 4.0, None, None]
    for row, value in changes:
        held, expected[row - 1] = held.updated({row: {"price": value}}), value
    kept = held.take(np.array(rows))
    assert kept.columns["price"].to_pylist() == [expected[row - 1] for row in rows]
