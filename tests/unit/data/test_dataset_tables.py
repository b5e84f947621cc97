"""A data set as Arrow tables, with the ids of the logs."""

from datetime import UTC, datetime

from data_files import timed


def test_interactions_have_outside_ids_and_times_of_every_event():
    data = timed([[(2, 100), (1, 250), (2, 250)], [(1, 90), (2, 300), (3, 301)]], protocol="leave-one-out")
    table = data.interactions()
    assert table["user"].to_pylist() == ["u0", "u0", "u0", "u1", "u1", "u1"]
    assert table["item"].to_pylist() == ["i2", "i1", "i2", "i1", "i2", "i3"]
    assert table["time"].to_pylist() == [datetime.fromtimestamp(s, UTC) for s in (100, 250, 250, 90, 300, 301)]


def test_interactions_without_times_have_none(make_data):
    data = make_data([[1, 2, 1], [3, 1, 2]])
    assert data.interactions().to_pydict() == {
        "user": ["u0"] * 3 + ["u1"] * 3,
        "item": ["i1", "i2", "i1", "i3", "i1", "i2"],
    }


def test_the_catalogue_has_texts_and_counts_of_all_items(make_data):
    table = make_data([[1, 2, 1], [2, 1, 1]], items=3, texts=["Pan", "Pot", "Lid"]).catalogue()
    assert table.to_pydict() == {"item": ["i1", "i2", "i3"], "text": ["Pan", "Pot", "Lid"], "events": [4, 2, 0]}
