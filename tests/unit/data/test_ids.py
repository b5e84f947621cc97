import pyarrow as pa
import pytest

from ssna.data.engine import open_engine
from ssna.data.ids import encode_ids, read_ids
from ssna.data.sources import ITEM, USER, WHEN, Source


@pytest.fixture(scope="module")
def engine():
    with open_engine() as engine:
        yield engine


@pytest.fixture
def source(engine):
    def source(users, items, typed=True):
        table = pa.table(
            {USER: pa.array(users, pa.string()), ITEM: pa.array(items, pa.string()), WHEN: list(range(len(users)))}
        )
        return Source(engine.import_arrow(table), None, timed=True, unreadable=0, log_files=(), typed=typed)

    return source


def ids(engine, source, key):
    return read_ids(engine, source.events, key, source.typed)


def names(found):
    return found.names.order_by("code").to_pyarrow()["id"].to_pylist()


def codes(events):
    return events.order_by(WHEN).to_pyarrow().select([USER, ITEM]).to_pydict()


def test_codes_are_in_the_order_of_the_ids_as_text(engine, source):
    assert names(ids(engine, source(["b", "é", "10", "9", "b", "B"], ["x"] * 6), USER)) == [
        "10",
        "9",
        "B",
        "b",
        "é",
    ]


def test_ids_that_differ_in_white_space_around_them_are_one(engine, source):
    events = source(["a", " a", "b", "a\t"], ["x", "x ", "y", "x"])
    users, items = (ids(engine, events, key) for key in (USER, ITEM))
    assert (names(users), names(items)) == (["a", "b"], ["x", "y"])
    assert codes(encode_ids(events.events, users, items, None)) == {USER: [0, 0, 1, 0], ITEM: [0, 0, 1, 0]}


def test_what_is_missing_or_blank_has_no_code(engine, source):
    events = source([None, "  ", "a"], ["x", None, ""])
    users, items = (ids(engine, events, key) for key in (USER, ITEM))
    assert codes(encode_ids(events.events, users, items, None)) == {USER: [None, None, 0], ITEM: [0, None, None]}


def test_whole_numbers_lose_their_fraction_only_where_types_are_not_known(engine, source):
    whole, mixed = ["17.0", "5.0", None], ["17.0", "5.5", "5.0", "17", "guest"]
    assert names(ids(engine, source(whole, whole, typed=False), USER)) == ["17", "5"]
    assert names(ids(engine, source(whole, whole), USER)) == ["17.0", "5.0"]
    assert names(ids(engine, source(mixed, mixed, typed=False), USER)) == ["17", "5", "5.5", "guest"]


def test_events_know_whether_their_item_has_text(engine, source):
    events = source(["a", "a", "a"], ["y", "x", None])
    users, items = (ids(engine, events, key) for key in (USER, ITEM))
    described = items.names.filter(items.names.id == "x")
    marked = encode_ids(events.events, users, items, described).order_by(WHEN).to_pyarrow()["has_text"].to_pylist()
    assert marked[:2] == [False, True]
