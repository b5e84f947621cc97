"""Everything that the page has, 390 px wide: no wall of text, nothing to scroll sideways; colours in both schemes."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from contrast import contrast
from explorer_page import PHONE, recommended

pytestmark = pytest.mark.browser

NARROW: Any = PHONE | {"width": 390}
FILTERS = {"price": [2, 29], "brand": ["Acme", "Brevik"], "in_stock": True, "listed": ["2026-11-01", "2026-11-09"],
           "tags": ["new", "t4", "t8"]}  # fmt: skip
ALL = f"&compare_with=item-knn&diversity=0.3&filter={quote(json.dumps(FILTERS))}"
LONG = "a very long text about something that is sold " * 200


@pytest.fixture(scope="module")
def address(shop: str) -> str:
    return shop


def test_nothing_hangs_over_the_side_with_all_filters_a_user_and_two_runs(visit):
    page = visit(f"#user=u1{ALL}", excused="401", **NARROW)
    recommended(page)
    page.locator("#options > summary").tap()
    page.locator("[name=why] >> nth=0").tap()
    page.wait_for_selector("#effects, #why .bad")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    over = page.evaluate(
        "width => [...document.querySelectorAll('header *, main *')]"
        ".filter((node) => node.getBoundingClientRect().right > width + 1).map((node) => node.outerHTML)",
        NARROW["width"],
    )
    assert over == []


def test_options_are_a_line_that_says_what_is_asked_for_until_they_are_opened(visit):
    page = visit(f"#h=i7&diversity=0.3&filter={quote(json.dumps({'price': [2, 29], 'in_stock': True}))}", **NARROW)
    recommended(page)
    assert page.inner_text("#asked") == "price: 2 to 29 · in_stock: yes · diversity 0.3"
    assert page.locator("#run").is_hidden()
    assert page.locator("header").bounding_box()["height"] < 150
    page.locator("#options > summary").tap()
    assert page.locator("#run").is_visible()


def test_options_are_always_there_where_there_is_width(visit):
    page = visit("#h=i7", 1280)
    recommended(page)
    assert page.locator("#run").is_visible()
    assert page.locator("#options > summary").is_hidden()


def test_long_texts_and_long_histories_are_no_wall_ahead_of_the_recommendations(visit):
    page = visit("", **NARROW)

    def answer(route: Any) -> None:
        found = [{"item": f"i{number}", "score": 1.0, "text": LONG} for number in range(1, 11)]
        route.fulfill(json={"items": found, "unknown": [], "fallback": None})

    page.route("**/recommend", answer)
    page.route(
        "**/items/*", lambda route: route.fulfill(json={"item": route.request.url.rpartition("/")[2], "text": LONG})
    )
    page.evaluate("items => { location.hash = '#' + items; }", "&".join(f"h=i{number}" for number in range(1, 31)))
    page.wait_for_selector("#history li >> nth=3")
    page.wait_for_selector("#recommendations li >> nth=9")
    assert page.locator("#history li").count() == 4
    assert page.inner_text("#earlier") == "Show 26 earlier"
    assert all(row.bounding_box()["height"] < 100 for row in page.locator("#history li, #recommendations li").all())
    assert page.locator("#recommendations li >> nth=0").bounding_box()["y"] < 844
    order = [
        page.locator(part).bounding_box()["y"] for part in ("#of-history", "#recommendations", "#of-text", "#aside")
    ]
    assert order == sorted(order)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_times_and_notes_are_read_in_both_schemes(visit, scheme):
    page = visit(f"#user=u1{ALL}", excused="401", color_scheme=scheme)
    recommended(page, "item-knn")
    page.wait_for_selector("#history .when")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    plane = page.evaluate("getComputedStyle(document.querySelector('header')).backgroundColor")
    inks = {
        part: page.locator(part).first.evaluate("node => getComputedStyle(node).color")
        for part in (".only", ".second .only", ".when", "#overview", "#user-note p", "h2 small")
    }
    assert {part: ink for part, ink in inks.items() if contrast(ink, ground) < 4.5} == {}
    faint = page.locator("#diversified").evaluate("node => getComputedStyle(node).color")
    assert contrast(faint, plane) >= 4.5
