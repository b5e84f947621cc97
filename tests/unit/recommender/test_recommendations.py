"""Recommendations as tables."""

import sys

import pandas as pd
import polars as pl
import pytest

from ssna.core.errors import SsnaError
from ssna.recommender import Recommendation, Recommendations, ScoredItem

A, B = ScoredItem("a", 1.5, "Pan"), ScoredItem("b", 0.5, "Pot")
FOUND = [Recommendation((A, B), (), None), Recommendation((), (), None), Recommendation((B,), ("x",), "popularity")]
ROWS = {
    "history": [0, 0, 2],
    "rank": [1, 2, 1],
    "item": ["a", "b", "b"],
    "score": [1.5, 0.5, 0.5],
    "text": ["Pan", "Pot", "Pot"],
    "fallback": [None, None, "popularity"],
}


def test_recommendations_are_a_list_and_an_arrow_table_with_a_row_an_item():
    assert Recommendations(FOUND) == FOUND
    assert Recommendations(FOUND).to_arrow().to_pydict() == ROWS


def test_where_users_are_known_the_table_has_them():
    table = Recommendations(FOUND, ["u7", "u8", "u9"]).to_arrow()
    assert table.column_names[0] == "user"
    assert table["user"].to_pylist() == ["u7", "u7", "u9"]


def test_pandas_and_polars_have_the_same_rows():
    pandas, polars = Recommendations(FOUND).to_pandas(), Recommendations(FOUND).to_polars()
    assert isinstance(pandas, pd.DataFrame)
    assert isinstance(polars, pl.DataFrame)
    assert pandas.to_dict("list") | {"fallback": ROWS["fallback"]} == ROWS
    assert polars.to_dict(as_series=False) == ROWS


def test_no_recommendation_is_a_table_without_rows_and_with_the_same_columns():
    assert Recommendations([]).to_arrow().schema == Recommendations(FOUND).to_arrow().schema


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_not_there_is_named_with_the_remedy(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SsnaError, match=f"{library} is not installed; install it .pip install {library}., or take to_"):
        getattr(Recommendations(FOUND), f"to_{library}")()
