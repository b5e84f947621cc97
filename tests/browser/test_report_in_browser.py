"""The HTML report as people meet it: on a wide screen and on a phone, in the light and in the dark, by keyboard."""

from collections.abc import Callable
from typing import Any

import pytest
from contrast import contrast, luminance
from some_runs import make_run

from ssna.report import TABLES, result_groups
from ssna.report.html import html_page

pytestmark = pytest.mark.slow

HOSTILE = """<script>document.title = 'taken'</script><img src="x" onerror="document.title = 'taken'">"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    about = {"data": "d", "entry": HOSTILE, "configuration": {}}
    settings = {"method": {"name": "ssna"}, "training": {"epochs": 7}}
    found = result_groups(
        [
            make_run(folder / "one", grid=about, settings=settings),
            make_run(folder / "two", method="blend", epochs=0),
        ]
    )
    tables = [table for make in TABLES.values() for table in make(found)]
    page = folder / "report.html"
    page.write_text(html_page(found, tables), encoding="utf-8")
    return page.as_uri()


@pytest.fixture
def visit(chromium: Any, file: str, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The open page, on a screen of that width, in that scheme; it must request nothing and report no error."""

    def go(width: int = 1200, scheme: str = "light") -> Any:
        page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: requests.append(message.text))
        page.goto(file)
        request.addfinalizer(page.close)
        assert requests == [file]
        return page

    return go


def test_names_that_runs_hold_stay_text(visit):
    page = visit()
    assert page.title() == "Runs compared"
    assert HOSTILE in page.inner_text("summary >> nth=0")
    assert page.locator("script, img").count() == 0


@pytest.mark.parametrize("width", [360, 1200])
def test_only_tables_scroll_sideways(visit, width):
    page = visit(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#tables-0").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(visit, scheme):
    ink, ground = visit(scheme=scheme).evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert contrast(ink, ground) >= 7
    assert (luminance(ink) < luminance(ground)) == (scheme == "light")


def test_every_link_of_the_contents_leads_to_something_on_the_page(visit):
    page = visit()
    links = page.locator("nav a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert len(links) > 5
    assert [link for link in links if page.locator(link).count() != 1] == []
    page.click(f"nav a[href='{links[-1]}']")
    assert page.locator(links[-1]).is_visible()


def test_the_first_key_offers_to_skip_to_the_tables_and_settings_unfold_by_keyboard(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the tables"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    settings = page.locator("details pre >> nth=0")
    assert not settings.is_visible()
    page.locator("summary >> nth=0").focus()
    page.keyboard.press("Enter")
    assert settings.is_visible()


def test_every_plot_is_drawn_with_letters_to_read(visit):
    page = visit()
    plots = page.locator("figure svg")
    assert plots.count() >= 3
    for number in range(plots.count()):
        assert plots.nth(number).bounding_box()["height"] > 100
        assert plots.nth(number).locator("text").count() > 3
