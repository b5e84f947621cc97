"""The explorer as people meet it: by keyboard and by mouse, wide and narrow, light and dark, over a real server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from contrast import contrast

from ssna.runs import train
from ssna.serving.limits import LIMITS
from ssna.text import encode

HOSTILE = """<script>document.title = 'taken'</script><img src="x" onerror="document.title = 'taken'"> of all"""
ITEMS = 30
PHONE: Any = {"width": 400, "has_touch": True, "is_mobile": True}
SMALL = ["dim=8", "sequence.inner=8", "training.epochs=2", "method.heads=2", "method.layers=2", "method.ids=true"]


@pytest.fixture(scope="module")
def address(
    random_data: Any, distinct_texts: Any, language_model: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("explorer")
    data = random_data(seed=5, items=ITEMS, texts=[HOSTILE, *distinct_texts(ITEMS)[1:]])
    cache, _ = encode(data.texts, language_model, folder / "cache", dtype="fp32", device="cpu", quiet=True)
    train(data, cache, method="ssna", settings=SMALL, out=folder / "best", quiet=True)
    train(data, method="item-knn", out=folder / "item-knn", quiet=True)
    command = [sys.executable, "-m", "ssna", "serve", folder / "best", "--beside", folder / "item-knn", "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert server.stdout is not None
    yield server.stdout.readline().split()[-1]
    server.terminate()
    assert server.wait(30) == 0


@pytest.fixture
def visit(chromium: Any, address: str, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The open page; at the end it must have asked nobody but the service, with no complaint that is not excused."""

    def go(state: str = "", width: int = 1300, excused: str = "\0", **screen: Any) -> Any:
        page = chromium.new_page(viewport={"width": width, "height": 800}, **screen)
        page.set_default_timeout(20_000)
        complaints: list[str] = []
        page.on(
            "request", lambda asked: None if asked.url.startswith((address, "data:")) else complaints.append(asked.url)
        )
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/{state}")
        page.wait_for_selector("#run option", state="attached")

        def end() -> None:
            page.close()
            assert [each for each in complaints if excused not in each] == []

        request.addfinalizer(end)
        return page

    return go


def history(page: Any) -> list[str]:
    return page.locator("#history .id").all_inner_texts()


def answers(page: Any, run: str = "best") -> list[str]:
    page.wait_for_selector(f"ol[data-run='{run}'] li")
    return page.locator(f"ol[data-run='{run}'] li").evaluate_all("rows => rows.map((row) => row.dataset.item)")


def wait_for_events(page: Any, count: int) -> None:
    page.wait_for_selector(f"#history li:nth-child({count}):last-child")


def state(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).fragment)


def wait_until_seen(page: Any, selector: str) -> None:
    page.wait_for_function(
        "s => { const { top, bottom } = document.querySelector(s).getBoundingClientRect();"
        " return 0 <= top && bottom <= innerHeight; }",
        arg=selector,
    )


def focus(page: Any) -> str:
    """The row that has the focus, by its item, and the button there; else the id of what has it."""
    return page.evaluate(
        "(({id, name, tagName} = document.activeElement, row = document.activeElement.closest('li')) =>"
        " row ? [row.querySelector('.id').textContent, name].filter(Boolean).join(' ') : id || tagName)()"
    )


def wait_for_answers_after(page: Any, act: Callable[[], Any]) -> None:
    """Until the answers that the act changes are drawn again."""
    old = page.query_selector("#answers .lists")
    act()
    page.wait_for_function("old => !old.isConnected && document.querySelector('#answers .lists li')", arg=old)


def test_a_history_is_composed_by_keyboard_alone(visit):
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("i7")
    page.wait_for_selector("#found li")
    page.keyboard.press("ArrowDown")
    assert page.locator("#found li[aria-selected=true] .id").inner_text() == "i7"
    page.keyboard.press("Enter")
    assert len(answers(page)) == 10
    assert history(page) == ["i7"]
    assert "i7" not in answers(page)
    page.keyboard.type("nothing is called so")
    page.wait_for_selector("#found-note:text-is('Nothing found')")
    assert page.locator("#found").is_hidden()
    page.keyboard.press("Escape")
    assert page.input_value("#query") == ""


def test_a_click_on_an_answer_adds_it_and_delete_takes_it_out(visit):
    page = visit("#h=i7")
    first = answers(page)[0]
    page.click("ol[data-run='best'] li >> nth=0 >> .add")
    wait_for_events(page, 2)
    assert history(page) == ["i7", first]
    page.wait_for_selector(f"ol[data-run='best'] li[data-item='{first}']", state="detached")
    page.focus("#history li >> nth=1")
    page.keyboard.press("Delete")
    wait_for_events(page, 1)
    assert history(page) == ["i7"]
    assert page.evaluate("document.activeElement === document.querySelector('#history li')")


def test_enter_on_an_answer_leaves_the_focus_at_its_place_among_the_new_ones(visit):
    page = visit("#h=i7&beside=item-knn")
    for run in ("best", "item-knn"):
        page.focus(f"ol[data-run='{run}'] li >> nth=3 >> .add")
        added = answers(page, run)[3]
        wait_for_answers_after(page, lambda: page.keyboard.press("Enter"))
        assert history(page)[-1] == added
        assert focus(page) == f"{answers(page, run)[3]} add"


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chosen_search_hit_stands_out(visit, scheme):
    page = visit(color_scheme=scheme)
    page.fill("#query", "i")
    page.wait_for_selector("#found li >> nth=1")
    page.keyboard.press("ArrowDown")
    shades = "node => [getComputedStyle(node).backgroundColor, getComputedStyle(node.querySelector('.id')).color]"
    chosen, ink = page.locator("#found li >> nth=0").evaluate(shades)
    ground = page.evaluate("getComputedStyle(document.querySelector('#hits')).backgroundColor")
    assert contrast(ink, chosen) >= 4.5
    assert contrast(chosen, ground) >= 3  # of parts of a page


def test_items_of_a_history_change_places(visit):
    page = visit("#h=i7&h=i3")
    page.wait_for_selector("#history li")
    page.click("button[aria-label='Move earlier']")
    page.wait_for_selector("#history li:first-child .id:text-is('i3')")
    assert history(page) == ["i3", "i7"]
    assert state(page)["h"] == ["i3", "i7"]


def test_why_tells_of_the_history_of_text_and_ids_of_layers_and_of_heads(visit):
    page = visit("#h=i7&h=i3")
    chosen = answers(page)[1]
    page.click("ol[data-run='best'] li >> nth=1 >> text=why")
    page.wait_for_selector("#heads")
    assert chosen in page.inner_text("#why")
    assert "2nd of all that is not in the history" in page.inner_text("#why")
    assert page.locator("#effects tr").count() == 2
    assert page.locator("#shares tr").count() == 2
    assert page.locator("#layers tr").count() == 2
    assert page.locator("#heads tr").count() == 2
    assert page.locator("#heads tr >> nth=0 >> td").count() == 2
    assert page.locator("#nearest").is_visible()
    assert state(page)["why"] == [chosen]


def test_w_on_an_answer_says_why(visit):
    page = visit("#h=i7")
    answers(page)
    page.focus("ol[data-run='best'] li >> nth=0 >> .add")
    page.keyboard.press("w")
    page.wait_for_selector("#heads")


def test_why_stands_beside_the_answers_however_far_down(visit):
    page = visit("#h=i7&k=28")
    page.focus("ol[data-run='best'] li >> nth=26 >> .add")
    page.keyboard.press("w")
    page.wait_for_selector("#heads")
    assert page.evaluate("scrollY") > 500
    wait_until_seen(page, "#told")
    assert focus(page) == f"{answers(page)[26]} add"


def test_why_opens_below_its_answer_on_a_phone_and_closes_there(visit):
    page = visit("#h=i7&h=i3&beside=item-knn", **PHONE)
    last = answers(page, "item-knn")[-1]
    why = page.locator(f"ol[data-run='item-knn'] li[data-item='{last}'] [name=why]")
    why.tap()
    page.wait_for_selector(f"li[data-item='{last}'] #effects")
    wait_until_seen(page, "#told")
    assert why.get_attribute("aria-pressed") == "true"
    why.tap()
    page.wait_for_selector("li #panel", state="detached")
    assert "why" not in state(page)


def test_a_history_that_changes_closes_why(visit):
    page = visit("#h=i7&h=i3&why=i9", **PHONE)
    page.wait_for_selector("#heads")
    page.locator("[name=remove] >> nth=0").tap()
    page.wait_for_selector("#heads", state="detached")
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
    told = {
        "item": {"item": "i9", "score": 3.0, "text": ""},
        "rank": 1,
        "parts": [],
        "history": events,
        "reading": None,
    }
    page.route("**/explain", lambda route: route.fulfill(json=told))
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


def test_a_bar_below_zero_is_hollow_and_keeps_the_colour_of_its_run(visit):
    drawn = """async (run) => {
        const { bar } = await import("/elements.js");
        const nodes = [bar(1, 2), bar(-1, 2)];
        document.querySelector(`ol[data-run='${run}']`).append(...nodes);
        return nodes.map((node) => [getComputedStyle(node).backgroundColor, getComputedStyle(node).borderTopColor]);
    }"""
    page = visit("#h=i7&beside=item-knn")
    answers(page, "item-knn")
    (first, _), (hollow, edge) = page.evaluate(drawn, "best")
    (second, _), (_, second_edge) = page.evaluate(drawn, "item-knn")
    assert hollow == "rgba(0, 0, 0, 0)"
    assert (edge, second_edge) == (first, second)
    assert first != second


def test_what_fingers_touch_on_a_phone_is_large_and_no_keys_are_explained(visit):
    page = visit("#h=i7&h=i3&beside=item-knn", **PHONE)
    answers(page, "item-knn")
    for part in page.locator("button, select, input:not([type=checkbox]), header label, textarea").all():
        assert part.bounding_box()["height"] >= 40
    for part in page.locator("button.small").all():
        assert part.bounding_box()["width"] >= 40
    assert page.locator(".keys").is_hidden()


def test_no_run_is_set_beside_itself(visit):
    def offered(page: Any) -> list[str]:
        return page.locator("#beside option").evaluate_all("options => options.map((option) => option.value)")

    page = visit("#h=i7&beside=best")
    answers(page)
    assert page.locator("#answers ol").count() == 1
    assert offered(page) == ["", "item-knn"]
    page.select_option("#beside", "item-knn")
    answers(page, "item-knn")
    page.select_option("#run", "item-knn")
    page.wait_for_selector("#answers .second ol[data-run='best'] li")
    assert offered(page) == ["", "best"]
    assert page.input_value("#beside") == "best"


def test_one_run_alone_has_nothing_beside_it(visit):
    page = visit()
    page.route("**/runs", lambda route: route.fulfill(json={"runs": [{"name": "best", "items": ITEMS}]}))
    page.reload()
    page.wait_for_selector("#run option", state="attached")
    assert page.locator("#beside").is_hidden()


def test_two_runs_stand_side_by_side(visit):
    page = visit("#h=i7&h=i3")
    alone = answers(page)
    page.select_option("#beside", "item-knn")
    other = answers(page, "item-knn")
    assert answers(page) == alone
    both = [item for item in alone if item in other]
    row = page.locator(f"ol[data-run='best'] li[data-item='{both[0]}']").inner_text()
    assert "in item-knn" in row
    page.click("ol[data-run='item-knn'] li >> nth=0 >> text=why")
    page.wait_for_selector("#effects")
    assert page.locator("#heads").count() == 0
    assert "by item-knn" in page.inner_text("#why")


def test_a_text_that_is_no_item_gets_a_rank_and_neighbours(visit):
    page = visit("#h=i7&h=i3")
    page.fill("#text", "a lamp that nobody has seen yet")
    page.wait_for_selector("#rank")
    assert f"of {ITEMS - 1}" in page.inner_text("#rank")
    assert page.locator("#placement li").count() == 5


def test_the_address_holds_all_of_it(visit):
    page = visit("#h=i7&h=i3&k=4&seen=1&beside=item-knn&text=a+lamp")
    page.wait_for_selector("#rank")
    page.click("ol[data-run='best'] li >> nth=0 >> text=why")
    page.wait_for_selector("#heads")
    same = visit("#" + urlsplit(page.url).fragment)
    same.wait_for_selector("#rank")
    same.wait_for_selector("#heads")
    assert history(same) == ["i7", "i3"]
    for run in ("best", "item-knn"):
        assert answers(same, run) == answers(page, run)
        assert len(answers(page, run)) == 4
    assert same.inner_text("#why") == page.inner_text("#why")
    assert same.is_checked("#seen")
    assert same.input_value("#text") == "a lamp"


def test_back_undoes_a_change_of_the_history_and_forward_makes_it_again(visit):
    page = visit("#h=i7")
    first = answers(page)
    wait_for_answers_after(page, lambda: page.click("ol[data-run='best'] li >> nth=0 >> .add"))
    longer = history(page)
    wait_for_answers_after(page, lambda: page.click("#clear"))
    for go, events in ((page.go_back, longer), (page.go_back, ["i7"]), (page.go_forward, longer)):
        wait_for_answers_after(page, go)
        assert history(page) == events
    wait_for_answers_after(page, page.go_back)
    assert answers(page) == first


def test_only_changes_of_the_history_are_steps_for_back(visit):
    page = visit("#h=i7")
    answers(page)
    steps = page.evaluate("history.length")
    page.fill("#text", "a lamp that nobody has seen yet")
    page.wait_for_selector("#rank")
    page.click("ol[data-run='best'] li >> nth=0 >> text=why")
    page.wait_for_selector("#heads")
    page.select_option("#beside", "item-knn")
    answers(page, "item-knn")
    assert page.evaluate("history.length") == steps
    assert {"text", "why", "beside"} < set(state(page))


def test_an_address_that_is_edited_is_shown(visit):
    page = visit("#h=i7")
    answers(page)
    wait_for_answers_after(page, lambda: page.evaluate("() => { location.hash = '#h=i3&h=i5'; }"))
    assert history(page) == ["i3", "i5"]


def test_an_unknown_history_says_that_popularity_ranks(visit):
    page = visit("#h=gone", excused="404")
    assert len(answers(page)) == 10
    assert "by popularity" in page.inner_text("#answers h2")


def test_what_cannot_be_explained_says_so_where_the_explanation_would_stand(visit):
    page = visit("#h=i7&why=gone", excused="404")
    page.wait_for_selector("#why .bad")
    assert page.inner_text("#why") == "Item 'gone' is not in the catalogue"
    assert len(answers(page)) == 10


def test_a_history_too_long_to_be_explained_is_answered_and_says_so(visit):
    page = visit("#" + "&".join(["h=i7"] * (LIMITS.explained + 1)) + "&why=i9&text=a+lamp")
    for part in ("#why", "#placement"):
        page.wait_for_selector(f"{part} .bad")
        assert f"up to {LIMITS.explained} events; this one has {LIMITS.explained + 1}" in page.inner_text(part)
    assert len(answers(page)) == 10


def test_unknown_items_of_a_history_are_marked(visit):
    page = visit("#h=i7&h=gone", excused="404")
    page.wait_for_selector("#history .mark:text-is('unknown')")
    assert page.locator("#history .mark").all_inner_texts() == ["", "unknown"]


def test_a_text_without_a_history_says_what_is_missing(visit):
    page = visit()
    page.fill("#text", "a lamp")
    page.wait_for_selector("#placement .faint")
    assert "Add an item to the history" in page.inner_text("#placement")


def test_a_text_that_the_run_cannot_read_says_so_below_it(visit):
    page = visit("#h=i7&run=item-knn&text=a+lamp", excused="409")
    page.wait_for_selector("#placement .bad")
    assert "cannot place a text" in page.inner_text("#placement")


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


def test_a_server_that_is_gone_is_named_where_its_answer_would_stand(visit):
    page = visit("#h=i7", excused="ERR_FAILED")
    answers(page)
    page.route("**/*", lambda route: route.abort())
    page.fill("#query", "i8")
    page.wait_for_selector("#found-note .bad:text-is('The server does not answer')")
    page.fill("#k", "5")
    page.press("#k", "Enter")
    page.wait_for_selector("#answers .bad")
    assert page.inner_text("#answers") == "The server does not answer"


def test_a_link_to_a_run_that_is_gone_says_who_answers_instead(visit):
    page = visit("#h=i7&run=gone&beside=item-knn")
    answers(page)
    assert page.inner_text("#status") == "No run called gone is served here: what you see is by best and item-knn."


def test_texts_of_the_catalogue_stay_text(visit):
    page = visit("#h=i1&h=i3&why=i1")
    page.wait_for_selector("#heads")
    assert page.title() == "ssna explorer"
    assert "<script>" in page.inner_text("#history")
    assert "<script>" in page.inner_text("#why")
    page.fill("#query", "onerror")
    page.wait_for_selector("#found li")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1


@pytest.mark.parametrize("width", [360, 1300])
def test_nothing_hangs_over_the_side(visit, width):
    page = visit("#h=i7&h=i3&beside=item-knn&why=i9&text=a+lamp", width)
    page.wait_for_selector("#heads")
    page.wait_for_selector("#rank")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_it_is_dark_where_people_want_it_dark(visit):
    shades = [
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        for page in (visit(), visit(color_scheme="dark"))
    ]
    assert shades == ["rgb(255, 255, 255)", "rgb(20, 23, 26)"]
