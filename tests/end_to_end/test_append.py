"""``ssna prepare --append``: yesterday's logs, and what came since."""

import json

import pyarrow.parquet as pq
import pytest
from command_line import ssna
from data_files import histories, square, texts, write_csv

from ssna.core.errors import DataError, SettingsError
from ssna.data import append, load, prepare, save

pytestmark = pytest.mark.slow

SHOP = ("--user-col", "who", "--item-col", "what", "--time-col", "at", "--text-cols", "label")
LOG, SHELF = ("who", "what", "at"), ("what", "label")
NEW = [("u9", f"i{k}", 2_000 + k) for k in range(5)] + [("u1", "i0", 3_000), ("u2", "i9", 3_000)]


@pytest.fixture
def shop(tmp_path):
    """Yesterday's data set with rules of its own, and today's logs."""
    write_csv(tmp_path / "old.csv", [row[:3] for row in square()] + [("", "i1", 5), ("u1", "i1", "soon")], LOG)
    write_csv(tmp_path / "items.csv", [(f"i{k}", f"Pan {k}") for k in range(6)], SHELF)
    write_csv(tmp_path / "new.csv", NEW, LOG)
    rules = ("--min-user", 4, "--min-item", 2, "--max-history", 7)
    assert ssna("prepare", tmp_path / "old.csv", "--items", tmp_path / "items.csv", *SHOP, *rules, "-o", tmp_path / "data", "--quiet") == 0  # fmt: skip  # noqa: E501
    return tmp_path


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_columns_and_rules_are_those_of_the_data_set_and_it_stays_as_it_is(shop, capsys):
    before = snapshot(shop / "data")
    assert ssna("prepare", "--append", shop / "new.csv", shop / "data", "-o", shop / "more", "--json", "--quiet") == 0
    manifest = json.loads(capsys.readouterr().out)
    assert snapshot(shop / "data") == before
    data = load(shop / "more")
    assert data.manifest == manifest
    assert histories(data)["u9"] == [f"i{k}" for k in range(5)]
    assert histories(data)["u1"][-1] == "i0"
    assert (manifest["users"], manifest["items"], manifest["max_history"], manifest["rows_read"]) == (7, 6, 7, 45)
    assert {reason: n for reason, n in manifest["dropped"].items() if n} == {"no_user": 1, "no_time": 1, "no_text": 1}
    assert manifest["source"]["files"] == ["old.csv", "items.csv", "new.csv"]
    joined = {"logs": "new.csv", "rows": 7, "interactions": 6, "repeats": 0, "again": []}
    assert manifest["appended_to"] == {"fingerprint": load(shop / "data").fingerprint, "users": 6, "items": 6, **joined}


def test_an_item_whose_text_comes_later_brings_its_events_back(shop):
    append(shop / "data", shop / "new.csv", out=shop / "more", quiet=True)
    write_csv(shop / "late.csv", [("u3", "i9", 9_000)], LOG)
    write_csv(shop / "shelf.csv", [("i9", "Pot")], SHELF)
    data = append(shop / "more", shop / "late.csv", shop / "shelf.csv", out=shop / "more", quiet=True)
    assert data.items.external == ("i0", "i1", "i2", "i3", "i4", "i5", "i9")
    assert texts(data)["i9"] == "Pot"
    assert (histories(data)["u2"][-1], histories(data)["u3"][-1]) == ("i9", "i9")
    assert data.manifest["dropped"]["no_text"] == 0
    assert load(shop / "more").fingerprint == data.fingerprint


@pytest.mark.parametrize(("first", "text"), [([], "X"), ([("item-5", "item-5")], "item-5")])
def test_an_id_that_served_as_text_gives_way_and_a_text_that_is_an_id_counts_as_any(tmp_path, first, text):
    rows = [(user, item.replace("i", "item-"), time) for user, item, time, _ in square()]
    logs = write_csv(tmp_path / "log.csv", rows, ("user", "item", "time"))
    shelves = [
        write_csv(tmp_path / f"items-{k}.csv", part, ("item", "title"))
        for k, part in enumerate((first, [("item-5", "X")]))
    ]
    rules = {"missing_text": "id", "min_user": 3, "min_item": 3, "quiet": True}
    prepare(logs, shelves[0], **rules, out=tmp_path / "data")
    new = write_csv(tmp_path / "new.csv", [("u1", "item-5", 9_000)], ("user", "item", "time"))
    assert texts(append(tmp_path / "data", new, shelves[1], quiet=True)) == {
        **{f"item-{k}": f"item-{k}" for k in range(5)},
        "item-5": text,
    }


def test_thresholds_of_ratings_and_windows_of_time_hold_for_what_is_appended(tmp_path):
    columns = (*LOG, "stars", "label")
    old = [(user, item, time, 1 + time % 5, title) for user, item, time, title in square(users=9)]
    new = [("u1", "i1", time, stars, "t") for time in (500, 1_002, 2_000) for stars in ("", 1, 5)]
    names = {"user_col": "who", "item_col": "what", "time_col": "at", "text_cols": "label", "rating_col": "stars"}
    rules = {"min_rating": 2, "since": 1_001, "until": 1_900, "min_user": 3, "min_item": 3, "quiet": True}
    logs = [write_csv(tmp_path / f"log-{k}.csv", part, columns) for k, part in enumerate((old, new))]
    whole = prepare(tmp_path / "log-*.csv", **names, **rules)
    prepare(logs[0], **names, **rules, out=tmp_path / "data")
    data = append(tmp_path / "data", logs[1], out=tmp_path / "data", quiet=True)
    assert (data.fingerprint, data.manifest["dropped"]) == (whole.fingerprint, whole.manifest["dropped"])
    again = append(tmp_path / "data", write_csv(tmp_path / "none.csv", [], columns), quiet=True)
    assert (again.fingerprint, again.manifest["dropped"]) == (whole.fingerprint, whole.manifest["dropped"])


def test_ratings_that_do_not_count_are_not_named(shop):
    with pytest.raises(SettingsError, match="was prepared without min_rating"):
        append(shop / "data", shop / "new.csv", rating_col="stars", quiet=True)


def test_another_format_with_columns_of_its_own_can_be_appended(shop):
    rows = [json.dumps({"customer": user, "sku": item, "date": time}) for user, item, time in NEW]
    (shop / "new.jsonl").write_text("\n".join(rows))
    columns = {"user_col": "customer", "item_col": "sku", "time_col": "date"}
    other = append(shop / "data", shop / "new.jsonl", **columns, quiet=True)
    assert other.fingerprint == append(shop / "data", shop / "new.csv", quiet=True).fingerprint


def test_the_summary_says_what_is_new(shop, capsys):
    assert ssna("prepare", "--append", shop / "new.csv", shop / "data", "-o", shop / "more") == 0
    told = capsys.readouterr().err
    assert "appended  7 of these events, from new.csv" in told
    assert "new       1 users, 0 items; all others keep their rows" in told
    assert "logs of this name" not in told


def test_data_that_an_earlier_version_appended_to_can_be_described(shop, capsys):
    assert ssna("prepare", "--append", shop / "new.csv", shop / "data", "-o", shop / "more") == 0
    manifest = json.loads((shop / "more" / "manifest.json").read_text())
    for name in ("again", "repeats", "logs", "rows", "interactions"):
        del manifest["appended_to"][name]
    (shop / "more" / "manifest.json").write_text(json.dumps(manifest))
    assert ssna("data", "describe", shop / "more") == 0


def test_logs_that_were_appended_before_are_noticed(shop, capsys):
    assert ssna("prepare", "--append", shop / "new.csv", shop / "data", "-o", shop / "more") == 0
    capsys.readouterr()
    assert ssna("prepare", "--append", shop / "new.csv", shop / "more", "-o", shop / "twice") == 0
    told = capsys.readouterr().err
    assert "warning   new.csv: logs of this name were in the data already" in told
    assert "warning   6 events repeat one of the same user, item and time" in told


def test_an_items_file_that_is_given_again_is_no_log_of_this_name(shop, capsys):
    words = ("prepare", "--append", shop / "new.csv", shop / "data", "--items", shop / "items.csv", "-o", shop / "more")
    assert ssna(*words) == 0
    assert "logs of this name" not in capsys.readouterr().err
    joined = load(shop / "more").manifest
    assert joined["appended_to"]["again"] == []
    assert joined["source"]["files"] == ["old.csv", "items.csv", "new.csv", "items.csv"]


def test_checking_appends_nothing(shop, capsys):
    assert ssna("prepare", "--append", shop / "new.csv", shop / "data", "--check", "--quiet") == 0
    assert "= kept" in capsys.readouterr().out
    assert sorted(path.name for path in shop.iterdir()) == ["data", "items.csv", "new.csv", "old.csv"]


@pytest.mark.parametrize("rule", [("--min-user", 5), ("--dedup", "none"), ("--split", "time"), ("--config", "x.toml")])
def test_a_rule_cannot_be_given_again(shop, capsys, rule):
    (shop / "x.toml").write_text("[prepare]\nmin_user = 3\n")
    rule = (rule[0], shop / rule[1] if rule[0] == "--config" else rule[1])
    assert ssna("prepare", "--append", shop / "new.csv", shop / "data", "-o", shop / "more", *rule) == 2
    assert "the rules of the data folder hold" in " ".join(capsys.readouterr().err.split())
    assert not (shop / "more").exists()


def without_dropped_rows(folder):
    (folder / "dropped.parquet").unlink()


def saved_again(folder):
    save(load(folder), folder)


def older(folder):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["options"]
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("change", [without_dropped_rows, saved_again, older])
def test_a_folder_without_its_dropped_rows_cannot_be_appended_to_and_says_so(shop, change):
    change(shop / "data")
    with pytest.raises(DataError, match=r"data does not keep the rows .*; prepare it anew from its logs"):
        append(shop / "data", shop / "new.csv", out=shop / "more", quiet=True)
    assert not (shop / "more").exists()


def rows_lost(folder):
    path = folder / "dropped.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)


def bytes_lost(folder):
    path = folder / "dropped_texts.parquet"
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("change", [rows_lost, bytes_lost])
def test_a_damaged_folder_is_named(shop, change):
    change(shop / "data")
    with pytest.raises(DataError, match=r"data is damaged: .*; run prepare again"):
        append(shop / "data", shop / "new.csv", quiet=True)


def test_logs_with_times_and_data_without_do_not_go_together(shop):
    (shop / "lines").mkdir()
    (shop / "lines/sequences.txt").write_text("a x y z\nb x y z\n")
    (shop / "lines/items.tsv").write_text("item\ttitle\nx\tX\ny\tY\nz\tZ\n")
    prepare(shop / "lines", out=shop / "untimed", quiet=True)
    with pytest.raises(DataError, match=r"new.csv has times and .*untimed has none"):
        append(
            shop / "untimed",
            shop / "new.csv",
            format="table",
            user_col="who",
            item_col="what",
            time_col="at",
            quiet=True,
        )
    with pytest.raises(DataError, match=r"data has times and .*sequences.txt has none"):
        append(shop / "data", shop / "lines", format="auto", quiet=True)


def test_a_data_set_in_memory_is_refused(shop):
    with pytest.raises(SettingsError, match="takes the folder"):
        append(load(shop / "data"), shop / "new.csv")


def test_an_error_leaves_no_folder(shop, capsys):
    write_csv(shop / "bad.csv", NEW, ("x", "y", "z"))
    assert ssna("prepare", "--append", shop / "bad.csv", shop / "data", "-o", shop / "more", "--quiet") == 1
    assert "bad.csv has no column 'who'" in capsys.readouterr().err
    assert not list(shop.glob("*more*"))
