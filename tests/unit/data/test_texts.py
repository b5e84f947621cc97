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


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("<p>Soft <b>cotton</b>.</p><p>Machine wash<br/>cold</p>", "Soft cotton. Machine wash cold"),
        ('<a href="https://shop.example/?a=1&amp;b=2">H<sub>2</sub>O</a>', "H2O"),
        ("&lt;li&gt;Red&lt;/li&gt;&lt;LI class=x&gt;Blue", "Red Blue"),
        ("Pan<!-- <b>old</b> -->Lid", "Pan Lid"),
        ("<!-- no end", "<!-- no end"),
        ("I <3 you, 5 < 6 > 4", "I <3 you, 5 < 6 > 4"),
        ("<Unknown> of <bread>", "<Unknown> of <bread>"),
        ("['Home & Kitchen', 'Pans', None, 3]", "Home & Kitchen, Pans, 3"),
        ('["Home", "Cook\'s Pans", ""]', "Home, Cook's Pans"),
        ("[REC]", "[REC]"),
        ("['a'] and ['b']", "['a'] and ['b']"),
        ('[{"name": "Action"}]', '[{"name": "Action"}]'),
        ("[" * 5_000 + "]" * 5_000, "[" * 5_000 + "]" * 5_000),
        *((nothing, "") for nothing in ("[]", "{}", "nan", "NaN", "null", "N/A", "#N/A", "<NA>", r"\N", "<br>")),
        *((word, word) for word in ("None", "NA", "-", "Nan's Bread", "Null and Void")),
    ],
)
def test_markup_is_undone_lists_are_joined_and_words_for_nothing_are_none(part, expected):
    assert joined([part]) == expected
    assert joined(["Pan", part, "Tools"]) == ". ".join(filter(None, ("Pan", expected, "Tools")))


def test_a_long_hostile_text_is_cleaned_in_no_time():
    for piece in ("<!--", "<p ", "[", "&lt;", "<script>", "</"):
        assert isinstance(joined([piece * 50_000]), str)


def test_a_text_of_nothing_but_entities_for_space_is_none():
    assert texts(("i", "&nbsp;", None)) == {}


@pytest.mark.parametrize("turn", [1, -1])
def test_the_longest_row_of_an_item_wins_whatever_comes_first(turn):
    rows = [("i", "short", None), ("i", "the longest", None), ("i", None, None), ("j", "other", None)]
    assert texts(*rows[::turn]) == {"i": "the longest", "j": "other"}


@pytest.mark.parametrize("turn", [1, -1])
def test_of_equally_long_rows_the_alphabetically_first_wins(turn):
    assert texts(*[("i", "bb", "x"), ("i", "ab", "x"), ("i", "cb", "x")][::turn]) == {"i": "ab. x"}
