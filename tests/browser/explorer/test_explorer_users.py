"""What a user did, in order of time, and the recommendations beside it."""

from typing import Any

import pytest
from explorer_page import HOSTILE, ask, history, items_of, recommended, state, wait_for_recommendations_after

pytestmark = pytest.mark.browser

NOON = 1_767_268_800  # 1 January 2026, in seconds
KEY_IS_MISSING = "401"


@pytest.fixture(scope="module")
def address(shop: str) -> str:
    return shop


@pytest.fixture
def open_user(visit: Any) -> Any:
    def opened(user: str, start: str = "", **screen: Any) -> Any:
        page = visit(start, excused=KEY_IS_MISSING, **screen)
        page.click("#of-user summary")
        page.fill("#user", user)
        page.press("#user", "Enter")
        page.wait_for_selector("#user-note p")
        page.wait_for_selector("#recommendations li")
        return page

    return opened


def post(shop: str, user: str, *events: dict[str, Any]) -> None:
    ask(shop, "events", {"events": [{"user": user, **event} for event in events]})


def wait_for_history(page: Any, items: list[str]) -> None:
    page.wait_for_function(
        "items => [...document.querySelectorAll('#history li')].map((row) => row.dataset.item).join() === items.join()",
        arg=items,
    )


def test_events_stand_in_order_of_time_with_their_kinds_and_what_the_service_recommends_beside(open_user, shop):
    late = {"item": "i4", "time": NOON + 86_400, "kind": "purchase"}
    post(shop, "a/b ü", late, {"item": "i9", "time": NOON, "kind": HOSTILE[:64]})
    page = open_user("a/b ü")
    wait_for_history(page, ["i9", "i4"])
    assert page.inner_text("#user-note") == "2 events, Jan 1, 2026 to Jan 2, 2026"
    whens = page.locator("#history .when").all_inner_texts()
    assert [when.replace("\u202f", " ") for when in whens] == [
        f"Jan 1, 2026, 12:00 PM · {HOSTILE[:64]} · posted",
        "Jan 2, 2026, 12:00 PM · purchase · posted",
    ]
    assert page.get_attribute("#history time >> nth=0", "datetime") == "2026-01-01T12:00:00.000Z"
    assert page.title() == "ssna explorer"
    assert page.inner_text("#history-order") == "oldest first, times in UTC"
    page.wait_for_selector("#recommendations h2 small:empty", state="attached")
    assert recommended(page) == items_of(ask(shop, "users/a%2Fb%20%C3%BC/recommend"))


def test_users_of_the_data_set_have_a_history_too(open_user, shop):
    events = ask(shop, "users/u1/history")["events"]
    page = open_user("u1")
    wait_for_history(page, [event["item"] for event in events][-10:])
    assert set(page.locator("#history .when").all_inner_texts()) == {"data set"}  # which has no times
    assert page.inner_text("#user-note") == f"{len(events)} events"
    assert page.inner_text("#history-order") == "oldest first"
    page.wait_for_selector("#recommendations h2 small:empty", state="attached")
    assert recommended(page) == items_of(ask(shop, "users/u1/recommend"))


def test_a_user_that_nobody_knows_says_so_and_gets_what_is_popular(open_user):
    page = open_user("nobody")
    page.wait_for_selector("#user-note p:text-is('Nothing is known of nobody')")
    assert history(page) == []
    assert len(recommended(page)) == 10


def test_an_event_of_an_item_that_the_catalogue_lacks_is_marked(open_user, shop):
    post(shop, "early", {"item": "not-yet", "time": NOON}, {"item": "i5", "time": NOON + 1})
    page = open_user("early")
    page.wait_for_selector("#history .mark:text-is('unknown')")
    assert history(page) == ["not-yet", "i5"]


def test_of_a_long_history_the_latest_events_are_shown_and_the_earlier_ones_when_they_are_asked_for(open_user, shop):
    rows = [f"i{1 + number % 7}" for number in range(45)]
    post(shop, "busy", *({"item": item, "time": NOON + number} for number, item in enumerate(rows)))
    page = open_user("busy")
    wait_for_history(page, rows[-10:])
    assert page.inner_text("#earlier") == "Show 35 earlier"
    page.click("#earlier")
    wait_for_history(page, rows)
    assert page.locator("#earlier").is_hidden()


def test_the_address_names_the_user_and_a_changed_history_is_nobodys_until_back(open_user, shop):
    post(shop, "me", {"item": "i4", "time": NOON}, {"item": "i9", "time": NOON + 1}, {"item": "i2", "time": NOON + 2})
    page = open_user("me", "#h=i7")
    wait_for_history(page, ["i4", "i9", "i2"])
    page.wait_for_selector("#recommendations h2 small:empty", state="attached")
    assert state(page) == {"user": ["me"]}
    wait_for_recommendations_after(page, lambda: page.click("#history [name=remove] >> nth=1"))
    assert state(page) == {"h": ["i4", "i2"]}
    assert page.locator("#history .when").count() == 0
    assert page.input_value("#user") == ""
    page.go_back()
    wait_for_history(page, ["i4", "i9", "i2"])
    assert page.locator("#history time").count() == 3
    page.go_back()
    wait_for_history(page, ["i7"])


def test_a_link_to_a_user_can_be_opened_with_filters_and_two_runs(visit, shop):
    post(shop, "linked", {"item": "i4", "time": NOON})
    page = visit('#user=linked&compare_with=item-knn&filter={"price":[20,null]}', excused=KEY_IS_MISSING)
    wait_for_history(page, ["i4"])
    for run in ("best", "item-knn"):
        body = {"history": ["i4"], "run": run, "where": "price >= 20"}
        assert recommended(page, run) == items_of(ask(shop, "recommend", body))


def test_who_has_no_key_sees_no_user_and_all_else(chromium, shop):
    page, asked = chromium.new_page(), []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.goto(f"{shop}/#h=i7")
    recommended(page)
    for count in (1, 2):  # whoever wants a user again is asked again
        page.evaluate("user => { location.hash = `#user=${user}`; }", f"u{count}")
        page.wait_for_function("count => document.querySelector('#user').value === `u${count}`", arg=count)
        page.wait_for_selector("#user-note .bad")
        assert page.inner_text("#user-note") == "The key is missing: send it as X-API-Key"
        assert len(asked) == count
    assert len(recommended(page)) == 10
    page.close()


def test_an_answer_that_comes_late_does_not_undo_what_was_done_meanwhile(open_user, shop):
    post(shop, "slow", {"item": "i4", "time": NOON})
    page = open_user("nobody")
    page.route("**/users/slow/history", lambda route: (page.wait_for_timeout(500), route.continue_()))
    page.fill("#user", "slow")
    page.press("#user", "Enter")
    page.fill("#query", "i8")
    page.press("#query", "Enter")
    wait_for_history(page, ["i8"])
    page.wait_for_timeout(700)
    assert history(page) == ["i8"]
    assert state(page)["h"] == ["i8"]
