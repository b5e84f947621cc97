"""``ssna prepare --check`` and what a run says of itself."""

import csv
import json

import pytest
from typer.testing import CliRunner

from ssna.cli import app
from ssna.data import load

pytestmark = pytest.mark.slow

ITEMS = [(f"i{k}", f"Title {k % 5}") for k in range(8)]


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch):
    """Six users and items, a core of five; and of everything that the doctor looks for, a known number."""
    monkeypatch.chdir(tmp_path)
    rows = [(f"u{user}", f"i{(user + step) % 6}", 1_000 + step) for user in range(6) for step in range(6)]
    rows += [("u1", "i1", 1_000)] * 2  # the same event again
    rows += [("u2", "i5", 1_005), ("u3", "i0", 1_005)]  # beside the user's last one: u2 has i1, u3 has i2
    rows += [("", "i1", 1), ("u1", "", 1), ("u1", "i1", "soon"), ("u1", "i9", 1)]
    rows += [("guest", "i6", 1), ("v", "i6", 1)] + [("v", f"i{k}", 1) for k in range(4)]  # i6 falls, and then v
    for name, columns, content in (
        ("log.csv", ("user", "item", "time"), rows),
        ("items.csv", ("item", "title"), ITEMS),
    ):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([columns, *content])
    return tmp_path


def prepare(*options):
    return CliRunner().invoke(app, ["prepare", "log.csv", "--items", "items.csv", *map(str, options)])


def test_check_finds_what_is_there_and_writes_nothing(shop):
    done = prepare("--check", "--json", "--quiet")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {reason: count for reason, count in found["dropped"].items() if count} == {
        "no_user": 1,
        "no_item": 1,
        "no_time": 1,
        "no_text": 1,
        "below_min_user": 1 + 4,
        "below_min_item": 1,
    }
    assert found["rows_read"] == 50 == found["interactions"] + sum(found["dropped"].values())
    checks = found["checks"]
    assert (checks["users_read"], checks["items_read"]) == (8, 8)
    assert (checks["items_without_text"], checks["items_never_named"]) == (1, 1)
    assert checks["same_time"] == {"events": 4, "valid_targets": 2, "test_targets": 2, "duplicates": 2}
    assert [(each["users"], each["items"]) for each in checks["core_rounds"]] == [(1, 1), (1, 0)]
    assert found["statistics"]["repeats"] == 4
    assert found["statistics"]["items_of_equal_text"] == 1
    assert sorted(path.name for path in shop.iterdir()) == ["items.csv", "log.csv"]


def test_check_prints_everything_for_people():
    done = prepare("--check", "--quiet")
    assert done.exit_code == 0, done.output
    printed = " ".join(done.stdout.split())
    for part in (
        "read 50",
        "- no_time 1",
        "= kept 40",
        "Rounds of the k-core",
        "5-6 3 ########",
        "test targets that only the rule for ties decides 2 (33.3%)",
        "the rule for ties: events of a user at the same time",
        "items with text that no event names 1",
    ):
        assert part in printed
    assert done.stderr == ""


def test_the_summary_is_short_and_says_how_many_targets_depend_on_ties():
    done = prepare("-o", "data")
    assert "2 (33.3%) test targets are last by the rule for ties alone" in done.stderr
    assert "6 of 8, 6.7 events each" in done.stderr
    assert "warning   the first event is of 1970-" in done.stderr
    assert "warning   times such as 'soon' cannot be read; write ISO dates" in done.stderr
    assert len(done.stderr.splitlines()) <= 15


def test_what_was_checked_stays_in_the_manifest():
    checked = json.loads(prepare("--check", "--json", "--quiet").stdout)
    assert prepare("-o", "data").exit_code == 0
    assert {**load("data").manifest, "statistics": checked["statistics"]} == checked


@pytest.mark.parametrize(("dedup", "left"), [("none", 40), ("same", 38), ("first", 36), ("last", 36)])
def test_repeats_go_as_asked_and_are_counted(dedup, left):
    manifest = json.loads(prepare("--check", "--json", "--quiet", "--dedup", dedup).stdout)
    assert (manifest["interactions"], manifest["dropped"]["duplicate"]) == (left, 40 - left)


@pytest.mark.parametrize(("dedup", "places"), [("first", [0, 1]), ("last", [1, 0])])
def test_the_first_or_the_last_of_a_users_events_on_an_item_stays(shop, dedup, places):
    rows = [("a", "x", 1), ("a", "y", 2), ("a", "z", 4), ("a", "x", 3)]
    with (shop / "log.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("user", "item", "time"), *rows])
    options = ("--min-user", 0, "--min-item", 0, "--missing-text", "id", "--dedup", dedup, "-o", "data")
    assert prepare(*options).exit_code == 0
    data = load("data")
    assert data.items.ids(data.histories.items[:2]) == [["x", "y"][place] for place in places]


@pytest.mark.parametrize("name", ["lengths.png", "lengths.svg", "deep/lengths.pdf"])
def test_a_picture_of_the_lengths_is_drawn(shop, name):
    done = prepare("--check", "--plot", name)
    assert done.exit_code == 0
    assert f"drawn: {name}" in done.stderr
    assert (shop / name).stat().st_size > 1_000


def test_a_picture_of_no_known_kind_is_refused_before_anything_is_read(shop):
    done = prepare("-o", "data", "--plot", "lengths.bmp")
    assert "ends in one of .png, .svg, .pdf" in str(done.exception)
    assert not (shop / "data").exists()


@pytest.mark.parametrize("options", [(), ("--check", "-o", "data")])
def test_either_a_folder_or_a_check_is_asked_for(options):
    assert prepare(*options).exit_code == 2
