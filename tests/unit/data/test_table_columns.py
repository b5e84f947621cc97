"""Which columns of a table are read as what."""

import pytest
from data_files import ready, square, texts, write_csv

from ssna.core.errors import DataError
from ssna.data import prepare

pytestmark = pytest.mark.slow


def test_usual_column_names_need_not_be_given(tmp_path, expected):
    path = write_csv(tmp_path / "log.csv", square(), ("Customer_ID", "productId", "Timestamp", "Title"))
    assert ready(path).fingerprint == expected


def test_without_named_text_columns_title_categories_and_brand_are_taken_in_this_order(tmp_path):
    rows = [(*row, "ACME", "9.99", "Pans") for row in square()]
    path = write_csv(tmp_path / "log.csv", rows, ("user", "item", "time", "title", "brand", "price", "categories"))
    assert texts(ready(path))["i0"] == "Title 0. Pans. ACME"


def test_named_text_columns_are_joined_in_the_order_named(tmp_path):
    path = write_csv(tmp_path / "log.csv", [(*row, "ACME") for row in square()], ("user", "item", "time", "t", "b"))
    assert texts(ready(path, text_cols=["b", "t"]))["i0"] == "ACME. Title 0"


def test_a_single_text_column_may_be_given_by_its_name_alone(tmp_path):
    path = write_csv(tmp_path / "log.csv", square(), ("user", "item", "time", "what it is"))
    assert texts(ready(path, text_cols="what it is"))["i0"] == "Title 0"


def test_no_text_columns_at_all_are_fine_where_the_id_is_the_text(tmp_path):
    path = write_csv(tmp_path / "log.csv", [row[:3] for row in square()], ("user", "item", "time"))
    assert texts(ready(path, missing_text="id"))["i0"] == "i0"


def test_items_that_nobody_took_are_not_in_the_catalogue(tmp_path):
    items = write_csv(tmp_path / "items.csv", [(f"i{k}", f"Title {k}") for k in range(50)], ("item", "title"))
    data = ready(write_csv(tmp_path / "log.csv", square()), items=items)
    assert data.items.external == tuple(f"i{k}" for k in range(6))


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path):
    path = write_csv(tmp_path / "log.csv", square())
    with pytest.raises(DataError, match=r"log.csv has no column 'usr'; did you mean 'user'\? It has: user, item, time"):
        ready(path, user_col="usr")
    with pytest.raises(DataError, match=r"no column 'zzz'; it has: user, item, time, title"):
        ready(path, text_cols=["title", "zzz"])


def test_names_with_commas_between_them_are_to_be_a_list(tmp_path):
    path = write_csv(tmp_path / "log.csv", square())
    with pytest.raises(DataError, match=r"no column 'title,item'; give its columns as a list: \['title', 'item'\]$"):
        ready(path, text_cols="title,item")


def test_a_column_that_cannot_be_guessed_is_asked_for(tmp_path):
    path = write_csv(tmp_path / "log.csv", square(), ("who", "item", "time", "title"))
    with pytest.raises(DataError, match=r"which column is the user\? .*user_col.*: who, item, time, title$"):
        ready(path)
    path = write_csv(tmp_path / "log.csv", square(), ("user", "item", "when", "title"))
    with pytest.raises(DataError, match=r"which column is the time\? .*time_col.*, title; .*order = 'rows'"):
        ready(path)


def test_missing_text_columns_are_asked_for(tmp_path):
    path = write_csv(tmp_path / "log.csv", square(), ("user", "item", "time", "what"))
    with pytest.raises(DataError, match=r"no column of item text is known.*text_cols"):
        ready(path)


def test_the_item_column_must_be_in_the_items_file_too(tmp_path):
    items = write_csv(tmp_path / "items.csv", [("i1", "t")], ("code", "title"))
    with pytest.raises(DataError, match=r"items.csv has no column 'item'"):
        ready(write_csv(tmp_path / "log.csv", square()), items=items)


@pytest.mark.parametrize("given", [{}, {"item_col": "artikel"}])
def test_the_items_own_file_may_call_them_otherwise(tmp_path, given):
    name = given.get("item_col", "Product ID")
    rows = "".join(f"{user},{item},{time}\n" for user, item, time, _ in square())
    (tmp_path / "log.csv").write_text(f"user,{name},time\n{rows}")
    (tmp_path / "items.csv").write_text("item,title\n" + "".join(f"i{k},Pan {k}\n" for k in range(6)))
    data = prepare(tmp_path / "log.csv", tmp_path / "items.csv", quiet=True, **given)
    assert data.texts[1] == "Pan 0"
