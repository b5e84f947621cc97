from typing import Any
from urllib.parse import urlsplit

import pytest
from explorer_page import (
    ITEMS,
    history,
    recommended,
    state,
    wait_for_recommendations_after,
)

pytestmark = pytest.mark.browser


def test_no_run_is_compared_with_itself(visit):
    def offered(page: Any) -> list[str]:
        return page.locator("#compare-with option").evaluate_all("options => options.map((option) => option.value)")

    page = visit("#h=i7&compare_with=best")
    recommended(page)
    assert page.locator("#recommendations ol").count() == 1
    assert offered(page) == ["", "item-knn"]
    page.select_option("#compare-with", "item-knn")
    recommended(page, "item-knn")
    page.select_option("#run", "item-knn")
    page.wait_for_selector("#recommendations .second ol[data-run='best'] li")
    assert offered(page) == ["", "best"]
    assert page.input_value("#compare-with") == "best"


def test_one_run_alone_has_nothing_to_compare_with(visit):
    page = visit()
    page.route("**/runs", lambda route: route.fulfill(json={"runs": [{"name": "best", "items": ITEMS}]}))
    page.reload()
    page.wait_for_selector("#run option", state="attached")
    assert page.locator("#compare-with").is_hidden()


def test_two_runs_are_compared_side_by_side(visit):
    page = visit("#h=i7&h=i3")
    alone = recommended(page)
    page.select_option("#compare-with", "item-knn")
    other = recommended(page, "item-knn")
    assert recommended(page) == alone
    both = [item for item in alone if item in other]
    row = page.locator(f"ol[data-run='best'] li[data-item='{both[0]}']").inner_text()
    assert "in item-knn" in row
    page.click("ol[data-run='item-knn'] li >> nth=0 >> text=why")
    page.wait_for_selector("#effects")
    assert page.locator("#experts").count() == 0
    assert "by item-knn" in page.inner_text("#why")


def test_a_text_that_is_no_item_gets_a_rank_and_neighbours(visit):
    page = visit("#h=i7&h=i3")
    page.fill("#text", "a lamp that nobody has seen yet")
    page.wait_for_selector("#rank")
    assert f"of {ITEMS - 1}" in page.inner_text("#rank")
    assert page.locator("#text-rank li").count() == 5


def test_the_address_holds_all_of_it(visit):
    page = visit("#h=i7&h=i3&k=4&seen=1&compare_with=item-knn&text=a+lamp")
    page.wait_for_selector("#rank")
    page.click("ol[data-run='best'] li >> nth=0 >> text=why")
    page.wait_for_selector("#experts")
    same = visit("#" + urlsplit(page.url).fragment)
    same.wait_for_selector("#rank")
    same.wait_for_selector("#experts")
    assert history(same) == ["i7", "i3"]
    for run in ("best", "item-knn"):
        assert recommended(same, run) == recommended(page, run)
        assert len(recommended(page, run)) == 4
    assert same.inner_text("#why") == page.inner_text("#why")
    assert same.is_checked("#seen")
    assert same.input_value("#text") == "a lamp"


def test_back_undoes_a_change_of_the_history_and_forward_makes_it_again(visit):
    page = visit("#h=i7")
    first = recommended(page)
    wait_for_recommendations_after(page, lambda: page.click("ol[data-run='best'] li >> nth=0 >> .add"))
    longer = history(page)
    wait_for_recommendations_after(page, lambda: page.click("#clear"))
    for go, events in ((page.go_back, longer), (page.go_back, ["i7"]), (page.go_forward, longer)):
        wait_for_recommendations_after(page, go)
        assert history(page) == events
    wait_for_recommendations_after(page, page.go_back)
    assert recommended(page) == first


def test_only_changes_of_the_history_are_steps_for_back(visit):
    page = visit("#h=i7")
    recommended(page)
    steps = page.evaluate("history.length")
    page.fill("#text", "a lamp that nobody has seen yet")
    page.wait_for_selector("#rank")
    page.click("ol[data-run='best'] li >> nth=0 >> text=why")
    page.wait_for_selector("#experts")
    page.select_option("#compare-with", "item-knn")
    recommended(page, "item-knn")
    assert page.evaluate("history.length") == steps
    assert {"text", "why", "compare_with"} < set(state(page))


def test_an_address_that_is_edited_is_shown(visit):
    page = visit("#h=i7")
    recommended(page)
    wait_for_recommendations_after(page, lambda: page.evaluate("() => { location.hash = '#h=i3&h=i5'; }"))
    assert history(page) == ["i3", "i5"]


def test_a_text_without_a_history_says_what_is_missing(visit):
    page = visit()
    page.fill("#text", "a lamp")
    page.wait_for_selector("#text-rank .faint")
    assert "Add an item to the history" in page.inner_text("#text-rank")


def test_a_text_that_the_run_cannot_read_says_so_below_it(visit):
    page = visit("#h=i7&run=item-knn&text=a+lamp", excused="409")
    page.wait_for_selector("#text-rank .bad")
    assert "cannot rank a text" in page.inner_text("#text-rank")


def test_a_server_that_is_gone_is_named_where_its_recommendations_would_be(visit):
    page = visit("#h=i7", excused="ERR_FAILED")
    recommended(page)
    page.route("**/*", lambda route: route.abort())
    page.fill("#query", "i8")
    page.wait_for_selector("#found-note .bad:text-is('The server does not answer')")
    page.fill("#k", "5")
    page.press("#k", "Enter")
    page.wait_for_selector("#recommendations .bad")
    assert page.inner_text("#recommendations") == "The server does not answer"


def test_a_link_to_a_run_that_is_gone_says_who_answers_instead(visit):
    page = visit("#h=i7&run=missing&compare_with=item-knn")
    recommended(page)
    assert page.inner_text("#status") == "No run called missing is served here: what you see is by best and item-knn."
