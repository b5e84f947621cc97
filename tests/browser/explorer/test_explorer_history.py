import pytest
from explorer_page import ITEMS, focus, history, recommended, state, wait_for_events, wait_for_recommendations_after

pytestmark = pytest.mark.browser


def test_a_history_is_composed_by_keyboard_alone(visit):
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("i7")
    page.wait_for_selector("#found li")
    page.keyboard.press("ArrowDown")
    assert page.locator("#found li[aria-selected=true] .id").inner_text() == "i7"
    page.keyboard.press("Enter")
    assert len(recommended(page)) == 10
    assert history(page) == ["i7"]
    assert "i7" not in recommended(page)
    page.keyboard.type("nothing is called so")
    page.wait_for_selector("#found-note:text-is('Nothing found')")
    assert page.locator("#found").is_hidden()
    page.keyboard.press("Escape")
    assert page.input_value("#query") == ""


def test_a_click_on_a_recommendation_adds_it_and_delete_takes_it_out(visit):
    page = visit("#h=i7")
    first = recommended(page)[0]
    page.click("ol[data-run='best'] li >> nth=0 >> .add")
    wait_for_events(page, 2)
    assert history(page) == ["i7", first]
    page.wait_for_selector(f"ol[data-run='best'] li[data-item='{first}']", state="detached")
    page.focus("#history li >> nth=1")
    page.keyboard.press("Delete")
    wait_for_events(page, 1)
    assert history(page) == ["i7"]
    assert page.evaluate("document.activeElement === document.querySelector('#history li')")


def test_the_focus_follows_an_item_that_moves_and_its_button_while_there_is_one(visit):
    page = visit("#h=i7&h=i3&h=i5")
    page.focus("#history li >> nth=2 >> [name=earlier]")
    page.keyboard.press("Enter")
    assert history(page) == ["i7", "i5", "i3"]
    assert focus(page) == "i5 earlier"
    page.keyboard.press("Enter")
    assert history(page) == ["i5", "i7", "i3"]
    assert focus(page) == "i5"


def test_the_focus_goes_to_the_next_item_when_one_is_removed_and_to_the_search_after_the_last(visit):
    page = visit("#h=i7&h=i3&h=i5")
    page.focus("#history li >> nth=1 >> [name=remove]")
    for left in ("i5", "i7"):
        page.keyboard.press("Enter")
        assert focus(page) == f"{left} remove"
    page.keyboard.press("Enter")
    assert focus(page) == "query"


def test_the_focus_goes_to_the_search_when_the_history_is_cleared(visit):
    page = visit("#h=i7&h=i3")
    page.focus("#clear")
    page.keyboard.press("Enter")
    assert history(page) == []
    assert focus(page) == "query"


def test_items_of_a_history_change_places(visit):
    page = visit("#h=i7&h=i3")
    page.wait_for_selector("#history li")
    page.click("button[aria-label='Move earlier']")
    page.wait_for_selector("#history li:first-child .id:text-is('i3')")
    assert history(page) == ["i3", "i7"]
    assert state(page)["h"] == ["i3", "i7"]


def test_an_unknown_history_says_that_popularity_ranks(visit):
    page = visit("#h=missing", excused="404")
    assert len(recommended(page)) == 10
    assert "by popularity" in page.inner_text("#recommendations h2")


def test_unknown_items_of_a_history_are_marked(visit):
    page = visit("#h=i7&h=missing", excused="404")
    page.wait_for_selector("#history .mark:text-is('unknown')")
    assert page.locator("#history .mark").all_inner_texts() == ["", "unknown"]


def test_a_search_that_finds_more_than_it_lists_says_how_many(visit):
    page = visit()
    page.fill("#query", "i")
    page.wait_for_selector("#found li")
    assert page.locator("#found li").count() == 20
    assert page.inner_text("#found-note") == f"20 of {ITEMS}: more words find fewer"


def test_enter_ahead_of_the_hits_takes_the_first_of_what_was_typed(visit):
    page = visit()
    page.route("**/items?*", lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.focus("#query")
    for count, item in enumerate(("i7", "i8"), 1):
        page.keyboard.type(item)
        page.keyboard.press("Enter")
        wait_for_events(page, count)
    assert history(page) == ["i7", "i8"]
    assert page.input_value("#query") == ""


def test_enter_takes_no_hit_of_an_earlier_query(visit):
    page = visit()
    page.fill("#query", "i7")
    page.wait_for_selector("#found li")
    page.fill("#query", "i8")
    page.keyboard.press("Enter")
    wait_for_events(page, 1)
    assert history(page) == ["i8"]


def test_enter_on_a_recommendation_leaves_the_focus_at_its_rank_among_the_new_ones(visit):
    page = visit("#h=i7&compare_with=item-knn")
    for run in ("best", "item-knn"):
        page.focus(f"ol[data-run='{run}'] li >> nth=3 >> .add")
        added = recommended(page, run)[3]
        wait_for_recommendations_after(page, lambda: page.keyboard.press("Enter"))
        assert history(page)[-1] == added
        assert focus(page) == f"{recommended(page, run)[3]} add"


def test_after_an_item_was_added_a_slash_goes_to_the_search_wherever_the_focus_is(visit):
    page = visit("#h=i7")
    recommended(page)
    wait_for_recommendations_after(page, lambda: page.click("ol[data-run='best'] li >> nth=8 >> .add"))
    page.keyboard.press("/")
    assert focus(page) == "query"
    page.keyboard.type("i8")
    page.keyboard.press("Enter")
    wait_for_events(page, 3)
    page.keyboard.press("/")  # the search has the focus still: what is typed next is the query
    page.keyboard.type("i9")
    page.wait_for_selector("#found li[data-item='i9']")
    assert page.input_value("#query") == "i9"


@pytest.mark.parametrize("part", ["#seen", "#diversity", "#clear", "#history li"])
def test_a_slash_goes_to_the_search_from_what_nothing_is_typed_into(visit, part):
    page = visit("#h=i7")
    recommended(page)
    page.focus(part)
    page.keyboard.press("/")
    assert (focus(page), page.input_value("#query")) == ("query", "")


def test_a_slash_within_a_query_or_a_text_is_a_sign_like_any_other(visit):
    page = visit("#h=i7")
    for part in ("#query", "#text"):
        page.focus(part)
        page.keyboard.type("a/b")
        assert page.input_value(part) == "a/b"
