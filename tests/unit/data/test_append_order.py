"""The order of events is kept through several appends, by whatever users come between."""

import pytest
from data_files import histories, write_csv

from ssna.data import append, prepare

pytestmark = pytest.mark.slow

BASE = {"t": ["i1", "i2", "i3", "i4"], "u": ["i2", "i1", "i4", "i3"]}
NEWER = [{"a": ["i4", "i3", "i2"], "u": ["i2"]}, {"u": ["i1"]}, {"b": ["i1", "i2", "i3"], "t": ["i3"]}]


def write_sequences(folder, part):
    folder.mkdir()
    (folder / "sequences.txt").write_text("".join(f"{user} {' '.join(items)}\n" for user, items in part.items()))
    (folder / "items.tsv").write_text("item\ttitle\n" + "".join(f"i{k}\tThing {k}\n" for k in range(1, 5)))
    return folder


@pytest.mark.parametrize("dedup", ["none", pytest.param("first", marks=pytest.mark.long), "last"])
def test_without_times_an_item_that_comes_again_stands_where_preparing_at_once_has_it(tmp_path, dedup):
    parts = [BASE, *NEWER]
    joined = {user: [item for part in parts for item in part.get(user, [])] for user in ("a", "b", "t", "u")}
    rules = {"dedup": dedup, "quiet": True}
    whole = prepare(write_sequences(tmp_path / "whole", joined), **rules)
    data = prepare(write_sequences(tmp_path / "0", BASE), **rules, out=tmp_path / "data-0")
    for k, part in enumerate(NEWER, start=1):
        logs = write_sequences(tmp_path / str(k), part)
        data = append(tmp_path / f"data-{k - 1}", logs, out=tmp_path / f"data-{k}", quiet=True)
    assert histories(data) == histories(whole)


def test_fractions_of_seconds_stay_with_their_events_where_new_users_come_before_old_ones(tmp_path):
    def log(name, rows):
        return write_csv(tmp_path / name, [(user, item, time, "Thing") for user, item, time in rows])

    old = [("u", f"i{k}", f"{10 + k}.5") for k in range(4)]
    first = [("a", f"i{k}", f"{3 - k}.25") for k in range(4)]
    last = [("u", "i1", "11.75"), ("a", "i2", "1.5")]
    rules = {"min_user": 0, "min_item": 0, "quiet": True}
    prepare(log("0.csv", old), **rules, out=tmp_path / "data-0")
    append(tmp_path / "data-0", log("1.csv", first), out=tmp_path / "data-1", quiet=True)
    data = append(tmp_path / "data-1", log("2.csv", last), quiet=True)
    assert histories(data) == histories(prepare(log("whole.csv", old + first + last), **rules))
