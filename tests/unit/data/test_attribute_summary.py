"""Which values attributes have."""

import datetime as dt

import pyarrow as pa

from ssna.data.attribute_summary import MOST_VALUES, AttributeSummary, ValueCount, summarize
from ssna.data.attributes import Attributes


def of(name, values, held=None):
    (found,) = summarize(Attributes(pa.table({name: pa.array(values, held)})))
    return found


def test_numbers_and_times_have_a_least_and_a_most():
    assert of("price", [3.0, None, -1.5, 2.0]) == AttributeSummary("price", "number", 3, -1.5, 3.0)
    days = [dt.datetime(2026, 3, day, 12, tzinfo=dt.UTC) for day in (4, 2, 9)]
    found = of("listed", days, pa.timestamp("us", "UTC"))
    assert (found.least, found.most) == ("2026-03-02T12:00:00+00:00", "2026-03-09T12:00:00+00:00")


def test_values_of_texts_and_booleans_are_counted_the_most_frequent_first_and_equals_by_name():
    found = of("brand", ["b", "c", None, "b", "a"])
    assert (found.kind, found.items, found.distinct) == ("text", 4, 3)
    assert found.values == (ValueCount("b", 2), ValueCount("a", 1), ValueCount("c", 1))
    assert of("ok", [True, False, True]).values == (ValueCount(True, 2), ValueCount(False, 1))


def test_an_item_that_has_a_text_twice_counts_once():
    found = of("tags", [["x", "x", "y"], [], None, ["x", None]], pa.list_(pa.string()))
    assert (found.items, found.distinct) == (2, 2)
    assert found.values == (ValueCount("x", 2), ValueCount("y", 1))


def test_of_many_values_the_most_frequent_are_listed_and_all_are_counted():
    found = of("sku", [f"s{n:03}" for n in range(MOST_VALUES + 10)] + ["s059"])
    assert found.distinct == MOST_VALUES + 10
    assert len(found.values) == MOST_VALUES
    assert found.values[:2] == (ValueCount("s059", 2), ValueCount("s000", 1))


def test_an_attribute_that_no_item_has_is_named():
    assert of("price", [None, None], pa.float64()) == AttributeSummary("price", "number", 0)
    assert of("brand", [None], pa.string()) == AttributeSummary("brand", "text", 0)
