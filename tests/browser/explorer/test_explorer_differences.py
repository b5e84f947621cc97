"""How the lists of two runs differ."""

from typing import Any

import pytest
from explorer_page import recommended

pytestmark = pytest.mark.browser


@pytest.fixture
def compared(visit: Any) -> Any:
    """The page with two lists that the test chose."""

    def drawn(left: list[str], right: list[str], **screen: Any) -> Any:
        page = visit("#h=i7", **screen)
        recommended(page)
        lists = {"best": left, "item-knn": right}

        def answer(route: Any) -> None:
            found = [{"item": item, "score": 1.0, "text": ""} for item in lists[route.request.post_data_json["run"]]]
            route.fulfill(json={"items": found, "unknown": [], "fallback": None})

        page.route("**/recommend", answer)
        page.select_option("#compare-with", "item-knn")
        page.wait_for_selector("#overview")
        return page

    return drawn


def mark(page: Any, run: str, item: str) -> str:
    return " ".join(page.locator(f"ol[data-run='{run}'] li[data-item='{item}'] .add > :last-child").all_text_contents())


def test_an_item_says_how_far_it_is_from_its_place_in_the_other_list(compared):
    page = compared(["a", "b", "c", "d"], ["a", "d", "e", "b"])
    marks = {run: [mark(page, run, item) for item in recommended(page, run)] for run in ("best", "item-knn")}
    assert marks == {
        "best": ["=the same place, 1st in item-knn", "▲ 22 places higher, 4th in item-knn", "only in best",
                 "▼ 22 places lower, 2nd in item-knn"],
        "item-knn": ["=the same place, 1st in best", "▲ 22 places higher, 4th in best", "only in item-knn",
                     "▼ 22 places lower, 2nd in best"],
    }  # fmt: skip
    assert page.locator("li.alone").count() == 2


def test_words_for_the_ear_are_not_seen(compared):
    page = compared(["a", "b"], ["b", "a"])
    assert page.locator("ol[data-run='best'] .unseen").first.bounding_box()["width"] <= 1
    assert page.locator(".moved .by").first.get_attribute("aria-hidden") == "true"


def test_both_lists_are_summed_up_in_a_line(compared):
    page = compared(["a", "b", "c", "d"], ["a", "d", "e", "b"])
    assert (
        page.inner_text("#overview") == "3 in both, 1.3 places apart in the mean · 1 only in best · 1 only in item-knn"
    )


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        (["a"], ["b"], "0 in both · 1 only in best · 1 only in item-knn"),
        (["a", "b"], ["b", "a"], "2 in both, 1 place apart in the mean · 0 only in best · 0 only in item-knn"),
        (["a"], [], "0 in both · 1 only in best · 0 only in item-knn"),
    ],
)
def test_lists_with_nothing_or_all_in_common_are_summed_up_too(compared, left, right, words):
    assert compared(left, right).inner_text("#overview") == words


def test_one_list_alone_has_no_marks(visit):
    page = visit("#h=i7")
    recommended(page)
    assert page.locator("#overview, .only, .moved").count() == 0
