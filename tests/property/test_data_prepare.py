import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soak import examples
from ssna.core.errors import DataError
from ssna.data import Dataset, Histories, IdMap, load, prepare, save
from ssna.data.cleaning import CORE, k_core
from ssna.data.engine import open_engine
from ssna.data.split_points import MIN_EVENTS

pytestmark = pytest.mark.slow

FEW = settings(max_examples=examples(3), deadline=None)
COLUMNS = ("user", "item", "time", "title")

# No NUL, which CSV cannot carry, and no lone surrogates, which UTF-8 cannot.
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@st.composite
def logs(draw):
    """Rows with repeats, ties, gaps and several texts an item; a few users are sure to survive."""
    users = draw(st.lists(words, min_size=2, max_size=4, unique=True))
    items = draw(st.lists(words, min_size=2, max_size=4, unique=True))
    row = st.tuples(
        st.sampled_from(users),
        st.sampled_from(items),
        st.sampled_from(["", "1", "2", "3000000000000", "2024-02-30", "2024-02-29"]),
        st.sampled_from(["", "a text", "another &amp; longer"]) | words,
    )
    sure = [("sure", item, str(time), "text") for time, item in enumerate("xyzxyz")]
    return draw(st.lists(row, max_size=30)) + sure


def write(path, rows):
    """The same rows in the kind of file that the name asks for; what is missing is missing in that kind's way."""
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([COLUMNS, *rows])
        return path
    cells = [[value or None for value in row] for row in rows]
    if path.suffix == ".parquet":
        columns = (pa.array(column, pa.string()) for column in zip(*cells, strict=True))
        pq.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), path)
    else:
        lines = (json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in cells)
        path.write_text("\n".join(lines), encoding="utf-8")
    return path


def ready(name, rows):
    with TemporaryDirectory() as folder:
        return prepare(write(Path(folder) / name, rows), min_user=2, min_item=2, accept="item-texts", quiet=True)


@pytest.mark.parametrize("name", ["log.csv", "log.parquet", "log.jsonl"])
@settings(max_examples=examples(2), deadline=None)
@given(logs(), st.randoms(use_true_random=False))
def test_neither_row_order_nor_kind_of_file_changes_the_fingerprint(name, rows, random):
    expected, data = ready("log.csv", rows), ready(name, random.sample(rows, len(rows)))
    assert data.fingerprint == expected.fingerprint
    assert data.manifest["dropped"] == expected.manifest["dropped"]


@FEW
@given(logs())
def test_kept_and_dropped_rows_add_up_and_the_core_holds(rows):
    data = ready("log.csv", rows)
    assert data.manifest["interactions"] + sum(data.manifest["dropped"].values()) == len(rows)
    assert data.manifest["rows_read"] == len(rows)
    assert data.histories.ragged.lengths.min() >= MIN_EVENTS
    assert np.bincount(data.histories.items, minlength=len(data.items) + 1)[1:].min() >= 2
    assert all(data.texts[1:])


BROKEN = {
    "log.csv": ["u,i", "u,i,1,t,more", 'u,i,1,"t" x', "u", '"u" x,"i" y,1,"t" z,m'],
    "log.csv.gz": ["u,i", "u,i,1,t,m,o"],
    "log.jsonl": ["no json", "[1, 2]", "{", "3", '{"user": }'],
    "log.json": ["{'user': f()}", "{'user': ", "null"],
}


@pytest.mark.parametrize("name", BROKEN)
@settings(max_examples=examples(2), deadline=None)
@given(
    logs(),
    st.data(),
    st.sampled_from(["drop", "id"]),
    st.sampled_from(["none", "same", "first", "last"]),
    st.integers(0, 1),
)
def test_every_row_is_kept_or_counted_under_a_name_in_every_kind_of_file(name, rows, data, missing_text, dedup, least):
    broken = data.draw(st.lists(st.sampled_from(BROKEN[name]), max_size=4))
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        if name == "log.json":
            lines = [repr({key: value or None for key, value in zip(COLUMNS, row, strict=True)}) for row in rows]
            content = "\n".join([*lines, *broken])
        else:
            plain = write(path.with_name(name.removesuffix(".gz")), rows).read_bytes().decode()
            content = plain + "".join(f"\n{line}" if name == "log.jsonl" else f"{line}\r\n" for line in broken)
        path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
        options = {"missing_text": missing_text, "dedup": dedup, "min_user": least, "min_item": least}
        manifest = prepare(path, **options, quiet=True).manifest
    assert manifest["dropped"]["unreadable_row"] == len(broken)
    assert manifest["rows_read"] == len(rows) + len(broken)
    assert manifest["interactions"] + sum(manifest["dropped"].values()) == len(rows) + len(broken)
    core = [manifest["dropped"][reason] for reason in CORE]
    assert [sum(each["rows"][reason] for each in manifest["checks"]["core_rounds"]) for reason in CORE] == core


def naive_core(events, min_user, min_item):
    """Round by round, in plain Python."""
    while True:
        users, items = Counter(user for user, _ in events), Counter(item for _, item in events)
        kept = [
            (user, item)
            for user, item in events
            if users[user] >= max(min_user, MIN_EVENTS) and items[item] >= min_item
        ]
        if len(kept) == len(events):
            return Counter(kept)
        events = kept


def naive_rounds(events, min_user, min_item):
    """How many users, and then items, each round drops."""
    counts = []
    while True:
        users = Counter(user for user, _ in events)
        rare_users = {user for user in users if users[user] < max(min_user, MIN_EVENTS)}
        events = [(user, item) for user, item in events if user not in rare_users]
        items = Counter(item for _, item in events)
        rare_items = {item for item in items if items[item] < min_item}
        events = [(user, item) for user, item in events if item not in rare_items]
        if not rare_users and not rare_items:
            return counts
        counts.append((len(rare_users), len(rare_items)))


@pytest.fixture(scope="module")
def engine():
    with open_engine() as engine:
        yield engine


@settings(max_examples=examples(6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("ijklmnop")), min_size=1, max_size=80),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_the_core_is_that_of_the_naive_rounds(engine, events, min_user, min_item):
    table = engine.import_arrow(pa.table({"user": [user for user, _ in events], "item": [item for _, item in events]}))
    core = k_core(engine, table, min_user, min_item)
    found, rounds = core.events.to_pyarrow().to_pylist(), core.rounds
    assert Counter((row["user"], row["item"]) for row in found) == naive_core(events, min_user, min_item)
    assert len(found) + sum(sum(each.rows.values()) for each in rounds) == len(events)
    assert [(each.users, each.items) for each in rounds] == naive_rounds(events, min_user, min_item)


@st.composite
def datasets(draw):
    external = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
    items = draw(st.lists(external, min_size=1, max_size=5, unique=True))
    rows = draw(st.lists(st.lists(st.integers(1, len(items)), min_size=3, max_size=8), min_size=1, max_size=4))
    lengths = [len(row) for row in rows]
    times = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=sum(lengths), max_size=sum(lengths))
    stamps = draw(st.none() | times)
    return Dataset(
        users=IdMap(tuple(draw(st.lists(external, min_size=len(rows), max_size=len(rows), unique=True)))),
        items=IdMap(tuple(items)),
        texts=("", *draw(st.lists(st.text(st.characters(codec="utf-8")), min_size=len(items), max_size=len(items)))),
        histories=Histories(
            items=np.concatenate([np.array(row, np.int32) for row in rows]),
            times=None if stamps is None else np.array(stamps, np.int64),
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
        ),
        max_history=draw(st.integers(1, 9)),
    )


@settings(max_examples=examples(10), deadline=None)
@given(datasets())
def test_any_data_set_comes_back_from_the_disk(dataset):
    with TemporaryDirectory() as folder:
        save(dataset, Path(folder) / "data")
        loaded = load(Path(folder) / "data")
    assert loaded.fingerprint == dataset.fingerprint
    assert (loaded.users.external, loaded.items.external) == (dataset.users.external, dataset.items.external)
    assert loaded.texts == dataset.texts
    assert loaded.max_history == dataset.max_history
    np.testing.assert_array_equal(loaded.histories.items, dataset.histories.items)
    np.testing.assert_array_equal(loaded.histories.offsets, dataset.histories.offsets)
    if dataset.histories.times is None:
        assert loaded.histories.times is None
    else:
        np.testing.assert_array_equal(loaded.histories.times, dataset.histories.times)


@settings(max_examples=examples(10), deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["log.csv", "log.tsv", "log.jsonl", "log.parquet", "log.csv.gz"]))
def test_whatever_stands_in_a_file_is_read_or_refused_by_name(content, name):
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(b"user,item,time,title\n" + content if name == "log.csv" else content)
        with pytest.raises(DataError, match="log"):
            prepare(path, quiet=True)
