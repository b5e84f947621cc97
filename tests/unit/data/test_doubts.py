"""Where going on would merge ids, swap columns or leak texts, ``prepare`` stops, unless the doubt is accepted."""

import json

import pytest
from data_files import histories, ready, square, texts, write_csv, write_json_lines, write_parquet

from ssna.core.errors import DataError

pytestmark = pytest.mark.slow

LOG = ("user", "item", "time")
KINDS = {write_csv: "log.csv", write_json_lines: "log.jsonl", write_parquet: "log.parquet"}


def reviewed(column="text"):
    return [(*row[:3], f"review {place}") for place, row in enumerate(square())], (*LOG, column)


@pytest.mark.parametrize("column", ["text", "title", "name"])
@pytest.mark.parametrize("write", [write_csv, write_json_lines, write_parquet])
def test_texts_of_events_are_not_taken_for_texts_of_items(tmp_path, column, write):
    rows, columns = reviewed(column)
    path = write(
        tmp_path / f"log.{write.__name__.removeprefix('write_').replace('json_lines', 'jsonl')}", rows, columns
    )
    with pytest.raises(
        DataError, match=rf"{column} hold texts of events.*100% .* item i0: 'review 0' and 'review 3.*items"
    ):
        ready(path)
    with pytest.raises(DataError, match=r"accept = 'item-texts'"):
        ready(path, text_cols=column, missing_text="id")
    assert texts(ready(path, accept="item-texts"))["i0"] in {row[3] for row in rows if row[1] == "i0"}


def test_where_ids_serve_as_texts_those_of_events_are_passed_over_and_it_is_said(tmp_path):
    data = ready(write_csv(tmp_path / "log.csv", *reviewed()), missing_text="id")
    assert texts(data)["i0"] == "i0"
    (note,) = data.manifest["checks"]["notes"]
    assert note.startswith("text are not read as texts of items: 100% of the items")


def test_a_column_that_says_the_same_of_an_item_stays_beside_one_that_does_not(tmp_path):
    rows, _ = reviewed()
    path = write_csv(tmp_path / "log.csv", [(*row, f"Pan {row[1]}") for row in rows], (*LOG, "text", "title"))
    data = ready(path)
    assert texts(data)["i0"] == "Pan i0"
    assert data.manifest["source"]["columns"]["text"] == ["title"]


def test_a_few_items_with_several_texts_are_no_doubt(tmp_path):
    rows = [*square(), ("u1", "i1", 9_999, "Title 1, second edition")]
    assert texts(ready(write_csv(tmp_path / "log.csv", rows)))["i1"] == "Title 1, second edition"


@pytest.mark.parametrize("cell", ["7.205759406317978e+17", "9.78E+12", "1e+20"])
def test_ids_that_went_through_floats_are_refused(tmp_path, cell):
    path = write_csv(tmp_path / "log.csv", [*square(), (cell, "i1", 1, "Title 1")])
    with pytest.raises(
        DataError, match=r"users such as \S+ went through floating point.*accept = 'float-ids'"
    ) as caught:
        ready(path)
    assert cell in str(caught.value)
    assert len(ready(path, accept="float-ids").users) == 6


def test_large_floats_in_parquet_are_refused_and_hexadecimal_ids_are_not(tmp_path):
    write_parquet(tmp_path / "log.parquet", [(7.205759406317978e17, *row[1:]) for row in square()])
    with pytest.raises(DataError, match=r"7.205759406317978e\+17 went through"):
        ready(tmp_path / "log.parquet")
    hashed = [(f"{place % 6}e{place % 6}0", *row[1:]) for place, row in enumerate(square())]
    assert ready(write_csv(tmp_path / "log.csv", hashed), min_user=0, min_item=0).users.external[1] == "1e10"


@pytest.mark.parametrize("cell", ["[2, 3]", '["a", "b"]', '{"id": 7}'])
def test_lists_and_objects_are_no_ids(tmp_path, cell):
    path = write_csv(tmp_path / "log.csv", [*square(), ("u1", cell, 1, "Title 1")])
    with pytest.raises(DataError, match=r"items such as .* are no ids; name what stands inside \(item_col NAME\[\]"):
        ready(path)


def test_backslash_n_is_no_user(tmp_path):
    data = ready(write_csv(tmp_path / "log.csv", [*square(), *(("\\N", f"i{k}", k, f"Title {k}") for k in range(6))]))
    assert (len(data.users), data.manifest["dropped"]["no_user"]) == (6, 6)


def guests(user, times=6):
    return [*square(12), *((user, f"i{k % 6}", k, f"Title {k % 6}") for k in range(6 * times))]


@pytest.mark.parametrize("user", ["0", "-1", "Guest"])
def test_a_user_that_stands_for_nobody_is_refused(tmp_path, user):
    path = write_csv(tmp_path / "log.csv", guests(user))
    with pytest.raises(
        DataError, match=rf"user {user} has 36 events, 33% of all.*where = 'user != {user}'.*accept = 'guests'"
    ):
        ready(path)
    assert len(histories(ready(path, accept="guests"))[user]) == 36


@pytest.mark.parametrize(("user", "times"), [("0", 1), ("9", 6)])
def test_a_user_called_0_like_any_other_and_a_busy_one_are_no_doubt(tmp_path, user, times):
    assert len(ready(write_csv(tmp_path / "log.csv", guests(user, times))).users) == 13


def test_of_several_columns_the_one_that_most_rows_fill_is_taken_and_the_others_are_named(tmp_path):
    rows = [(None if place else "x", *row[:3], "P", row[3]) for place, row in enumerate(square())]
    path = write_parquet(tmp_path / "log.parquet", rows, ("user_id", "username", "item_id", "time", "product", "title"))
    data = ready(path)
    assert data.users.external[0] == "u0"
    assert data.manifest["source"]["columns"]["user"] == "username"
    assert data.manifest["source"]["also_fitting"] == {"user": ["user_id"], "item": ["product"]}


def test_several_kinds_of_events_are_told_with_a_figure(tmp_path):
    rows = [(*row, "view" if place else "cart") for place, row in enumerate(square())]
    data = ready(write_csv(tmp_path / "log.csv", rows, (*LOG, "title", "event_type")))
    (note,) = data.manifest["checks"]["notes"]
    assert note.startswith("event_type has 2 values in the first 36 rows ('view' 35, 'cart' 1); all of them count")
    alike = write_csv(tmp_path / "log.csv", [(*row, "view") for row in square()], (*LOG, "title", "event_type"))
    assert "notes" not in ready(alike).manifest["checks"]


def test_rows_of_the_items_file_that_cannot_be_read_are_counted_with_an_example(tmp_path):
    items = write_csv(tmp_path / "items.csv", [(f"i{k}", "Pan") for k in range(6)], ("item", "title"))
    items.write_text(items.read_text() + "i8,Pan, large\ni9,Pan, small\n")
    data = ready(write_csv(tmp_path / "log.csv", [row[:3] for row in square()], LOG), items=items)
    (note,) = data.manifest["checks"]["notes"]
    assert note.startswith("items.csv: 2 rows cannot be read, such as 'i8,Pan, large'")


def test_true_and_false_are_ratings_1_and_0(tmp_path):
    rows = [(*row, place % 6 != 0) for place, row in enumerate(square())]
    options = {"rating_col": "is_read", "min_rating": 1, "min_user": 0, "min_item": 0}
    for path in (
        write_csv(tmp_path / "log.csv", rows, (*LOG, "title", "is_read")),
        write_parquet(tmp_path / "log.parquet", rows, (*LOG, "title", "is_read")),
    ):
        assert ready(path, **options).manifest["dropped"]["below_min_rating"] == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "pointer of Git LFS.*git lfs pull"),
        (b"\n <!doctype HTML><html>", "page of HTML"),
        (b"<html lang='en'>", "page of HTML"),
        (b"PK\x03\x04more", "packed as zip, or a spreadsheet"),
        (b"BZh91AY", "packed as bz2"),
    ],
)
@pytest.mark.parametrize("name", ["log.csv", "log.json"])
def test_what_stands_in_the_place_of_data_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        ready(tmp_path / name)
    with pytest.raises(DataError, match=message):
        ready(write_csv(tmp_path / "good.csv", square()), items=tmp_path / name)


def test_a_list_of_items_in_a_row_becomes_an_event_of_each(tmp_path):
    lines = [
        json.dumps({"user": f"u{u}", "basket": {"items": [f"i{k}" for k in range(6)]}, "time": u}) for u in range(6)
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    data = ready(tmp_path / "log.jsonl", item_col="basket.items[]", missing_text="id")
    assert data.manifest["source"]["columns"]["item"] == "basket.items[]"
    assert {user: sorted(items) for user, items in histories(data).items()} == {
        f"u{u}": [f"i{k}" for k in range(6)] for u in range(6)
    }
