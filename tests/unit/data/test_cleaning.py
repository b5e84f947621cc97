import hashlib

import pytest
from data_files import dropped, histories, square, texts, write_csv

from ssna.core.errors import DataError
from ssna.data import prepare

pytestmark = pytest.mark.slow


@pytest.fixture
def prepared(tmp_path):
    def prepared(rows, **options):
        return prepare(write_csv(tmp_path / "log.csv", rows), quiet=True, **options)

    return prepared


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("", "i1", 1, "t"), "no_user"),
        (("  ", "", "", ""), "no_user"),
        (("u1", "", "", "t"), "no_item"),
        (("u1", "bare", "", ""), "no_time"),
        (("u1", "bare", "soon", ""), "no_time"),
        (("u1", "bare", 1, ""), "no_text"),
        (("guest", "i1", 1, "t"), "below_min_user"),
        (("u1", "rare", 1, "t"), "below_min_item"),
    ],
)
def test_a_row_that_is_not_used_counts_under_its_first_reason(prepared, expected, row, reason):
    data = prepared([*square(), row])
    assert dropped(data) == {reason: 1}
    assert data.manifest["rows_read"] == 37
    assert data.fingerprint == expected


def test_every_reason_stands_in_the_manifest(prepared):
    assert list(prepared(square()).manifest["dropped"]) == [
        "unreadable_row",
        "no_user",
        "no_item",
        "no_time",
        "no_text",
        "duplicate",
        "below_min_user",
        "below_min_item",
        "short_history",
    ]


def test_users_below_three_events_go_even_where_the_core_is_off(prepared):
    rows = [("a", "i", 1, "t"), ("a", "j", 2, "t"), ("a", "k", 3, "t"), ("b", "i", 1, "t"), ("b", "l", 2, "t")]
    data = prepared(rows, min_user=0, min_item=0)
    assert dropped(data) == {"short_history": 2}
    assert data.items.external == ("i", "j", "k")


def test_a_low_threshold_keeps_its_name_below_itself_and_short_history_above(prepared):
    rows = [("a", item, 1, "t") for item in "ijk"] + [("b", "i", 1, "t"), ("c", "i", 1, "t"), ("c", "j", 1, "t")]
    assert dropped(prepared(rows, min_user=2, min_item=0)) == {"below_min_user": 1, "short_history": 2}


def test_the_core_goes_on_in_rounds_until_nothing_falls(prepared):
    # Item x falls, so user v has 4 events left and falls, so item y has 4 left and falls, and then user w.
    chain = [("v", "x", 1, "t"), *(("v", f"i{k}", 1, "t") for k in range(3)), ("v", "y", 1, "t")]
    chain += [("w", "y", time, "t") for time in range(4)] + [("w", "i0", 1, "t")]
    assert dropped(prepared([*square(), *chain])) == {"below_min_user": 5, "below_min_item": 5}


def test_events_are_in_the_order_of_time_whatever_the_order_of_the_rows(prepared):
    data = prepared(square()[::-1])
    assert histories(data)["u2"] == ["i2", "i3", "i4", "i5", "i0", "i1"]


def test_fractions_of_a_second_count_for_the_order_and_not_in_the_stored_times(prepared):
    rows = [("a", item, f"2020-01-01T00:00:00.{tenth}", "t") for item, tenth in zip("kji", (3, 5, 7), strict=True)]
    data = prepared(rows, min_user=0, min_item=0)
    assert histories(data)["a"] == ["k", "j", "i"]
    assert data.histories.times.tolist() == [1_577_836_800] * 3


def test_events_at_the_same_time_are_in_the_order_of_the_md5_of_user_and_item(prepared):
    data = prepared([(user, item, 7, title) for user, item, _, title in square()])
    for user, items in histories(data).items():
        assert items == sorted(items, key=lambda item: hashlib.md5(f"{user}\x1f{item}".encode()).hexdigest())


def test_users_and_items_are_numbered_in_the_order_of_their_ids_as_text(prepared):
    rename = {f"i{k}": name for k, name in enumerate(["10", "9", "B", "a", "é", "Z"])}
    data = prepared([(user, rename[item], time, title) for user, item, time, title in square()])
    assert data.items.external == ("10", "9", "B", "Z", "a", "é")
    assert data.users.external == ("u0", "u1", "u2", "u3", "u4", "u5")


def test_repeats_of_an_event_stay(prepared):
    data = prepared([*square(), ("u1", "i1", 1_000, "Title 1")])
    assert histories(data)["u1"][:2] == ["i1", "i1"]


def test_an_item_without_text_can_go_by_its_id(prepared):
    rows = [(user, item, time, "" if item == "i3" else title) for user, item, time, title in square()]
    data = prepared(rows, missing_text="id")
    assert texts(data)["i3"] == "i3"
    assert texts(data)["i4"] == "Title 4"
    assert dropped(data) == {}


def test_an_item_without_text_can_stop_everything(prepared):
    rows = [(user, item, time, "" if item in ("i3", "i2") else title) for user, item, time, title in square()]
    with pytest.raises(DataError, match=r"item i2 has no text \(12 events"):
        prepared(rows, missing_text="fail")


def test_text_is_not_missed_where_every_item_has_some(prepared, expected):
    assert prepared(square(), missing_text="fail").fingerprint == expected


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], {}, "holds no events"),
        (square(), {"min_user": 7}, "below_min_user 36.*lower min_user or min_item"),
        (square(), {"min_item": 7}, "below_min_item 36.*lower min_user or min_item"),
        (square(), {"time_col": "title"}, "no_time 36.*check the time column"),
        ([(user, item, time, "") for user, item, time, _ in square()], {}, "no_text 36.*missing_text = 'id'"),
    ],
)
def test_when_nobody_is_left_the_error_says_why_and_what_to_do(prepared, rows, options, message):
    with pytest.raises(DataError, match=message):
        prepared(rows, **options)
