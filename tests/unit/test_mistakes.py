"""What people get wrong in their first hour: each is a clear line or a warning, none silent, none a traceback."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import ssna
from ssna.core.errors import Interrupted, SsnaError
from ssna.runs.epoch_log import _Epochs

pytestmark = pytest.mark.slow

START = 1_600_000_000
SMALL = ["dim=8", "sequence.ffn_dim=8", "training.epochs=1"]


def purchases(users=120, items=30):
    """A log that nothing is wrong with."""
    rows = [
        (f"c{user}", f"p{(user + step * step) % items}", START + 86_400 * step + user)
        for user in range(users)
        for step in range(8)
    ]
    return pd.DataFrame(rows, columns=["user", "item", "time"])


def products(items=30):
    return pd.DataFrame({"item": [f"p{k}" for k in range(items)], "title": [f"Thing {k}" for k in range(items)]})


def bot():
    rows = [("bot", f"p{k % 30}", START + k) for k in range(50_000)]
    return pd.concat([purchases(), pd.DataFrame(rows, columns=["user", "item", "time"])])


def with_strange(column, values):
    log = purchases().astype({column: object})
    log.loc[: len(values) - 1, column] = values
    return log


def prepared(log=None, items=None, **options):
    return ssna.prepare(
        purchases() if log is None else log, products() if items is None else items, quiet=True, **options
    )


def said_by(log=None, items=None, **options):
    return str(prepared(log, items, **options).summary())


@cache
def right():
    return prepared()


@cache
def model():
    return ssna.train(right(), method="item-knn", quiet=True).recommender


def interrupted(patch):
    def stop(self, step):
        raise KeyboardInterrupt

    patch.setattr(_Epochs, "step", stop)
    ssna.train(right(), method="ids", settings=SMALL, quiet=True)


def appended_twice(folder):
    prepared(out=folder / "data")
    return str(ssna.append(folder / "data", purchases(), quiet=True).summary())


def zero_padded():
    return products().assign(item=[f"P-{k:05}" for k in range(30)])


MISTAKES = {
    "a path that is not there": (lambda: ssna.prepare("purchase.csv", quiet=True), "purchase.csv does not exist"),
    "a column that is not there": (
        lambda: prepared(user_col="customer"),
        "has no column 'customer'; did you mean 'user'? It has",
    ),
    "a column that is misspelt": (lambda: prepared(time_col="tme"), "no column 'tme'; did you mean 'time'?"),
    "a text column that is not there": (lambda: prepared(text_cols=["titel"]), "did you mean 'title'?"),
    "columns in one string": (
        lambda: prepared(items=products().assign(brand="X"), text_cols="title,brand"),
        "give its columns as a list: ['title', 'brand']",
    ),
    "items without the column of ids": (
        lambda: prepared(items=products().rename(columns={"item": "merchandise"})),
        "has no column 'item', as the logs call their items",
    ),
    "ids as numbers and text": (lambda: prepared(with_strange("user", [1, 2, 3])), "several kinds (int, str); make"),
    "a column twice": (lambda: prepared(pd.concat([purchases(), purchases()], axis=1)), "two columns"),
    "dates that nothing tells the order of": (lambda: prepared(purchases().assign(time="03/04/2024")), "time"),
    "times in days": (lambda: said_by(purchases().assign(time=lambda log: log["time"] // 86_400)), "of 1970"),
    "times in the future": (
        lambda: said_by(purchases().assign(time=lambda log: log["time"] + 10**10)),
        "in the future",
    ),
    "users that are missing": (lambda: said_by(with_strange("user", [np.nan] * 9)), "no_user 9"),
    "a third without text": (lambda: said_by(items=products().head(20)), "10 without text"),
    "no text at all": (lambda: prepared(items=products()[["item"]]), "no column of item text is known"),
    "texts that say nothing": (
        lambda: said_by(items=products().assign(title="unknown")),
        "have the text 'unknown', which says",
    ),
    "ids that are padded in one table": (lambda: prepared(items=zero_padded()), "the texts such as 'P-00000'"),
    "a bot": (lambda: said_by(bot()), "user bot has 50,000 of 50,960 events"),
    "rows that stand twice": (lambda: said_by(pd.concat([purchases()] * 2)), "events (50%) repeat another of the same"),
    "twenty users": (lambda: said_by(purchases(users=20)), "there are 20 users to evaluate on"),
    "a limit that leaves nobody": (lambda: prepared(min_user=50), "no user is left of 960 events"),
    "a limit as text": (lambda: prepared(min_user="5"), "min_user = '5': it must be a whole number"),
    "an option that is misspelt": (lambda: prepared(min_users=5), "did you mean min_user?"),
    "a frame in the place of data": (
        lambda: ssna.train(purchases()),
        "train takes what prepare (or load_data) returns",
    ),
    "no cache for a method that reads texts": (lambda: ssna.train(right(), quiet=True), "ssna.encode(data)"),
    "a method that is misspelt": (lambda: ssna.train(right(), method="item-kn"), "did you mean item-knn?"),
    "a setting that is misspelt": (
        lambda: ssna.train(right(), method="ids", settings=["training.epoch=1"]),
        "unknown setting training.epoch; did you mean training.epochs?",
    ),
    "nothing to choose by": (
        lambda: ssna.train(prepared(split="none"), method="ids", settings=SMALL, quiet=True),
        "nothing to choose epochs and weights by",
    ),
    "one history in the place of many": (lambda: model().recommend(["p1", "p2"]), "a history is a list of item ids"),
    "ids as numbers": (lambda: model().recommend([[1, 2]]), "ids are text: '1' instead of 1"),
    "ids that are not known": (
        lambda: repr(model().recommend([["x"]])),
        "1 of 1 history: no item is known, popularity answers",
    ),
    "a user that is not there": (lambda: model().recommend_users(right(), ["c999"]), "there is no user 'c999'"),
    "no items asked for": (lambda: model().recommend([["p1"]], k=0), "k is 0; ask for at least one item"),
    "runs that were not kept": (lambda: ssna.compare(3), "compare takes a list of runs, or of their folders"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_a_clear_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, message = MISTAKES[name]
    try:
        said = call()
    except SsnaError as error:
        said = str(error)
        assert said.count("\n") <= 1
        assert len(said) < 500
    assert isinstance(said, str), "nothing was said"
    assert message in said


def test_logs_that_are_appended_twice_are_told(tmp_path):
    assert "events (50%) repeat another of the same" in appended_twice(tmp_path)


def test_an_interruption_says_what_is_kept(monkeypatch):
    with pytest.raises(Interrupted, match=r"nothing is kept; with out = 'FOLDER'"):
        interrupted(monkeypatch)


def test_what_is_right_is_right():
    assert right().warnings == ()
