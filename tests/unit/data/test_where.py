"""Rows that count by a condition on their columns."""

import pytest
from data_files import histories, ready, square, write_csv, write_json_lines, write_parquet

from ssna.core.errors import DataError, SettingsError
from ssna.data import append, prepare

pytestmark = pytest.mark.slow

COLUMNS = ("user", "item", "time", "title", "event", "price")
RULES = {"min_user": 0, "min_item": 0}


def shop():
    """Every event twice: as a view, without a price, and as a purchase for twice its step."""
    for user, item, time, title in square():
        yield user, item, time, title, "view", None
        yield user, item, time, title, "purchase", (time - 1_000) * 2


def kept(data):
    return sum(map(len, histories(data).values()))


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("event = purchase", 36),
        ("event != purchase", 36),
        ("event in (purchase, cart)", 36),
        ("exists price", 36),
        ("not exists price", 36),
        ("price > 4", 18),
        ("price >= 4 and event = purchase", 24),
        ("price != 4", 30),
        ("not price = 4", 66),
        ("price < 4 or event = view", 48),
        ("item = 'i1' or user in (u1, u2)", 32),
    ],
)
def test_rows_count_that_are_as_the_condition_says(tmp_path, where, count):
    data = ready(write_csv(tmp_path / "log.csv", list(shop()), COLUMNS), where=where, **RULES)
    assert kept(data) + data.manifest["dropped"]["short_history"] == count
    assert data.manifest["dropped"]["where"] == 72 - count
    assert where in data.manifest["rules"]["where"]


@pytest.mark.parametrize(("write", "kind"), [(write_json_lines, "jsonl"), (write_parquet, "parquet")])
def test_numbers_texts_and_what_is_missing_are_so_in_every_kind_of_file(tmp_path, write, kind):
    where = "(price >= 4 and event = purchase and price != 6) or (not exists price and user = u1)"
    data = ready(write(tmp_path / f"log.{kind}", list(shop()), COLUMNS), where=where, **RULES)
    assert kept(data) + data.manifest["dropped"]["short_history"] == 24


def test_the_rule_holds_for_what_is_appended(tmp_path):
    rows = list(shop())
    logs = [write_csv(tmp_path / f"{k}.csv", part, COLUMNS) for k, part in enumerate((rows[:50], rows[50:]))]
    prepare(logs[0], out=tmp_path / "data", where="event = purchase", quiet=True, **RULES)
    data = append(tmp_path / "data", logs[1], quiet=True)
    whole = ready(write_csv(tmp_path / "whole.csv", rows, COLUMNS), where="event = purchase", **RULES)
    assert histories(data) == histories(whole)
    assert data.manifest["dropped"] == whole.manifest["dropped"]


def test_what_cannot_be_evaluated_is_an_error_of_one_line(tmp_path):
    path = write_csv(tmp_path / "log.csv", list(shop()), COLUMNS)
    with pytest.raises(SettingsError, match=r"where = 'event in \(purchase': expected '\)' at the end"):
        ready(path, where="event in (purchase")
    with pytest.raises(DataError, match=r"has no column 'evnt'; did you mean 'event'"):
        ready(path, where="evnt = purchase")
    with pytest.raises(DataError, match=r"where 72\); no row may be as where says"):
        ready(path, where="event = refund")
