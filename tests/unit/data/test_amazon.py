"""The three releases of Amazon's reviews, in files of our own making that have their true form."""

import gzip
import json

import pytest
from amazon_files import (
    EVENTS,
    EXPECTED,
    ITEMS,
    NIGHT,
    SOURCES,
    asin,
    meta_2014,
    meta_2018,
    packed,
    ratings,
    reviews,
    user_id,
)
from data_files import dropped, histories, square, texts, write_csv

from ssna.core.errors import DataError
from ssna.data import prepare

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("source", SOURCES)
def test_every_release_is_recognised_and_gives_the_same_data(tmp_path, source):
    logs, meta = SOURCES[source](tmp_path)
    data = prepare(logs, items=meta, quiet=True)
    read = data.manifest["source"]
    assert (read["format"], read["files"]) == ("amazon", [logs.name, meta.name])
    assert read["columns"]["item"] in ("asin", "parent_asin", "1", "2")
    assert read["columns"]["text"][0] == "title"
    assert (data.manifest["rows_read"], dropped(data)) == (36, {})
    assert data.users.external[2] == "A002YS9MDZP93857"
    assert histories(data)[user_id("u1")] == [asin(f"i{k}") for k in (1, 2, 3, 4, 5, 0)]
    assert data.histories.times[:2].tolist() == [NIGHT, NIGHT + 86_400]
    assert texts(data)[asin("i4")] == EXPECTED


def test_python_dictionaries_are_text_and_nothing_in_them_runs(tmp_path):
    meta = meta_2014(tmp_path / "meta.json.gz")
    lines = gzip.decompress(meta.read_bytes()).decode().splitlines()
    trap = tmp_path / "trap"
    lines += [f"{{'asin': open({str(trap)!r}, 'w'), 'title': 'x'}}", "{'asin': __import__('os').getcwd()}", "{'asin': "]
    packed(meta, lines)
    data = prepare(reviews(tmp_path / "reviews.json.gz"), items=meta, quiet=True)
    assert texts(data)[asin("i4")] == EXPECTED
    assert not trap.exists()


def test_reviews_may_be_python_dictionaries_too_and_bad_lines_are_counted(tmp_path):
    rows = [repr({"reviewerID": u, "asin": i, "unixReviewTime": t}) for u, i, _, t in EVENTS]
    logs = packed(
        tmp_path / "reviews.json.gz", [*rows, "{'reviewerID': 'A1'", "{'a': 1 + 1}", "{'a': u'\\ud800'}", "x"]
    )
    data = prepare(logs, items=meta_2014(tmp_path / "meta.json.gz"), quiet=True)
    assert data.manifest["rows_read"] == 40
    assert dropped(data)["unreadable_row"] + dropped(data).get("no_user", 0) == 4


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3)])
def test_a_few_ids_that_look_like_the_other_kind_do_not_turn_users_and_items_round(tmp_path, order):
    logs = ratings(tmp_path / "ratings.csv", order)
    odd = ("B00000USER", "oddItem", 1.0, NIGHT)
    logs.write_text(logs.read_text() * 10 + ",".join(str(odd[place]) for place in order) + "\n")
    data = prepare(logs, items=meta_2014(tmp_path / "meta.json.gz"), quiet=True)
    assert data.items.external == tuple(sorted(ITEMS))


def test_where_the_values_do_not_tell_users_from_items_the_message_says_what_to_give(tmp_path):
    logs = tmp_path / "ratings.csv"
    logs.write_text("".join(f"B00000000{k},B00000000{j},5.0,{NIGHT + k}\n" for k in range(6) for j in range(6)))
    with pytest.raises(
        DataError, match=r"user_col = '1' and item_col = '2' if it is of 2014, user_col = '2' and item_col = '1'"
    ):
        prepare(logs, missing_text="id", quiet=True)
    one, two = (
        prepare(logs, user_col=user, item_col=item, missing_text="id", min_user=0, min_item=0, quiet=True)
        for user, item in (("1", "2"), ("2", "1"))
    )
    assert one.manifest["users"] == two.manifest["users"] == 6
    assert one.fingerprint != two.fingerprint


def test_several_categories_at_once_are_a_pattern(tmp_path):
    for place, part in enumerate((EVENTS[:20], EVENTS[20:])):
        packed(
            tmp_path / f"reviews_{place}.json.gz",
            (json.dumps({"reviewerID": u, "asin": i, "unixReviewTime": t}) for u, i, _, t in part),
        )
    data = prepare(tmp_path / "reviews_*.json.gz", items=meta_2018(tmp_path / "meta_Home.json.gz"), quiet=True)
    assert data.manifest["rows_read"] == 36
    assert data.manifest["source"]["files"] == ["reviews_0.json.gz", "reviews_1.json.gz", "meta_Home.json.gz"]


def test_without_the_meta_file_the_remedy_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no column of item text is known.*items' own file \(items\)"):
        prepare(reviews(tmp_path / "reviews.json.gz"), quiet=True)
    assert prepare(reviews(tmp_path / "reviews.json.gz"), missing_text="id", quiet=True).texts[1] == "037540404X"


def test_a_table_that_is_not_of_amazon_is_refused_under_its_name(tmp_path):
    with pytest.raises(DataError, match=r"has no user as Amazon's files have \(reviewerID or user_id\)"):
        prepare(write_csv(tmp_path / "log.csv", square()), format="amazon", quiet=True)


def test_a_truncated_file_is_an_error_of_one_line(tmp_path):
    for logs in (reviews(tmp_path / "reviews.json.gz"), meta_2014(tmp_path / "meta.json.gz")):
        logs.write_bytes(logs.read_bytes()[: logs.stat().st_size // 2])
    whole = reviews(tmp_path / "whole.json.gz")
    for logs, meta in ((tmp_path / "reviews.json.gz", None), (whole, tmp_path / "meta.json.gz")):
        with pytest.raises(DataError, match="cannot be read; is it whole"):
            prepare(logs, items=meta, format="amazon", missing_text="id", quiet=True)
