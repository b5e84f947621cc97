"""Filters by the attributes of items, and diversity."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from explorer_page import HOSTILE, ask, focus, items_of, recommended, slide, state, wait_for_recommendations_after

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(shop: str) -> str:
    return shop


def filtered(filters: dict[str, Any], more: str = "") -> str:
    return f"#h=i7&h=i3{more}&filter={quote(json.dumps(filters))}"


@pytest.fixture(scope="module")
def asked(shop: str) -> Callable[..., list[str]]:
    """The service's own answer to the history of these tests."""
    return lambda **rules: items_of(ask(shop, "recommend", {"history": ["i7", "i3"], **rules}))


def add_filter(page: Any, name: str) -> Any:
    page.select_option("#add-filter", name)
    row = page.locator(f"#filters li[data-attribute='{name}']")
    row.wait_for()
    return row


def test_each_kind_of_attribute_has_its_own_control_which_offers_the_values_there_are(visit):
    page = visit("#h=i7&h=i3")
    names = page.locator("#add-filter option").all_inner_texts()
    assert names == ["by …", "price", "brand", "in_stock", "listed", "tags"]
    price = add_filter(page, "price").locator("input[type=number]")
    assert [each.get_attribute("placeholder") for each in price.all()] == ["1", "30"]
    brands = add_filter(page, "brand").locator("select option").all_inner_texts()
    assert brands == ["choose …", f"{HOSTILE} (10)", "Acme (10)", "Brevik (10)"]
    assert add_filter(page, "in_stock").locator("select option").all_inner_texts() == ["any", "yes", "no"]
    listed = add_filter(page, "listed").locator("input[type=date]")
    assert [each.get_attribute("title") for each in listed.all()] == [
        "The least is 2026-11-01",
        "The most is 2026-11-10",
    ]
    tags = add_filter(page, "tags")
    assert tags.locator("datalist option").first.get_attribute("value") == "new"
    assert page.locator("#add-filter").is_hidden()
    for control in page.locator("#filters input, #filters select, #filters button").all():
        assert control.get_attribute("aria-label")


def test_a_range_of_numbers_keeps_both_ends(visit, asked):
    page = visit("#h=i7&h=i3")
    recommended(page)
    low, high = add_filter(page, "price").locator("input").all()
    for box, value in ((low, "5"), (high, "9.5")):
        box.fill(value)
        wait_for_recommendations_after(page, lambda box=box: box.press("Tab"))
    assert recommended(page) == asked(where={"and": [{">=": ["price", 5]}, {"<=": ["price", 9.5]}]})
    assert sorted(recommended(page)) == ["i5", "i6", "i8", "i9"]
    low.fill("")
    wait_for_recommendations_after(page, lambda: low.press("Enter"))
    assert recommended(page) == asked(where={"<=": ["price", 9.5]})
    assert json.loads(state(page)["filter"][0]) == {"price": [None, 9.5]}


def test_any_of_the_texts_that_are_chosen_will_do_until_they_are_taken_away(visit, asked):
    page = visit("#h=i7&h=i3")
    recommended(page)
    brand = add_filter(page, "brand")
    for number, name in enumerate(("Brevik", HOSTILE), 1):
        wait_for_recommendations_after(page, lambda name=name: brand.locator("select").select_option(name))
        assert brand.locator(".chip").count() == number
    assert recommended(page) == asked(where={"in": ["brand", ["Brevik", HOSTILE]]})
    assert page.title() == "ssna explorer"
    wait_for_recommendations_after(page, lambda: brand.locator(".chip >> nth=1").click())
    assert recommended(page) == asked(where={"=": ["brand", "Brevik"]})


def test_where_there_are_too_many_texts_to_list_one_is_typed(visit, asked):
    page = visit("#h=i7&h=i3")
    recommended(page)
    box = add_filter(page, "tags").locator("input")
    box.fill("new")
    wait_for_recommendations_after(page, lambda: box.press("Enter"))
    assert recommended(page) == asked(where={"=": ["tags", "new"]})


def test_the_last_day_of_a_range_counts_as_a_whole(visit):
    page = visit(filtered({"listed": ["2026-11-02", "2026-11-03"]}))
    assert sorted(recommended(page)) == ["i4", "i5", "i6", "i8", "i9"]  # and i7 is of the history


def test_booleans_are_yes_no_or_any(visit, asked):
    page = visit("#h=i7&h=i3")
    everything = recommended(page)
    choice = add_filter(page, "in_stock").locator("select")
    for word, rules in (("yes", {"where": "in_stock = true"}), ("no", {"where": "in_stock = false"})):
        wait_for_recommendations_after(page, lambda word=word: choice.select_option(word))
        assert recommended(page) == asked(**rules)
    wait_for_recommendations_after(page, lambda: choice.select_option("any"))
    assert recommended(page) == everything
    assert "filter" not in state(page)


def test_all_filters_must_be_met_and_the_address_holds_them(visit, asked):
    page = visit(filtered({"price": [4, None], "brand": ["Acme", "Brevik"], "in_stock": True}, "&diversity=0.5"))
    where = {"and": [{">=": ["price", 4]}, {"in": ["brand", ["Acme", "Brevik"]]}, {"=": ["in_stock", True]}]}
    assert recommended(page) == asked(where=where, diversity=0.5)
    same = visit("#" + urlsplit(page.url).fragment)
    assert recommended(same) == recommended(page)
    assert same.locator("#filters li").count() == 3
    assert same.locator("#filters .chip").all_inner_texts() == ["Acme ×", "Brevik ×"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"prise": [1, 2]}', "No filter by prise can be had here."),
        ('{"price": ["1", null], "brand": "Acme"}', "No filter by price or brand can be had here."),
        ('{"listed": ["yesterday", null], "in_stock": 1}', "No filter by listed or in_stock can be had here."),
        ("{", "The filters of this address cannot be read."),
        ("null", "The filters of this address cannot be read."),
    ],
)
def test_filters_of_a_link_that_do_not_fit_are_left_out_and_named(visit, written, said):
    page = visit(f"#h=i7&filter={quote(written)}")
    assert len(recommended(page)) == 10
    assert page.inner_text("#status") == said
    assert page.locator("#filters li").count() == 0


def test_a_run_without_an_attribute_is_not_filtered_by_it_and_says_so(visit, asked):
    page = visit(filtered({"price": [10, None], "in_stock": True}, "&compare_with=item-knn&diversity=0.4"))
    notes = page.locator("#recommendations h2 small")
    assert recommended(page, "item-knn") == asked(run="item-knn", where="price >= 10")
    assert notes.all_inner_texts() == ["", "Not diversified: it has no vectors. Not filtered by in_stock"]


def test_filters_that_no_item_fulfils_say_so(visit):
    page = visit(filtered({"price": [100, None]}))
    page.wait_for_selector("#recommendations h2 small:text-is('No item fulfils the filters')")
    assert page.locator("#recommendations li").count() == 0


def test_a_filter_is_made_and_removed_by_keyboard_alone(visit):
    page = visit("#h=i7&h=i3")
    everything = recommended(page)
    page.focus("#add-filter")
    page.keyboard.press("p")
    page.wait_for_selector("#filters li")
    page.keyboard.type("20")
    wait_for_recommendations_after(page, lambda: page.keyboard.press("Enter"))
    assert recommended(page) != everything
    page.focus("#filters [name=remove]")
    wait_for_recommendations_after(page, lambda: page.keyboard.press("Enter"))
    assert recommended(page) == everything
    assert focus(page) == "add-filter"


def test_values_can_be_typed_where_the_service_does_not_list_them(visit, asked):
    page = visit("#h=i7&h=i3", excused="ERR_FAILED")
    recommended(page)
    page.route("**/attributes?*", lambda route: route.abort())
    box = add_filter(page, "brand").locator("input")
    assert page.inner_text("#status") == "The server does not answer"
    box.fill("Acme")
    wait_for_recommendations_after(page, lambda: box.press("Enter"))
    assert recommended(page) == asked(where="brand = Acme")


def test_diversity_is_off_until_its_slider_moves(visit, asked):
    page = visit("#h=i7&h=i3")
    before = recommended(page)
    assert page.inner_text("#diversified") == "off"
    wait_for_recommendations_after(page, lambda: slide(page, "#diversity", 0.9))
    assert recommended(page) == asked(diversity=0.9) != before
    assert (page.inner_text("#diversified"), state(page)["diversity"]) == ("0.9", ["0.9"])


def test_runs_without_vectors_or_attributes_have_neither_slider_nor_filters(visit):
    page = visit("#h=i7&run=item-knn")
    recommended(page, "item-knn")
    assert page.locator("#diversify").is_hidden()
    assert page.locator("#add-filter option").all_inner_texts() == ["by …", "price", "brand"]
