"""Items that have text and too few events are kept as new ones, where that is asked for."""

import numpy as np
import pandas as pd
import pytest

from ssna.data import append, load, prepare, union
from ssna.data.holdout import holdout_items
from ssna.data.subset import sample

pytestmark = pytest.mark.slow

USERS, SOLD = 40, 20


def log():
    """Twenty items that everybody takes, ``rare0`` to ``rare2`` that three users take, and ``bare`` without text."""
    days = range(8)
    rows = [(f"u{user}", f"i{(user + day) % SOLD}", f"2024-01-{day + 1:02}") for user in range(USERS) for day in days]
    rows += [(f"u{user}", f"rare{user}", "2024-02-01") for user in range(3)]
    rows += [("u5", "bare", "2024-02-01")]
    return pd.DataFrame(rows, columns=["user", "item", "time"])


def catalogue(never=2):
    items = [f"i{item}" for item in range(SOLD)] + [f"rare{item}" for item in range(3)]
    items += [f"never{item}" for item in range(never)]
    return pd.DataFrame({"item": [*items, "bare"], "title": [*(f"Title of {item}" for item in items), " "]})


def kept(logs=None, items=None, **options):
    logs, items = log() if logs is None else logs, catalogue() if items is None else items
    return prepare(logs, items, keep_items="text", quiet=True, **options)


def test_items_with_text_and_too_few_events_or_none_are_new_items():
    data = kept()
    assert data.new_items == {item: f"Title of {item}" for item in ("never0", "never1", "rare0", "rare1", "rare2")}
    assert data.fingerprint == prepare(log(), catalogue(), quiet=True).fingerprint
    assert prepare(log(), catalogue(), quiet=True).new_items == {}


def test_the_summary_counts_them_and_says_why():
    assert "new items 5 of 25, by their texts: 3 have under 5 events or lost them, 2 none" in kept().summary()
    assert not any("cannot be recommended" in warning for warning in kept().warnings)
    without = prepare(log(), catalogue(never=9), quiet=True)
    assert "new items" not in without.summary()
    assert any("keep_items = 'text'" in warning for warning in without.warnings)


def test_texts_of_the_log_itself_count_and_an_id_is_no_text():
    logs = log().merge(catalogue(), on="item", how="left")
    assert list(prepare(logs, keep_items="text", quiet=True).new_items) == ["rare0", "rare1", "rare2"]
    bare = kept(missing_text="id")
    assert "bare" not in bare.new_items
    assert len(bare.new_items) == 5


def test_they_are_saved_and_go_along_with_samples_unions_and_held_out_items(tmp_path):
    data = kept(out=tmp_path / "data")
    again = load(tmp_path / "data")
    assert again.new_items == data.new_items
    assert again.manifest["new_items"] == 5
    assert sample(again, 30, np.random.default_rng(0)).new_items == data.new_items
    assert holdout_items(again, 0.2, np.random.default_rng(0))[0].new_items == data.new_items
    assert list(union({"shop": again}).new_items) == [f"shop/{item}" for item in data.new_items]


def test_one_that_is_sold_enough_later_is_new_no_more(tmp_path):
    kept(out=tmp_path / "data")
    late = pd.DataFrame([(f"u{user}", "never0", "2024-03-01") for user in range(10)], columns=["user", "item", "time"])
    both = append(tmp_path / "data", late, quiet=True)
    assert list(both.new_items) == ["never1", "rare0", "rare1", "rare2"]
    assert both.fingerprint != load(tmp_path / "data").fingerprint
    assert "never0" in both.items
