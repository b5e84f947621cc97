import pyarrow as pa
import pytest

from ssna.data.texts import joined, joined_rows, longest


def texts(*rows):
    return longest(
        joined_rows(pa.table({name: list(column) for name, column in zip("iab", zip(*rows, strict=True), strict=True)}))
    )


def test_parts_are_joined_with_a_full_stop_and_missing_ones_left_out():
    assert joined(["Sanding Roll", None, "", "  ", "Tools", "Porter"]) == "Sanding Roll. Tools. Porter"


def test_html_entities_are_undone_and_white_space_collapsed():
    assert joined(["Salt &amp; Pepper\n\t Mill&nbsp;&#39;XL&#39;"]) == "Salt & Pepper Mill 'XL'"


def test_a_text_of_nothing_but_entities_for_space_is_none():
    assert texts(("i", "&nbsp;", None)) == {}


@pytest.mark.parametrize("turn", [1, -1])
def test_the_longest_row_of_an_item_wins_whatever_comes_first(turn):
    rows = [("i", "short", None), ("i", "the longest", None), ("i", None, None), ("j", "other", None)]
    assert texts(*rows[::turn]) == {"i": "the longest", "j": "other"}


@pytest.mark.parametrize("turn", [1, -1])
def test_of_equally_long_rows_the_alphabetically_first_wins(turn):
    assert texts(*[("i", "bb", "x"), ("i", "ab", "x"), ("i", "cb", "x")][::turn]) == {"i": "ab. x"}
