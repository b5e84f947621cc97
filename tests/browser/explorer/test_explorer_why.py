import pytest
from explorer_page import (
    PHONE,
    focus,
    recommended,
    state,
    wait_until_seen,
)

from ssna.serving.limits import LIMITS

pytestmark = pytest.mark.browser


def test_why_tells_of_the_history_of_text_and_id_embedding_of_layers_and_of_experts(visit):
    page = visit("#h=i7&h=i3")
    chosen = recommended(page)[1]
    page.click("ol[data-run='best'] li >> nth=1 >> text=why")
    page.wait_for_selector("#experts")
    assert chosen in page.inner_text("#why")
    assert "2nd of all that is not in the history" in page.inner_text("#why")
    assert page.locator("#effects tr").count() == 2
    assert page.locator("#contributions tr").count() == 2
    assert page.locator("#layers tr").count() == 2
    assert page.locator("#experts tr").count() == 2
    assert page.locator("#experts tr >> nth=0 >> td").count() == 2
    assert page.locator("#nearest").is_visible()
    assert state(page)["why"] == [chosen]


def test_w_on_a_recommendation_says_why(visit):
    page = visit("#h=i7")
    recommended(page)
    page.focus("ol[data-run='best'] li >> nth=0 >> .add")
    page.keyboard.press("w")
    page.wait_for_selector("#experts")


def test_why_is_seen_beside_the_recommendations_however_far_down(visit):
    page = visit("#h=i7&k=28")
    page.focus("ol[data-run='best'] li >> nth=26 >> .add")
    page.keyboard.press("w")
    page.wait_for_selector("#experts")
    assert page.evaluate("scrollY") > 500
    wait_until_seen(page, "#summary")
    assert focus(page) == f"{recommended(page)[26]} add"


def test_why_opens_below_its_recommendation_on_a_phone_and_closes_there(visit):
    page = visit("#h=i7&h=i3&compare_with=item-knn", **PHONE)
    last = recommended(page, "item-knn")[-1]
    why = page.locator(f"ol[data-run='item-knn'] li[data-item='{last}'] [name=why]")
    why.tap()
    page.wait_for_selector(f"li[data-item='{last}'] #effects")
    wait_until_seen(page, "#summary")
    assert why.get_attribute("aria-pressed") == "true"
    why.tap()
    page.wait_for_selector("li #panel", state="detached")
    assert "why" not in state(page)


def test_a_history_that_changes_closes_why(visit):
    page = visit("#h=i7&h=i3&why=i9", **PHONE)
    page.wait_for_selector("#experts")
    page.locator("[name=remove] >> nth=0").tap()
    page.wait_for_selector("#experts", state="detached")
    assert page.locator("#panel").count() == 1


@pytest.mark.parametrize(("wish", "motion"), [("reduce", "auto"), ("no-preference", "smooth")])
def test_nothing_glides_for_those_who_want_no_motion(visit, wish, motion):
    page = visit("#h=i7", reduced_motion=wish, **PHONE)
    page.evaluate("() => { Element.prototype.scrollIntoView = (how) => { document.title = how.behavior; }; }")
    page.locator("[name=why] >> nth=9").tap()
    page.wait_for_function("title => document.title === title", arg=motion)


def test_events_that_add_most_come_first_and_those_that_add_nothing_are_put_aside(visit):
    page = visit("#h=i7&h=i3&h=i5&h=i4")
    events = [{"item": item, "text": "", "effect": effect, "similarity": None}
              for item, effect in (("i7", 0.0001), ("i3", 0.5), ("i5", -2.0), ("i4", 1.5))]  # fmt: skip
    explanation = {
        "item": {"item": "i9", "score": 3.0, "text": ""},
        "rank": 1,
        "members": [],
        "history": events,
        "adapters": None,
    }
    page.route("**/explain", lambda route: route.fulfill(json=explanation))
    page.click("ol[data-run='best'] li >> nth=0 >> text=why")
    page.wait_for_selector("#others")
    assert page.locator("#effects th").all_inner_texts() == ["i5", "i4", "i3"]
    assert page.inner_text("#others") == "1 event adds nothing that shows"
    page.click("#others summary")
    assert "i7" in page.inner_text("#others")


def test_numbers_of_a_column_have_as_many_decimals_one_and_all(visit):
    written = """async (values) => {
        const { decimals, number } = await import("/elements.js");
        return values.map((value) => number(value, decimals(values)));
    }"""
    page = visit()
    for values, texts in (
        ([10.3412, 9.9751, -0.0312], ["10.34", "9.98", "−0.03"]),
        ([0.5, -0.00001], ["0.500", "0.000"]),
        ([1573, 12], ["1,573", "12"]),
    ):
        assert page.evaluate(written, values) == texts
    assert all(score.isdecimal() for score in page.locator(".score").all_inner_texts())  # popularity


def test_what_cannot_be_explained_says_so_where_the_explanation_would_be(visit):
    page = visit("#h=i7&why=missing", excused="404")
    page.wait_for_selector("#why .bad")
    assert page.inner_text("#why") == "Item 'missing' is not in the catalogue"
    assert len(recommended(page)) == 10


def test_a_history_too_long_to_be_explained_is_ranked_and_says_so(visit):
    page = visit("#" + "&".join(["h=i7"] * (LIMITS.explained_history + 1)) + "&why=i9&text=a+lamp")
    for part in ("#why", "#text-rank"):
        page.wait_for_selector(f"{part} .bad")
        assert (
            f"up to {LIMITS.explained_history} events; this one has {LIMITS.explained_history + 1}"
            in page.inner_text(part)
        )
    assert len(recommended(page)) == 10


def test_texts_of_the_catalogue_stay_text(visit):
    page = visit("#h=i1&h=i3&why=i1")
    page.wait_for_selector("#experts")
    assert page.title() == "ssna explorer"
    assert "<script>" in page.inner_text("#history")
    assert "<script>" in page.inner_text("#why")
    page.fill("#query", "onerror")
    page.wait_for_selector("#found li")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
