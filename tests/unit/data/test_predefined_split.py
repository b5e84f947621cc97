"""A split that the logs say: in a column, or by logs of their own."""

import numpy as np
import pandas as pd
import pytest
from data_files import histories

import ssna
from ssna.cli import main
from ssna.core.errors import DataError, SettingsError
from ssna.data import append, load, prepare, union
from ssna.data.subset import sample

pytestmark = pytest.mark.slow

DAYS = 10
TRAIN, VALID = 7, 8  # days before the beginning of validation, and of the test


def log(users=20, part=lambda user, day: "train" if day < TRAIN else "valid" if day < VALID else "test"):
    """User ``u`` takes item ``u + day`` each day."""
    rows = [
        (f"u{user}", f"i{(user + day) % 12}", f"2024-01-{day + 1:02}", f"Title {(user + day) % 12}", part(user, day))
        for user in range(users)
        for day in range(DAYS)
    ]
    return pd.DataFrame(rows, columns=["user", "item", "time", "title", "part"])


def split(logs=None, **options):
    return prepare(log() if logs is None else logs, split_col="part", quiet=True, **options)


def three(logs):
    return [logs[logs.part == part].drop(columns="part") for part in ("train", "valid", "test")]


def days(data, name):
    asked = data.split(name)
    return {
        (user, (int(item[1:]) - int(user[1:])) % 12)
        for user, item in zip(
            [data.users.external[row] for row in asked.users], data.items.ids(asked.targets), strict=True
        )
    }


def test_a_column_says_what_is_for_training_validation_and_test():
    data = split()
    assert days(data, "valid") == {(user, TRAIN) for user in data.users.external}
    assert days(data, "test") == {(user, VALID) for user in data.users.external}
    assert set(data.train.lengths) == {TRAIN}
    assert set(data.test.seen.lengths) == {VALID}
    assert data.manifest["split_events"] == {"train": 140, "valid": 20, "test": 40}
    assert "predefined: 140 train, 20 valid, 40 test events" in data.summary()
    assert data.manifest["source"]["columns"]["split"] == "part"


def test_words_may_be_those_that_others_write():
    words = {"train": " Train", "valid": "validation", "test": "TEST"}
    assert split(log().assign(part=lambda rows: rows.part.map(words))).fingerprint == split().fingerprint


@pytest.mark.parametrize("kind", ["frames", "csv", "parquet"])
def test_three_logs_are_as_one_with_a_column(tmp_path, kind):
    logs = three(log())
    if kind != "frames":
        for number, rows in enumerate(logs):
            path = tmp_path / f"{number}.{kind}"
            (rows.to_csv if kind == "csv" else rows.to_parquet)(path, index=False)
            logs[number] = path
    train, valid, test = logs
    data = prepare(train, valid_logs=valid, test_logs=test, quiet=True)
    assert data.fingerprint == split().fingerprint
    assert histories(data) == histories(split())


def test_texts_may_stand_in_a_file_of_items_for_all_three(tmp_path):
    items = log()[["item", "title"]].drop_duplicates()
    train, valid, test = (rows.drop(columns="title") for rows in three(log()))
    data = prepare(train, items, valid_logs=valid, test_logs=test, quiet=True)
    assert data.fingerprint == split().fingerprint


def test_the_split_counts_in_the_fingerprint_and_one_that_leaves_one_out_has_that_one():
    later = split(log(part=lambda user, day: "train" if day < 6 else "valid" if day < 8 else "test"))
    one_out = split(log(part=lambda user, day: "train" if day < 8 else "valid" if day < 9 else "test"))
    assert len({split().fingerprint, later.fingerprint, one_out.fingerprint}) == 3
    assert one_out.fingerprint == prepare(log(), quiet=True).fingerprint
    by_time = prepare(log(), split="time", valid_from="2024-01-08", test_from="2024-01-09", quiet=True)
    assert split().fingerprint == by_time.fingerprint


def test_it_is_kept_with_the_data_and_holds_for_a_sample_and_a_union(tmp_path):
    data = split(out=tmp_path / "data")
    again = load(tmp_path / "data")
    assert again.fingerprint == data.fingerprint
    assert days(again, "test") == days(data, "test")
    some = sample(again, 12, np.random.default_rng(0))
    assert days(some, "valid") == {(user, TRAIN) for user in some.users.external}
    both = union({"a": data, "b": again})
    assert both.manifest["split_events"] == {"train": 280, "valid": 40, "test": 80}
    with pytest.raises(DataError, match="prepare it anew from all logs"):
        append(tmp_path / "data", log(), quiet=True)


def test_damaged_parts_are_refused(tmp_path):
    split(out=tmp_path / "data")
    events = pd.read_parquet(tmp_path / "data" / "events.parquet")
    events.assign(split=events.split.to_numpy()[::-1]).to_parquet(tmp_path / "data" / "events.parquet", index=False)
    with pytest.raises(DataError, match="is damaged"):
        load(tmp_path / "data")


def test_repeats_that_count_once_count_where_they_came_first():
    doubled = pd.concat([log(), log().assign(part="test")])
    assert split(doubled, dedup="first").fingerprint == split(dedup="first").fingerprint


def test_users_with_a_part_alone_are_kept_and_said():
    def part(user, day):
        return {0: "train", 1: "test"}.get(user, "train" if day < TRAIN else "valid" if day < VALID else "test")

    data = split(log(part=part))
    assert len(data.users) == 20
    assert len(data.test) == len(data.valid) == 18
    assert "1 of 20 users have no test event" in data.summary()
    assert any("1 users have events for the test and none before" in warning for warning in data.warnings)


@pytest.mark.parametrize(("value", "said"), [("dev2", "'dev2' (20 rows)"), (None, "nothing (20 rows)")])
def test_an_unknown_part_is_an_error_with_its_value_and_its_rows(value, said):
    odd = log(
        part=lambda user, day: value if day == 3 else "train" if day < TRAIN else "valid" if day < VALID else "test"
    )
    with pytest.raises(DataError) as refused:
        split(odd)
    assert f"the column 'part' holds {said}" in str(refused.value)
    assert "where = 'part in (train, valid, test)'" in str(refused.value)
    assert len(split(odd, where="part in (train, valid, test)").histories.items) == 180


def test_a_target_with_later_events_before_it_is_warned_of_with_figure_and_example():
    def part(user, day):
        test, valid = (3, 2) if user < 5 else (9, 8)
        return {test: "test", valid: "valid"}.get(day, "train")

    data = split(log(part=part))
    assert any("5 of 20 test targets (25%) have later events of the same user" in each for each in data.warnings)
    assert any("such as those of user u0:" in each for each in data.warnings)
    assert data.items.ids(data.test.targets[:1]) == ["i3"]
    assert not any("later events" in each for each in split().warnings)


def test_nobody_with_an_event_for_the_test_is_an_error():
    with pytest.raises(DataError, match="no user has an event for test"):
        split(log(part=lambda user, day: "train" if day < TRAIN else "valid"))


THREE = "valid_logs and test_logs"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split_col": "part", "split": "time"}, "'part': it is a split of its own; leave split = 'time' out"),
        ({"split": "predefined"}, f"split = 'predefined': say where it stands, with split_col, or {THREE}"),
        ({"valid_logs": log()}, "valid_logs needs test_logs, too"),
        ({"valid_logs": log(), "test_logs": log(), "split": "none"}, f"split = 'none': {THREE} are a split"),
    ],
)
def test_options_that_contradict_each_other_are_named(options, said):
    with pytest.raises(SettingsError) as refused:
        prepare(log(), quiet=True, **options)
    assert said in str(refused.value)


def test_a_format_without_columns_of_ones_own_says_so(tmp_path):
    (tmp_path / "sequences.txt").write_text("u1 i1 i2 i3\n")
    with pytest.raises(DataError, match="read of tables, not of the format sequences"):
        prepare(tmp_path / "sequences.txt", format="sequences", split_col="part", missing_text="id", quiet=True)


def command(*words):
    """The exit code of ``ssna prepare``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["ssna", "prepare", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return ended.value.code or 0


def test_the_command_line_has_both(tmp_path):
    log().to_csv(tmp_path / "log.csv", index=False)
    for name, rows in zip(("train", "valid", "test"), three(log()), strict=True):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    files = {name: str(tmp_path / f"{name}.csv") for name in ("log", "train", "valid", "test")}
    out = {name: str(tmp_path / name) for name in ("one", "two")}
    assert command(files["log"], "--split-col", "part", "-o", out["one"], "--quiet") == 0
    logs = ["--valid-logs", files["valid"], "--test-logs", files["test"]]
    assert command(files["train"], *logs, "-o", out["two"], "--quiet") == 0
    assert ssna.load_data(out["one"]).fingerprint == ssna.load_data(out["two"]).fingerprint == split().fingerprint
    assert command(out["one"], "--append", files["log"], *logs, "-o", out["two"]) == 2
