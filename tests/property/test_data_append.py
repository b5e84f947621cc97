"""Appending gives the data set that preparing everything at once gives, up to the numbering of ids."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from data_files import histories, texts, times, write_csv
from hypothesis import given, settings
from hypothesis import strategies as st

from soak import examples
from ssna.data import append, load, prepare

pytestmark = pytest.mark.long

USERS, ITEMS = ("u1", "u2", "u3", "Ü 4", "u5"), ("i1", "i2", "i3", "ï 4", "i5", "i6")
SURE = [(f"sure {name}", item, str(time)) for name in "abc" for time, item in enumerate(ITEMS[:4])]
SAME = (
    "rows_read",
    "dropped",
    "checks",
    "users",
    "items",
    "interactions",
    "interactions_used",
    "evaluation_users",
    "rules",
)

events = st.tuples(
    st.sampled_from([*USERS, ""]), st.sampled_from([*ITEMS, ""]), st.sampled_from(["1", "1.25", "1.5", "2", "9", ""])
)
shelves = st.lists(st.tuples(st.sampled_from(ITEMS), st.sampled_from(["", "i4", "i5", "Pan", "Pan, large", "Pot"])))
broken = st.lists(st.just(("too", "short")), max_size=1)


@st.composite
def goes(draw):
    """Logs and items' files, cut anywhere: the first has somebody who stays; items may be told of before or after."""
    first = [(item, f"Thing {item}") for item in ITEMS[:4]]
    count = draw(st.integers(2, 4))
    logs = draw(st.lists(st.lists(events, max_size=16), min_size=count, max_size=count))
    unreadable = draw(st.lists(broken, min_size=count, max_size=count))
    items = draw(st.lists(shelves, min_size=count, max_size=count))
    logs = [log + lines for log, lines in zip(logs, unreadable, strict=True)]
    return list(zip([SURE + logs[0], *logs[1:]], [first + items[0], *items[1:]], strict=True))


def same(one, other):
    assert histories(one) == histories(other)
    assert texts(one) == texts(other)
    assert {key: one.manifest[key] for key in SAME} == {key: other.manifest[key] for key in SAME}
    assert times(one) == times(other)


def starts_with(longer, shorter):
    return longer[: len(shorter)] == shorter


@settings(max_examples=examples(3), deadline=None)
@given(
    goes(),
    st.sampled_from(["none", "same", "first", "last"]),
    st.sampled_from(["drop", "id"]),
    st.integers(0, 4),
    st.integers(0, 3),
)
def test_in_one_go_or_in_several_it_is_the_same_data_and_ids_keep_their_rows(parts, dedup, missing_text, user, item):
    rules = {"dedup": dedup, "missing_text": missing_text, "min_user": user, "min_item": item, "quiet": True}
    with TemporaryDirectory() as place:
        folder = Path(place)
        logs = [write_csv(folder / f"log-{k}.csv", log, ("user", "item", "time")) for k, (log, _) in enumerate(parts)]
        items = [write_csv(folder / f"items-{k}.csv", rows, ("item", "title")) for k, (_, rows) in enumerate(parts)]
        whole = prepare(folder / "log-*.csv", folder / "items-*.csv", **rules)
        data = prepare(logs[0], items[0], **rules, out=folder / "data-0")
        for k in range(1, len(parts)):
            before = data
            shelf = items[k] if parts[k][1] else None
            data = append(folder / f"data-{k - 1}", logs[k], shelf, out=folder / f"data-{k}", quiet=True)
            assert starts_with(data.users.external, before.users.external)
            assert starts_with(data.items.external, before.items.external)
            assert load(folder / f"data-{k}").fingerprint == data.fingerprint
    same(data, whole)


lines = st.dictionaries(st.sampled_from(USERS), st.lists(st.sampled_from(ITEMS), min_size=1, max_size=5))


@settings(max_examples=examples(3), deadline=None)
@given(st.lists(lines, min_size=1, max_size=3), st.sampled_from(["none", "first", "last"]), st.integers(0, 3))
def test_without_times_new_events_stand_behind_those_that_a_user_had(parts, dedup, least):
    parts = [{f"sure {name}": list(ITEMS[:4]) for name in "abc"}, *parts]
    rules = {"dedup": dedup, "min_user": least, "min_item": least, "quiet": True}
    with TemporaryDirectory() as place:
        folder = Path(place)
        joined = {}
        for k, part in enumerate(parts):
            for user, items in part.items():
                joined[user] = joined.get(user, []) + items
            _write_sequences(folder / str(k), part, ITEMS[: 4 + k])
        _write_sequences(folder / "whole", joined, ITEMS[: 3 + len(parts)])
        whole = prepare(folder / "whole", **rules)
        data = prepare(folder / "0", **rules, out=folder / "data-0")
        for k in range(1, len(parts)):
            data = append(folder / f"data-{k - 1}", folder / str(k), out=folder / f"data-{k}", quiet=True)
    same(data, whole)


def _write_sequences(folder, histories_, items):
    folder.mkdir()
    lines_ = (" ".join(word.replace(" ", "_") for word in (user, *taken)) for user, taken in histories_.items())
    (folder / "sequences.txt").write_text("\n".join(lines_), encoding="utf-8")
    rows = (f"{item.replace(' ', '_')}\tThing {item}\n" for item in items)
    (folder / "items.tsv").write_text("item\ttitle\n" + "".join(rows), encoding="utf-8")
