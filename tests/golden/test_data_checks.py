"""The figures of ``--check`` against plain counting."""

from collections import Counter
from itertools import pairwise, permutations, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ssna.data import Dataset, Histories, IdMap
from ssna.data.checks import histogram, same_time, statistics

ITEMS = 4
events = st.lists(st.tuples(st.integers(0, 3), st.integers(1, ITEMS)), min_size=3, max_size=6).map(sorted)
logs = st.lists(events, min_size=1, max_size=4)  # a user's (time, item), ties in the order of the item


def packed(log):
    lengths = [len(history) for history in log]
    times, items = np.array([event for history in log for event in history]).T
    return Histories(items.astype(np.int32), times.astype(np.int64), np.cumsum([0, *lengths]))


def orders(history):
    """Every order that agrees with the times."""
    moments = sorted({time for time, _ in history})
    groups = [[item for time, item in history if time == moment] for moment in moments]
    return [[item for group in choice for item in group] for choice in product(*map(permutations, groups))]


@given(logs)
def test_targets_depend_on_the_rule_for_ties_where_another_order_of_the_same_times_has_another(log):
    histories = packed(log)
    found = same_time(histories, histories.times)
    for name, place in (("test_targets", -1), ("valid_targets", -2)):
        assert found[name] == sum(len({order[place] for order in orders(history)}) > 1 for history in log)
    rivals = [any(other != event and other[0] == event[0] for other in history) for history in log for event in history]
    assert found["events"] == sum(rivals)
    assert found["duplicates"] == sum(count - 1 for history in log for count in Counter(history).values())


@given(logs, st.integers(1, 4))
def test_statistics_are_those_of_plain_counting(log, max_history):
    texts = ("", "one", "two words", "one", "of four words here")
    ids = IdMap(tuple(f"i{row}" for row in range(1, ITEMS + 1)))
    data = Dataset(IdMap(tuple(f"u{user}" for user in range(len(log)))), ids, texts, packed(log), max_history)
    found = statistics(data)
    rows = [[item for _, item in history] for history in log]
    lengths = [len(row) for row in rows]
    trained = {item for row in rows for item in row[:-2]}
    assert (found["users"], found["items"], found["interactions"]) == (len(rows), ITEMS, sum(lengths))
    assert found["per_user"]["mean"] == np.mean(lengths)
    assert found["per_item"]["mean"] == sum(lengths) / ITEMS
    assert found["repeats"] == sum(len(row) - len(set(row)) for row in rows)
    assert found["targets"]["test"] == {
        "evaluation_users": len(rows),
        "never_trained": sum(row[-1] not in trained for row in rows),
        "repeated": sum(row[-1] in row[:-1] for row in rows),
    }
    assert found["targets"]["valid"]["never_trained"] == sum(row[-2] not in trained for row in rows)
    assert found["targets"]["valid"]["repeated"] == sum(row[-2] in row[:-2] for row in rows)
    assert found["users_cut"] == sum(length - 1 > max_history for length in lengths)
    assert found["events_cut"] == found["interactions"] - data.interactions_used
    assert found["items_of_equal_text"] == 1
    assert found["text_words"]["most"] == 4


@given(st.lists(st.integers(1, 30_000), min_size=1))
def test_every_user_stands_in_one_bin_and_bins_follow_each_other(lengths):
    bins = histogram(np.array(lengths))
    assert all(before["to"] + 1 == after["from"] for before, after in pairwise(bins))
    assert [each["users"] for each in bins] == [
        sum(each["from"] <= length <= each["to"] for length in lengths) for each in bins
    ]
    assert sum(each["users"] for each in bins) == len(lengths)
    assert bins[-1]["to"] >= max(lengths)
