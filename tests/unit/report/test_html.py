"""The HTML page: whole in one file, every name escaped, and notes for every figure."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from some_runs import make_run

from ssna.report import TABLES, result_groups
from ssna.report.html import html_page, inline
from ssna.report.plots import curves, render

pytestmark = pytest.mark.slow

HOSTILE = """<script>alert('x')</script><b title="y"> & </style> --> ' onload="z" """
VOID = {"meta", "br", "link", "img", "input"}


class Page(HTMLParser):
    """What a browser sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


@pytest.fixture
def found(tmp_path):
    hostile = {"data": "d", "entry": HOSTILE, "configuration": {}}
    settings = {"method": {"layers": 2}, "training": {"epochs": 7, "device": HOSTILE}}
    runs = [
        make_run(tmp_path / "one", grid=hostile, settings=settings, data={"name": HOSTILE}, model=HOSTILE,
                 commit=HOSTILE, machine={"processor": HOSTILE, "threads": 1, "device": "cpu"}),
        make_run(tmp_path / "two", method="blend", epochs=0, data={"name": HOSTILE}, model=HOSTILE),
    ]  # fmt: skip
    return result_groups(runs)


@pytest.fixture
def tables(found):
    return [*TABLES["accuracy"](found), *TABLES["runtime"](found)]


def test_the_page_is_well_formed_and_its_links_lead_somewhere(found, tables) -> None:
    page = Page(html_page(found, tables))
    ids = page.values("id")
    assert page.open == []
    assert len(ids) == len(set(ids))
    targets = [*page.values("href"), *page.values("xlink:href")]
    assert {target.removeprefix("#") for target in targets} <= set(ids)
    assert set(re.findall(r"url\(#(.*?)\)", " ".join(page.values("clip-path")))) <= set(ids)


def test_nothing_that_runs_hold_becomes_markup(found, tables) -> None:
    page = Page(html_page(found, tables))
    assert not {"script", "link", "iframe", "img"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count("<script>alert('x')</script>") > 10  # shown as text, in tables, plots and settings


def test_the_page_asks_the_network_for_nothing(found, tables) -> None:
    text = html_page(found, tables)
    page = Page(text)
    assert not page.values("src")
    assert all(target.startswith("#") for target in page.values("href"))
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_every_table_is_there_with_its_notes_and_a_link(found, tables) -> None:
    page = Page(html_page(found, tables))
    for number, table in enumerate(tables):
        assert page.text.count(table.title) == 2
        assert all(note in page.text for note in table.notes)
        assert f"#tables-{number}" in page.values("href")


def test_every_plot_says_seen_policy_and_fingerprint(found) -> None:
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", html_page(found, [], "include_seen"), flags=re.DOTALL)
    assert len(captions) == 4  # no layers varied
    assert all("seen included" in caption and "f00d" in caption for caption in captions)


def test_settings_commit_and_machine_of_every_entry_can_be_unfolded(found) -> None:
    page = Page(html_page(found, []))
    assert [tag for tag, _ in page.tags].count("details") == 2
    assert "training.epochs = 7" in page.text
    assert "method.layers = 2" in page.text
    assert "c0ffee" in page.text
    assert "a processor" in page.text


def test_tables_that_scroll_are_reached_by_keyboard(found, tables) -> None:
    page = Page(html_page(found, tables))
    regions = [attributes for _, attributes in page.tags if attributes.get("role") == "region"]
    assert [region["aria-label"] for region in regions] == [table.title for table in tables]
    assert all(region["tabindex"] == "0" for region in regions)


def test_the_page_follows_light_and_dark(found) -> None:
    text = html_page(found, [])
    assert "prefers-color-scheme: dark" in text
    assert "currentColor" in text
    assert "#767676" not in text


def test_names_that_are_no_text_do_not_stop_the_page(found) -> None:
    entry = replace(found[0].entries[0], name="\udcff")
    assert html_page([replace(found[0], entries=(entry,))], []).encode()


def test_two_plots_in_a_page_share_no_id(found) -> None:
    svg = render(curves(found), "svg")
    first, second = (set(Page(inline(svg, prefix)).values("id")) for prefix in ("a-", "b-"))
    assert first
    assert not first & second


def test_the_page_is_the_same_every_time(found, tables) -> None:
    assert html_page(found, tables) == html_page(found, tables)
