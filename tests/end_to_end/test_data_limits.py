"""A rating threshold and a window of time: what they leave out is counted, and nothing else changes."""

import datetime as dt
import json

import pytest
from amazon_files import meta_2014, ratings, reviews
from command_line import ssna
from data_files import atomic, dropped, ready, square, write_csv, write_parquet
from movielens_files import colons

from ssna.core.errors import DataError, SettingsError

pytestmark = pytest.mark.slow

RATED = ("user", "item", "time", "title", "rating")


def rated(rating=4.5):
    return [(*row, rating) for row in square()]


@pytest.fixture
def plain(tmp_path):
    return ready(write_csv(tmp_path / "plain.csv", square())).fingerprint


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_events_rated_too_low_or_not_at_all_are_counted_and_gone(tmp_path, plain, write):
    low, none = [("u1", "i2", 5, "", 3.5)] * 2, [("u1", "i3", 5, "", None), ("u1", "i3", 5, "", float("nan"))]
    data = ready(write(tmp_path / f"log.{write.__name__[6:]}", [*low, *rated(), *none], RATED), min_rating=4)
    assert data.fingerprint == plain
    assert dropped(data) == {"no_rating": 2, "below_min_rating": 2}
    assert data.manifest["rows_read"] == 40
    assert data.manifest["rules"]["rating"] == "events rated below 4, or not at all, are dropped"


def test_a_rating_at_the_threshold_is_high_enough(tmp_path, plain):
    path = write_csv(tmp_path / "log.csv", rated(), ("user", "item", "time", "title", "how good"))
    assert ready(path, rating_col="how good", min_rating=4.5).fingerprint == plain
    with pytest.raises(DataError, match=r"below_min_rating 36.*lower min_rating"):
        ready(path, rating_col="how good", min_rating=4.51)


def test_without_a_threshold_ratings_are_not_looked_at(tmp_path, plain):
    data = ready(write_csv(tmp_path / "log.csv", rated(rating="bad"), RATED))
    assert data.fingerprint == plain
    assert not {"no_rating", "below_min_rating", "before_since", "after_until"} & data.manifest["dropped"].keys()
    assert not {"rating", "window"} & data.manifest["rules"].keys()


@pytest.mark.parametrize("make", ["amazon reviews", "amazon ratings", "amazon 2023", "movielens", "recbole"])
def test_formats_know_the_column_of_their_ratings(tmp_path, make):
    if make == "amazon reviews":
        options = {"logs": reviews(tmp_path / "reviews_X.json.gz"), "items": meta_2014(tmp_path / "meta_X.json.gz")}
    elif make == "amazon ratings":
        options = {"logs": ratings(tmp_path / "ratings_X.csv", (0, 1, 2, 3)), "missing_text": "id"}
    elif make == "amazon 2023":
        header = "user_id,parent_asin,rating,timestamp"
        options = {"logs": ratings(tmp_path / "X.csv", (0, 1, 2, 3), header), "missing_text": "id"}
    elif make == "movielens":
        options = {"logs": tmp_path / colons("utf-8")(tmp_path)}
    else:
        rows = [(user, item, "4.0", time) for user, item, time, _ in square()]
        atomic(tmp_path / "x.inter", rows, ("user_id:token", "item_id:token", "rating:float", "timestamp:float"))
        atomic(tmp_path / "x.item", [(f"i{k}", f"Film {k}") for k in range(6)], ("item_id:token", "title:token_seq"))
        options = {"logs": tmp_path}
    log = options.pop("logs")
    assert ready(log, **options, min_rating=4).fingerprint == ready(log, **options).fingerprint
    with pytest.raises(DataError, match="below_min_rating 36"):
        ready(log, **options, min_rating=5.5)


def test_a_window_holds_its_first_moment_and_not_its_last(tmp_path, plain):
    others = [("u1", "i2", 999, ""), ("u1", "i2", 1_006, ""), ("u1", "i2", 5_000, "")]
    data = ready(write_csv(tmp_path / "log.csv", [*others, *square()]), since=1_000, until=1_006)
    assert data.fingerprint == plain
    assert dropped(data) == {"before_since": 1, "after_until": 2}
    expected = "only events from 1970-01-01T00:16:40Z and before 1970-01-01T00:16:46Z count"
    assert data.manifest["rules"]["window"] == expected


@pytest.mark.parametrize(
    "moment",
    [
        "1970-01-02",
        "1970-01-02T00:00:00Z",
        "1970-01-02 02:00+02:00",
        "86400",
        86_400,
        86_400.0,
        dt.date(1970, 1, 2),
        dt.datetime(1970, 1, 2),
        dt.datetime(1970, 1, 2, tzinfo=dt.UTC),
    ],
)
def test_a_moment_is_a_date_in_utc_or_seconds(tmp_path, moment):
    rows = [(user, item, 86_400 if time == 1_000 else time, title) for user, item, time, title in square()]
    data = ready(write_csv(tmp_path / "log.csv", rows), until=moment, min_item=0)
    assert dropped(data) == {"after_until": 6}
    with pytest.raises(DataError, match="before_since 30"):
        ready(write_csv(tmp_path / "log.csv", rows), since=moment, min_item=0)


def test_what_is_outside_the_window_needs_no_text(tmp_path):
    path = write_csv(tmp_path / "log.csv", [*square(), ("u1", "bare", 1, "")])
    assert dropped(ready(path, since=2, missing_text="fail")) == {"before_since": 1}
    with pytest.raises(DataError, match="item bare has no text"):
        ready(path, missing_text="fail")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"since": "soon"}, "since = 'soon': it is no time; give a date"),
        ({"until": "2020-02-30"}, "until = '2020-02-30': it is no time"),
        ({"since": "inf"}, "since = 'inf': it is no time"),
        ({"since": "2020-01-01", "until": "2020-01-01"}, "is not before until"),
        ({"rating_col": "stars"}, "rating_col = 'stars': it is for min_rating"),
    ],
)
def test_limits_that_make_no_sense_are_refused_before_anything_is_read(tmp_path, options, message):
    with pytest.raises(SettingsError, match=message):
        ready(tmp_path / "nowhere.csv", **options)


def test_a_format_without_ratings_or_times_says_so(tmp_path):
    (tmp_path / "sequences.txt").write_text("a 1 1 2 3\n")
    (tmp_path / "items.tsv").write_text("item\ttitle\n1\tOne\n2\tTwo\n3\tThree\n")
    with pytest.raises(DataError, match="sequences has no ratings; leave min_rating out"):
        ready(tmp_path, min_rating=1)
    with pytest.raises(DataError, match="has no times; leave since and until out"):
        ready(tmp_path, since=1)


def test_the_command_line_and_a_file_take_limits_too(tmp_path, capsys):
    log = write_csv(tmp_path / "log.csv", [*rated(), ("u1", "i1", 1_001, "", 1), ("u1", "i1", 86_400, "", 5)], RATED)
    config = tmp_path / "shop.toml"
    config.write_text('[prepare]\nmin_rating = 2\nuntil = 1970-01-02\nrating_col = "rating"\n')
    assert ssna("prepare", log, "--config", config, "--check", "--json", "--quiet") == 0
    from_file = json.loads(capsys.readouterr().out)
    assert from_file["dropped"]["below_min_rating"] == from_file["dropped"]["after_until"] == 1
    typed = ("--rating-col", "rating", "--min-rating", 2, "--until", "1970-01-02", "--since", 3)
    assert ssna("prepare", log, *typed, "--check", "--json", "--quiet") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["dropped"] == {**from_file["dropped"], "before_since": 0}
    assert found["fingerprint"] == from_file["fingerprint"]
