from ssna.core.display import LONGEST_CELL, Text, cut, html_table, table


def test_lines_for_people_look_the_same_in_a_shell_and_as_text():
    lines = Text("users     3\nitems     2")
    assert repr(lines) == str(lines) == "users     3\nitems     2"


def test_a_text_is_cut_only_where_it_is_too_long():
    assert cut("x" * LONGEST_CELL) == "x" * LONGEST_CELL
    assert cut("x" * (LONGEST_CELL + 1)) == "x" * (LONGEST_CELL - 1) + "…"


def test_columns_stand_under_each_other():
    assert table(["item", "score"], [["a", 1.5], ["longer", 2]]).splitlines() == [
        "item    score",
        "a       1.5",
        "longer  2",
    ]
    assert table(["item"], []) == "item"


def test_what_stands_in_a_notebook_is_escaped():
    made = html_table("<b>", [("<script>", "a & b")], ("<th>", ""))
    assert "<script>" not in made
    assert "&lt;script&gt;" in made
    assert "a &amp; b" in made
    assert "<caption>&lt;b&gt;</caption>" in made
