"""Recommendations for the users of a data set, by their ids; and ids written a little otherwise."""

import pyarrow as pa
import pytest
from data_files import timed

from ssna.batch.known import KnownHistories
from ssna.core.errors import SsnaError
from ssna.data import IdMap
from ssna.data.dataset import Dataset
from ssna.recommender import Recommender


@pytest.fixture
def data(make_data) -> Dataset:
    """Users ``u0`` to ``u2``; its items are not those of the recommender, whose ids are ``a`` to ``e``."""
    made = make_data([[1, 2, 1], [3, 3, 2], [2, 1, 3]], items=3)
    return Dataset(made.users, IdMap(("e", "b", "z")), made.texts, made.histories, made.max_history)


def test_a_user_s_history_has_the_items_of_the_user_asked_for_and_of_no_neighbour(data):
    assert data.history("u0") == ["e", "b", "e"]
    assert data.history("u1") == ["z", "z", "b"]
    assert data.histories_of(["u2", "u0"]) == [["b", "e", "z"], ["e", "b", "e"]]
    assert data.histories_of() == [data.history(user) for user in data.users.external]


def test_the_events_of_the_test_belong_to_a_history():
    assert timed([[(1, 10), (2, 20), (3, 30)]], protocol="leave-one-out").history("u0") == ["i1", "i2", "i3"]


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("u22", "no user 'u22' among 3; did you mean 'u2'? Users with too few events are not kept .min_user."),
        ("nobody", "no user 'nobody' among 3; users with too few events"),
        (None, "ids of users are text: 'None' instead of None"),
    ],
)
def test_a_user_that_is_not_there_is_an_error_in_words(data, fixed, user, message):
    with pytest.raises(SsnaError, match=message.replace("?", r"\?")):
        fixed.recommend_users(data, [user])


def test_a_single_id_is_no_list_of_them(data, fixed):
    with pytest.raises(SsnaError, match=r"users is a list of ids: \['u1'\]"):
        fixed.recommend_users(data, "u1")


def test_users_get_what_their_histories_get_and_the_table_has_their_ids(data, fixed):
    found = fixed.recommend_users(data, ["u1", "u0"], k=3)
    assert found == fixed.recommend([["z", "z", "b"], ["e", "b", "e"]], k=3)
    assert found.users == ("u1", "u0")
    assert [item.item for item in found[1].items] == ["a", "c", "d"]
    assert found[0].unknown == ("z", "z")
    assert fixed.recommend_users(data, k=1).to_arrow()["user"].to_pylist() == ["u0", "u1", "u2"]
    seen_too = fixed.recommend_users(data, ["u0"], 2, exclude_seen=False, deny=["a"])
    assert [item.item for item in seen_too[0].items] == ["b", "c"]


IDS = IdMap(("1001", "7.0", "a b", "-3", "7"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1001", "1001"),
        ("1001.0", "1001"),
        (" 1001\t", "1001"),
        (" 1001.000 ", "1001"),
        ("-3.0", "-3"),
        ("7.0", "7.0"),
        ("a b ", "a b"),
        ("1001.5", None),
        ("01001", None),
        ("a  b", None),
        ("", None),
        ("A B", None),
    ],
)
def test_ids_are_found_as_prepare_would_have_tidied_them_and_a_known_one_is_left_alone(written, meant):
    expected = 0 if meant is None else IDS.external.index(meant) + 1
    assert IDS.find([written, "1001"]).tolist() == [expected, 1]
    found = KnownHistories.of(IDS, pa.array(["u"]), pa.array([["1001", written or "nothing", "1001"]]))
    assert found.known[0].tolist() == [1, *([expected] if expected else []), 1]


def test_a_history_from_a_spreadsheet_is_known(fixed):
    numbers = Recommender(fixed.scorer, IdMap(("1", "2", "3", "4", "5")), fixed.texts, fixed.counts)
    assert numbers.recommend([["1.0", " 2", "nine"]]) == numbers.recommend([["1", "2", "nine"]])
    assert numbers.recommend([["1.0"]], deny=["2.0"]) == numbers.recommend([["1"]], deny=["2"])
    assert numbers.similar_items("1.0") == numbers.similar_items("1")


def test_what_popularity_answered_is_counted_where_recommendations_are_shown(fixed):
    assert "1 of 2 histories: no item is known, popularity answers" in repr(fixed.recommend([["x"], ["a"]]))
    assert "popularity answers" not in repr(fixed.recommend([["a"], ["b", "x"]]))
