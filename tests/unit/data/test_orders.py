"""Orders and their lines in two tables."""

import json

import pytest
from data_files import dropped, histories, ready, square, texts, times, write_csv, write_parquet

from ssna.core.errors import DataError
from ssna.data import append, prepare

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(tmp_path):
    """An order a user with six lines, which stand by item, and when each was put into the basket."""
    folder = tmp_path / "shop"
    folder.mkdir()
    orders = [(f"{user}.0", f"u{user}") for user in range(6)]
    write_csv(folder / "orders.csv", orders, ("order_id", "user_id"))
    write_lines(folder / "lines.csv", square())
    write_csv(folder / "products.csv", [(f"i{k}", f"Title {k}") for k in range(6)], ("item_id", "title"))
    return folder


def write_lines(path, rows):
    lines = [(user[1:], item, time) for user, item, time, _ in sorted(rows, key=lambda row: row[1])]
    return write_csv(path, lines, ("order_id", "item_id", "timestamp"))


def test_lines_have_what_their_orders_say(shop, expected):
    data = ready(shop)
    assert data.fingerprint == expected
    assert data.manifest["source"]["columns"] == {
        "user": "user_id",
        "item": "item_id",
        "time": "timestamp",
        "text": ["title"],
    }
    (note,) = data.manifest["checks"]["notes"]
    assert note.endswith("orders.csv, lines.csv are joined as events and products.csv as items")


def test_lines_without_an_order_and_rows_that_cannot_be_read_are_counted(shop, expected):
    with (shop / "lines.csv").open("a") as file:
        file.write("77,i1,1000\r\n,i1,1000\r\n1,i1,5,6,7\r\n")
    with (shop / "orders.csv").open("a") as file:
        file.write("88,u8\r\n,u9\r\n,u9\r\n9\r\n")
    data = ready(shop)
    assert data.fingerprint == expected
    assert dropped(data) == {"no_user": 2, "unreadable_row": 2}


def test_in_the_order_of_rows_the_orders_come_first_and_then_their_lines(shop):
    lines = [("3", "i1"), ("2", "i2"), ("3", "i0"), ("1", "i3")]
    write_csv(shop / "lines.csv", lines, ("order_id", "item_id"))
    write_csv(shop / "orders.csv", [("2", "u"), ("3", "u"), ("1", "u")], ("order_id", "user_id"))
    data = ready(shop, order="rows", min_user=0, min_item=0)
    assert (histories(data), times(data)) == ({"u": ["i2", "i1", "i0", "i3"]}, None)


def test_an_order_on_two_rows_is_refused_as_its_lines_would_count_twice(shop):
    with (shop / "orders.csv").open("a") as file:
        file.write("3,u8\r\n")
    with pytest.raises(DataError, match=r"orders.csv: order_id 3 stands on several rows; keep one row of each"):
        ready(shop)


def test_conditions_may_name_columns_of_both(shop):
    write_csv(shop / "orders.csv", [(f"{k}", f"u{k}", "ab"[k % 2]) for k in range(6)], ("order_id", "user_id", "state"))
    data = ready(shop, where="state = a and item_id != i1", min_user=0, min_item=0)
    assert dropped(data) == {"where": 21}
    assert sorted(data.users.external) == ["u0", "u2", "u4"]


def test_orders_are_joined_in_what_is_appended_too(shop, tmp_path, expected):
    rows = square()
    write_lines(shop / "lines.csv", rows[:20])
    prepare(shop, out=tmp_path / "data", min_user=0, min_item=0, quiet=True)
    write_lines(shop / "lines.csv", rows[20:])
    assert append(tmp_path / "data", shop, quiet=True).fingerprint == expected


def test_values_inside_of_others_are_found_in_orders_and_lines(tmp_path):
    orders = [{"order_id": k, "shopper": {"user_id": f"u{k}"}} for k in range(6)]
    (tmp_path / "orders.jsonl").write_text("\n".join(map(json.dumps, orders)))
    rows = [(int(user[1:]), item, time, title) for user, item, time, title in square()]
    write_parquet(tmp_path / "lines.parquet", rows, ("order_id", "item_id", "timestamp", "title"))
    with pytest.raises(DataError, match=r"has no table with both users and items \(lines.parquet, orders.jsonl\)"):
        ready(tmp_path)
    orders = [{"order_id": k, "user_id": f"u{k}", "at": {"time": 5}} for k in range(6)]
    (tmp_path / "orders.jsonl").write_text("\n".join(map(json.dumps, orders)))
    data = ready(tmp_path, time_col="at.time")
    assert texts(data)["i3"] == "Title 3"
    assert {time for user in times(data).values() for time in user} == {5}


def test_items_that_stand_in_several_files_are_one_catalogue(shop, expected):
    (shop / "products.csv").unlink()
    for k in range(6):
        write_csv(shop / f"products-{k}.csv", [(f"i{k}", f"Title {k}")], ("item_id", "title"))
    assert ready(shop).fingerprint == expected
    write_csv(shop / "tags.csv", [("1", "good")], ("id", "name"))  # a catalogue, too, but not of these items
    assert ready(shop).fingerprint == expected


def test_an_items_file_that_is_given_is_not_called_unread(shop):
    data = ready(shop, items=shop / "products.csv")
    (note,) = data.manifest["checks"]["notes"]
    assert note.endswith("orders.csv, lines.csv are joined as events")
