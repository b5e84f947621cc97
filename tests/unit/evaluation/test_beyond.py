import numpy as np
import pytest

from ssna.evaluation import beyond_accuracy

COUNTS = np.array([0, 8, 4, 2, 1, 0])  # five items; item 1 is the most popular fifth


def test_coverage_is_the_share_of_items_that_stand_in_some_list():
    assert beyond_accuracy(np.array([[1, 2], [1, 3]]), COUNTS)["coverage@10"] == 3 / 5


def test_novelty_is_the_mean_surprise_over_all_places():
    found = beyond_accuracy(np.array([[1, 5]]), COUNTS)["novelty@10"]
    assert found == pytest.approx(-(np.log2(9 / 20) + np.log2(1 / 20)) / 2)


def test_the_share_of_popular_items_counts_places():
    assert beyond_accuracy(np.array([[1, 2], [1, 3]]), COUNTS)["popular@10"] == 2 / 4


def test_places_without_an_item_do_not_count():
    short, full = (beyond_accuracy(np.array(lists), COUNTS) for lists in ([[1, 2, 0, 0]], [[1, 2]]))
    assert short == full


def test_only_the_first_ten_places_count():
    counts = np.ones(31, dtype=int)
    lists = np.arange(1, 31)[None]
    assert beyond_accuracy(lists, counts)["coverage@10"] == 10 / 30


def test_empty_lists_are_all_zero():
    assert set(beyond_accuracy(np.zeros((2, 3), dtype=int), COUNTS).values()) == {0.0}
