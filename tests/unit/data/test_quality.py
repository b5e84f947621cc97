"""What may not be as it was meant is said with a figure, an example and a remedy; and what is fine is not."""

import datetime as dt
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

from ssna.cli import app
from ssna.core.errors import DataError
from ssna.data import append, prepare
from ssna.data.quality import alike, equal_files

pytestmark = pytest.mark.slow

START = 1_600_000_000
COLUMNS = ["user", "item", "time", "title"]


def healthy(users=120, items=30, events=8):
    """A log that nothing is wrong with: no repeats, every item known and described, enough users."""
    rows = [
        (
            f"u{user}",
            f"i{(user + step * step) % items}",
            START + 86_400 * step + user,
            f"Title {(user + step * step) % items}",
        )
        for user in range(users)
        for step in range(events)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def warnings(logs, items=None, **options):
    return prepare(logs, items, quiet=True, **options).warnings


def the_one(found, start):
    return next((warning for warning in found if start in warning), f"none of {found}")


def test_a_healthy_log_gets_no_warning():
    assert warnings(healthy()) == ()


def test_duplicated_rows_are_counted_with_an_example():
    log = healthy()
    twice = pd.concat([log, log.head(100)])
    expected = (
        "100 of 1,060 events (9%) repeat another of the same user, item and time, such as user u0, item i0, "
        "2020-09-13 12:26:40; if rows stand twice in the logs, count them once: dedup = 'same'"
    )
    assert the_one(warnings(twice), "repeat another") == expected
    assert not any("repeat another" in warning for warning in warnings(twice, dedup="same"))
    assert not any("repeat another" in warning for warning in warnings(pd.concat([log, log.head(40)])))


def test_two_files_of_equal_content_are_named(tmp_path):
    for name in ("monday.csv", "copy.csv"):
        healthy().to_csv(tmp_path / name, index=False)
    healthy().head(10).to_csv(tmp_path / "other.csv", index=False)
    found = the_one(warnings(tmp_path), "same content")
    assert found == "copy.csv and monday.csv have the same content, and both count; give one of them"
    assert equal_files([tmp_path / "monday.csv", tmp_path / "other.csv"]) == []


def test_logs_that_are_appended_twice_are_said(tmp_path):
    log = healthy()
    prepare(log, out=tmp_path / "data", quiet=True)
    found = append(tmp_path / "data", log, quiet=True).warnings
    assert the_one(found, "repeat another").startswith("960 of 1,920 events (50%) repeat another")


def test_users_who_buy_the_same_again_are_said_to():
    log = healthy()
    last = log.groupby("user").head(1).assign(time=START + 10**7)
    expected = (
        "120 of 120 test targets (100%) stand in the user's own history: your users come back to items; with seen "
        "items excluded these are misses, so go by the figures with seen items included, and recommend with "
        "exclude_seen = False"
    )
    assert the_one(warnings(pd.concat([log, last])), "own history") == expected


def test_a_user_with_far_more_events_than_others_is_named():
    log = healthy()
    bot = pd.DataFrame([("bot", f"i{k % 30}", START + k, f"Title {k % 30}") for k in range(900)], columns=COLUMNS)
    found = the_one(warnings(pd.concat([log, bot])), "user bot has 900 of 1,860 events (48.4%), 112 times the median")
    assert found.endswith("if it is a bot, a till or a guest account, leave it out of the logs")
    assert warnings(healthy(users=120)) == ()


@pytest.mark.parametrize("text", ["NA", "unknown", "-"])
def test_a_text_that_says_nothing_is_named(text):
    log = healthy()
    log.loc[log["item"].isin(["i1", "i2", "i3"]), "title"] = text
    assert f"3 items have the text {text!r}, which says nothing; leave it empty" in warnings(log)


def test_a_text_that_many_items_share_is_named():
    log = healthy(items=30)
    log.loc[log["item"].isin([f"i{k}" for k in range(12)]), "title"] = "Gift card"
    found = the_one(warnings(log), "items have one text")
    assert found.startswith(
        "12 of 30 items have one text, 'Gift card': texts cannot tell them apart; give more columns"
    )


def test_items_that_cannot_be_recommended_are_counted_by_the_reason():
    log = healthy()
    rare = pd.DataFrame([("u1", f"rare{k}", START, "Rare") for k in range(4)], columns=COLUMNS)
    described = [*[f"i{k}" for k in range(30)], *[f"rare{k}" for k in range(3)], *[f"never{k}" for k in range(5)]]
    catalogue = pd.DataFrame({"item": described, "title": [f"Title {k}" for k in described]})
    found = the_one(warnings(pd.concat([log, rare]).drop(columns="title"), catalogue), "cannot be recommended")
    assert found.startswith(
        "9 of 39 items cannot be recommended: 3 with too few events, 5 in no event, 1 without text; keep those with "
        "text as new ones (keep_items = 'text'), or lower min_item"
    )


def test_ids_that_do_not_meet_are_shown_one_of_each_side():
    log = healthy(items=30)
    log["item"] = log["item"].str[1:]
    described = pd.DataFrame({"item": [f"{k:06}" for k in range(30)], "title": [f"Title {k}" for k in range(30)]})
    with pytest.raises(
        DataError, match="the logs have items such as '0', the texts such as '000000'; check that items"
    ):
        prepare(log.drop(columns="title"), described, quiet=True)
    described.loc[:9, "item"] = [str(k) for k in range(10)]
    found = the_one(warnings(log.drop(columns="title"), described, min_user=0, min_item=0), "without text: ")
    assert re.fullmatch(
        r"\d+ of 960 events \(\d\d%\) are of items without text: '10' in the logs, '000010' in the items; write ids "
        "alike in both",
        found,
    )


def test_few_users_to_evaluate_on_are_said():
    assert warnings(healthy(users=60)) == (
        "there are 60 users to evaluate on: figures of so few differ by chance; give more logs, lower min_user, or "
        "read figures with care",
    )
    assert warnings(healthy(users=60), split="none") == ()


def test_events_in_the_future_are_counted():
    log = healthy()
    ahead = dt.datetime.now(dt.UTC) + dt.timedelta(days=400)
    log.loc[log["user"] == "u3", "time"] += int(ahead.timestamp()) - START
    found = the_one(warnings(log), "in the future")
    assert found.startswith("8 events are in the future, the last of 20")


def test_the_command_line_names_options_as_it_has_them(tmp_path):
    log = healthy()
    pd.concat([log, log.head(100)]).to_csv(tmp_path / "log.csv", index=False)
    prepared = CliRunner().invoke(app, ["prepare", str(tmp_path / "log.csv"), "-o", str(tmp_path / "data")])
    described = CliRunner().invoke(app, ["data", "describe", str(tmp_path / "data")])
    for said in (prepared.stderr, described.stdout):
        assert "count them once: --dedup same" in said
        assert "\0" not in said


def test_ids_are_alike_but_for_zeros_case_and_signs():
    assert alike(["x", "107"], ["zz", "000107"]) == ["107", "000107"]
    assert alike(["SKU-1"], ["sku_1"]) == ["SKU-1", "sku_1"]
    assert alike(["a"], ["b"]) == ["a", "b"]
    assert alike([], ["b"]) is None


def test_data_without_times_are_measured_too(tmp_path):
    rows = [f"u{user}\t" + "\t".join(f"i{(user + step) % 12}" for step in range(8)) for user in range(120)]
    (tmp_path / "sequences.txt").write_text("\n".join(rows).replace("\t", " ") + "\n")
    lines = ["item\ttitle", *(f"i{k}\tTitle {k}" for k in range(12))]
    (tmp_path / "items.tsv").write_text("\n".join(lines) + "\n")
    assert warnings(tmp_path / "sequences.txt") == ()
