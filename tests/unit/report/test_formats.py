"""Formats: what is marked how, what is escaped, and the notes beneath."""

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssna.report.formats import FORMATS, plain, render
from ssna.report.table import Figure, Table

GROUPED = ("method", "seen excluded\nR@10", "seen excluded\nN@10", "cost\nseconds")


def row(name: str, level: float, deviation: float | None = None, mark: str = "") -> tuple[str | Figure | None, ...]:
    figures = (Figure(level, deviation=deviation, comparison_group=metric, mark=mark) for metric in "RN")
    return (name, *figures, Figure(10 * level, "seconds", comparison_group="s", lower=True))


@pytest.fixture
def table() -> Table:
    rows = (row("low", 0.1), row("high", 0.3), row("middle", 0.2), row("middle too", 0.2))
    return Table("A title", GROUPED, rows, ("First note.", "Second note."))


@pytest.mark.parametrize(
    ("figure", "reads"),
    [
        (Figure(0.14364), ".1436"),
        (Figure(1.0), "1.0000"),
        (Figure(-0.02, "difference"), "-.0200"),
        (Figure(0.02, "difference", deviation=0.001), "+.0200 ± .0010"),
        (Figure(0.018, "signed", mark="*"), "+1.8 %*"),
        (Figure(-1e-9, "difference"), "+.0000"),
        (Figure(0.85, "percent"), "85 %"),
        (Figure(1e-9, "p"), "<.0001"),
        (Figure(0.012, "p"), ".0120"),
        (Figure(12.341, "number"), "12.34"),
        (Figure(1644.21, "seconds"), "1,644.2"),
        (Figure(2.3e9, "bytes"), "2.3 GB"),
        (Figure(999, "bytes"), "999.0 B"),
        (Figure(1234, "count"), "1,234"),
        (Figure(77.5, "count"), "77.5"),
        (Figure(0.5, deviation=0.0123, mark="≈"), ".5000 ± .0123≈"),
        (None, "–"),
        ("a word", "a word"),
    ],
)
def test_a_figure_reads_as_its_style_says(figure: Figure | str | None, reads: str) -> None:
    assert plain(figure) == reads


def test_markdown_has_the_best_bold_and_every_second_underlined(table: Table) -> None:
    lines = FORMATS["md"](table).splitlines()
    assert lines[0] == "### A title"
    assert lines[2:4] == [
        "| method | seen excluded R@10 | seen excluded N@10 | cost seconds |",
        "| --- | ---: | ---: | ---: |",
    ]
    assert lines[4:8] == [
        "| low | .1000 | .1000 | **1.0** |",
        "| high | **.3000** | **.3000** | 3.0 |",
        "| middle | <u>.2000</u> | <u>.2000</u> | <u>2.0</u> |",
        "| middle too | <u>.2000</u> | <u>.2000</u> | <u>2.0</u> |",
    ]


def test_text_marks_the_best_and_the_second_and_says_so(table: Table) -> None:
    written = FORMATS["text"](table)
    assert "high        .3000*  .3000*      3.0" in written
    assert "middle      .2000+  .2000+      2.0+" in written
    assert "* best  + second" in written


def test_a_score_of_nothing_is_never_called_second() -> None:
    rows = tuple((name, Figure(level, comparison_group="R")) for name, level in (("a", 0.3), ("b", 0.0)))
    none = tuple((name, Figure(0.0, comparison_group="R")) for name in "ab")
    assert "<u>" not in FORMATS["md"](Table("t", ("m", "R"), rows, ()))
    assert "**.3000**" in FORMATS["md"](Table("t", ("m", "R"), rows, ()))
    assert "**" not in FORMATS["md"](Table("t", ("m", "R"), none, ()))


def test_nothing_spent_is_the_least_there_is() -> None:
    rows = tuple((name, Figure(cost, comparison_group="s", lower=True)) for name, cost in (("a", 0.0), ("b", 1.0)))
    assert "**.0000**" in FORMATS["md"](Table("t", ("m", "s"), rows, ()))


def test_text_of_one_method_has_no_marks_and_no_legend() -> None:
    written = FORMATS["text"](Table("One", GROUPED, (row("only", 0.1),), ("Note.",)))
    assert "*" not in written
    assert "+" not in written


def test_text_is_in_columns_below_their_groups(table: Table) -> None:
    groups, heads, *rows = FORMATS["text"](table).splitlines()[2:8]
    ends = [match.end() for match in re.finditer(r"R@10|N@10|seconds", heads)]
    assert all(re.match(r"\d", line[end - 1]) for line in rows for end in ends)
    assert heads.index("R@10") - 3 <= groups.index("seen excluded") <= heads.index("N@10")


def test_latex_underlines_bolds_and_groups(table: Table) -> None:
    written = FORMATS["latex"](table)
    assert r"\multicolumn{1}{c}{} & \multicolumn{2}{c}{seen excluded} & \multicolumn{1}{c}{cost} \\" in written
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-4}" in written
    assert r"high & \textbf{.3000} & \textbf{.3000} & 3.0 \\" in written
    assert r"middle & \underline{.2000} & \underline{.2000} & \underline{2.0} \\" in written


def test_latex_escapes_names_and_keeps_hyphens_apart() -> None:
    rows = (row(r"a_b&c%d$e#f{g}h~i^j\k[l]--m", -0.1, mark="‡"),)
    written = FORMATS["latex"](Table("A_1", GROUPED, rows, ("p < .05 & 85 %.", "12 × 768")))
    expected = r"a\_b\&c\%d\$e\#f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k{[}l{]}-{}-m & $-$0"
    assert expected[:-1] in written
    assert r"\caption{A\_1}" in written
    assert r"p \textless{} .05 \& 85 \%." in written
    assert r"\ddag{}" in written
    assert r"12 $\times$ 768" in written


@given(name=st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=20))
def test_latex_is_balanced_whatever_a_method_is_called(name: str) -> None:
    written = FORMATS["latex"](Table(name, GROUPED, (row(name, 0.1), row("other", 0.2)), (name,)))
    environments: list[str] = []
    for kind, environment in re.findall(r"\\(begin|end)\{(\w+)\}", written):
        if kind == "begin":
            environments.append(environment)
        else:
            assert environments.pop() == environment
    assert environments == []
    bare = re.sub(r"\\[\\{}%$&#_]", "", written)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert bare.count("&") == 2 + 3 * 3  # between three groups, and between four columns of three rows
    assert "%" not in bare


def test_csv_keeps_full_precision_and_gives_deviations_and_marks_their_columns() -> None:
    figures = Figure(1 / 3, deviation=0.1 + 0.2), Figure(0.5)
    rows = (("a", *figures, Figure(2.0, "seconds", mark="≈")), ("b, c", *figures, None))
    read = list(csv.reader(io.StringIO(FORMATS["csv"](Table("T", GROUPED, rows, ("Note.",))))))
    assert read[0] == [
        "table", "method", "seen excluded R@10", "seen excluded R@10 deviation", "seen excluded N@10",
        "cost seconds", "cost seconds mark",
    ]  # fmt: skip
    assert [float(cell) for cell in read[1][2:6]] == [1 / 3, 0.1 + 0.2, 0.5, 2.0]
    assert read[1][6] == "extrapolated"
    assert read[2] == ["T", "b, c", str(1 / 3), str(0.1 + 0.2), "0.5", "", ""]


def test_csv_says_a_mark_at_a_name_in_a_column_of_its_own() -> None:
    table = Table("T", ("method", "over lora ‡"), (row("short ‡", 0.1)[:2], row("whole", 0.2)[:2]), ())
    first, second = csv.DictReader(io.StringIO(FORMATS["csv"](table)))
    assert (first["method"], first["method mark"], first["over lora (dry run)"]) == ("short", "dry run", "0.1")
    assert (second["method"], second["method mark"]) == ("whole", "")


def test_several_csv_tables_are_one_that_any_parser_reads(table: Table) -> None:
    about = {"fingerprint": "f00d", "split": "time"}
    other = Table("Other", ("method", "cost"), (("a", Figure(1.0)),), ("Note.",), metadata=(about,))
    read = list(csv.DictReader(io.StringIO(render([table, other], "csv")), strict=True))
    assert [line["table"] for line in read] == ["A title"] * 4 + ["Other"]
    assert read[-1] | {"method": "a", "cost": "1.0", "seen excluded R@10": ""} | about == read[-1]
    assert all(None not in line for line in read)  # as many cells as headings


@pytest.mark.parametrize("form", sorted({*FORMATS} - {"csv"}))
def test_every_format_for_people_says_once_how_best_and_second_are_marked(table: Table, form: str) -> None:
    legend = "* best  + second" if form == "text" else "Bold: best; underlined: second."
    single = Table("One", GROUPED, (row("only", 0.1),), ("Note.",))
    assert FORMATS[form](table).count(legend) == 1
    assert legend not in FORMATS[form](single)


@pytest.mark.parametrize("form", sorted({*FORMATS} - {"csv"}))
def test_every_format_for_people_ends_with_the_notes(table: Table, form: str) -> None:
    written = FORMATS[form](table)
    assert written.index("middle too") < written.index("First note.") < written.index("Second note.")


class Tags(HTMLParser):
    """Collects what opens, what closes, and the text between."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.stack: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        if tag != "br":
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html_is_one_table_with_a_row_head_a_method(table: Table) -> None:
    written = FORMATS["html"](table)
    tags = Tags(written)
    assert tags.stack == []
    assert tags.opened.count("table") == 1
    assert written.count('<th scope="row">') == 4
    assert '<th colspan="2">seen excluded</th>' in written
    assert "<td><strong>.3000</strong></td>" in written
    assert "<td><u>.2000</u></td>" in written


def test_html_escapes_what_others_wrote() -> None:
    evil = '<script>&"'
    tags = Tags(FORMATS["html"](Table(evil, (evil, "x"), ((evil, evil),), (evil,))))
    assert "script" not in tags.opened
    assert "".join(tags.text).count(evil) == 5


def test_markdown_escapes_what_others_wrote() -> None:
    written = FORMATS["md"](Table("t", ("m", "x"), (("a|b*c_<d>", Figure(0.1, mark="*")),), ("* note",)))
    assert r"| a\|b\*c\_\<d\> | .1000\* |" in written
    assert r"\* note" in written
