"""A split by time through the command line: some customers come too late to train on, some are not asked."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import ssna
from data_files import write_csv

from ssna.data import load
from ssna.runs import train

pytestmark = pytest.mark.slow

NEW = "gadget-new"  # sold after training only, every other time
SMALL = ("training.epochs=1", "training.batch_size=64", "loss.num_negatives=8", "dim=32", "sequence.ffn_dim=32")
COLUMNS = ("--user-col", "customer", "--item-col", "sku", "--time-col", "date", "--text-cols", "title")
RULES = ("--min-user", "2", "--min-item", "2", "--split", "time")


@pytest.fixture(scope="module")
def purchases():
    """Sixty customers, each two days later than the one before."""
    rng = np.random.default_rng(0)
    rows = []
    for customer in range(60):
        for step in range(2 + customer % 6):
            day = np.datetime64("2024-01-01") + 2 * customer + 7 * step
            number = rng.integers(12)
            item = NEW if day > np.datetime64("2024-04-28") and number % 2 else f"gadget-{number}"
            rows.append((f"c{customer}", item, str(day), f"A fine {item}"))
    return rows


@pytest.fixture(scope="module")
def shop(purchases, tmp_path_factory):
    """Data and three runs, each made by its verb."""
    folder = tmp_path_factory.mktemp("shop")
    logs = write_csv(folder / "log.csv", purchases, ("customer", "sku", "date", "title"))
    assert ssna("prepare", logs, *COLUMNS, *RULES, "-o", folder / "data", "--quiet") == 0
    small = [word for setting in SMALL for word in ("--set", setting)]
    for method, settings in (("popularity", []), ("item-knn", []), ("ids", small)):
        out = folder / "runs" / method
        assert ssna("train", folder / "data", "-o", out, "--method", method, *settings, "--quiet") == 0
    return folder


def test_the_summary_says_the_moments_who_is_asked_and_what_training_never_saw(shop, tmp_path, capsys):
    assert ssna("prepare", shop / "log.csv", *COLUMNS, *RULES, "-o", tmp_path / "data") == 0
    summary, data = capsys.readouterr().err, load(shop / "data")
    dates = [data.manifest["moments"][name]["date"] for name in ("valid", "test")]
    assert "time: validation from {}, test from {}".format(*dates) in summary
    assert f"{len(data.valid)} users in validation, {len(data.test)} in test" in summary
    assert f"({data.unseen_targets} test targets never occur in training)" in summary


def test_the_shop_has_what_a_split_by_time_brings_with_it(shop):
    data = load(shop / "data")
    assert len(data.users) == 60  # two events are enough
    assert data.train.lengths.min() == 0
    assert 0 < len(data.valid) < len(data.users)
    assert len(data.valid) != len(data.test)
    assert 0 < data.unseen_targets < len(data.test)


def test_neither_the_order_of_the_rows_nor_a_later_year_changes_the_fingerprint(purchases, shop, tmp_path):
    shuffled = [purchases[place] for place in np.random.default_rng(1).permutation(len(purchases))]
    shifted = [(user, item, str(np.datetime64(day) + 365), text) for user, item, day, text in shuffled]
    logs = write_csv(tmp_path / "log.csv", shifted, ("customer", "sku", "date", "title"))
    assert ssna("prepare", logs, *COLUMNS, *RULES, "-o", tmp_path / "data", "--quiet") == 0
    assert load(tmp_path / "data").fingerprint == load(shop / "data").fingerprint


@pytest.mark.parametrize("method", ["popularity", "item-knn", "ids"])
def test_a_run_ranks_those_who_are_asked_and_says_how_it_was_split(shop, method):
    data, run = load(shop / "data"), shop / "runs" / method
    record = json.loads((run / "record.json").read_text())
    assert (record["data"]["split"], record["users"]) == ("time", len(data.test))
    ranks = pq.read_table(run / "ranks.parquet").to_pylist()
    for name, split in (("valid", data.valid), ("test", data.test)):
        found = [(row["user"], row["target"], row["history"]) for row in ranks if row["split"] == name]
        users = data.users.ids(split.users + 1)
        assert found == list(zip(users, data.items.ids(split.targets), split.seen.lengths.tolist(), strict=True))
    assert sum(row["events"] == 0 for row in ranks if row["split"] == "test") == data.unseen_targets


def test_evaluate_counts_the_users_of_the_split_it_is_asked_for(shop, capsys):
    data = load(shop / "data")
    for name, split in (("valid", data.valid), ("test", data.test)):
        assert ssna("evaluate", shop / "runs/ids", "--split", name, "--json") == 0
        assert json.loads(capsys.readouterr().out)["users"] == len(split)


def test_compare_and_recommend_work_on_such_runs(shop, tmp_path, capsys):
    assert ssna("compare", *sorted((shop / "runs").iterdir())) == 0
    table = capsys.readouterr().out
    assert all(word in table for word in ("popularity", "item-knn", "ids", load(shop / "data").fingerprint))
    (tmp_path / "users.jsonl").write_text('{"user": "a", "history": ["gadget-1"]}')
    assert ssna("recommend", shop / "runs/ids", "--users", tmp_path / "users.jsonl", "-k", "3") == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == 3


@pytest.mark.parametrize("method", ["text-knn", "blend", "ids"])
def test_what_reads_text_and_what_is_joined_works_too(shop, method, make_cache, random_states):
    data = load(shop / "data")
    cache = make_cache(data, random_states(items=len(data.items)))
    settings = (*SMALL, 'ensemble.members=["item-knn", "text-knn"]') if method == "ids" else ("dim=8",)
    run = train(data, cache, method=method, settings=settings, quiet=True)
    assert len(run.evaluations["test"].targets) == len(data.test)
    assert np.isfinite(run.record.test["include_seen"]["R@10"])


@pytest.fixture
def one_day(tmp_path):
    """Purchases all of one day, and the same as sequences, which have no times."""
    rows = [(f"c{user}", f"i{item}", "2024-01-01", "text") for user in range(5) for item in range(5)]
    write_csv(tmp_path / "log.csv", rows, ("customer", "sku", "date", "title"))
    (tmp_path / "sequences.txt").write_text("".join(f"c{user} i0 i1 i2 i3 i4\n" for user in range(5)))
    (tmp_path / "items.tsv").write_text("item\ttitle\n" + "".join(f"i{item}\ttext\n" for item in range(5)))
    return tmp_path


@pytest.mark.parametrize(
    ("logs", "message"),
    [
        (("sequences.txt",), "sequences.txt has no times, which a split by time needs; give a table that has them"),
        (("log.csv", *COLUMNS), "no user has events both before and in validation"),
    ],
)
def test_logs_that_cannot_be_split_by_time_are_refused_with_the_remedy(one_day, capsys, logs, message):
    assert ssna("prepare", one_day / logs[0], *logs[1:], "--split", "time", "-o", one_day / "data", "--quiet") == 1
    error = capsys.readouterr().err
    assert message in error
    assert "leave-one-out" in error
    assert len(error.strip().splitlines()) <= 2
    assert not (one_day / "data").exists()


def test_training_says_which_earlier_run_it_replaces(shop, tmp_path, capsys):
    words = ("train", shop / "data", "-o", tmp_path / "run", "--method")
    assert ssna(*words, "popularity") == 0
    assert "replaced" not in capsys.readouterr().err
    assert ssna(*words, "item-knn") == 0
    assert f"{tmp_path}/run holds a run of popularity; it will be replaced" in capsys.readouterr().err
    (tmp_path / "run" / "record.json").write_text("damaged")
    assert ssna(*words, "popularity", "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_an_unknown_split_is_a_usage_error(shop, tmp_path):
    assert ssna("prepare", shop / "log.csv", "--split", "random", "-o", tmp_path / "data") == 2
