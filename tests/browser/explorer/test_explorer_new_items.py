"""The slider that raises new items, for runs that have weights for them."""

from collections.abc import Iterator
from typing import Any

import pytest
from explorer_page import ITEMS, PHONE, SMALL, recommended, served, slide, state, wait_for_recommendations_after

from ssna.runs import train
from ssna.text import ReadOptions, encode

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(
    random_data: Any, distinct_texts: Any, language_model: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A run with weights for new items and one new item, and a run without."""
    folder = tmp_path_factory.mktemp("raising")
    data = random_data(seed=5, items=ITEMS, texts=distinct_texts(ITEMS))
    cache, _ = encode(data.texts, language_model, folder / "cache", ReadOptions(dtype="fp32", device="cpu"), quiet=True)
    settings = [*SMALL, 'ensemble.members=["cease"]', "ensemble.by_frequency=true"]
    trained = train(data, cache, method="ssna", settings=settings, out=folder / "best", quiet=True)
    trained.recommender.add_items({"new": "word1 word2 word3"}).save(folder / "best" / "model")
    train(data, method="item-knn", out=folder / "item-knn", quiet=True)
    with served(folder / "best", folder / "item-knn") as address:
        yield address


def place_of(item: str, page: Any) -> int:
    return [*recommended(page), item].index(item)


def test_new_items_are_as_trained_until_the_slider_raises_them(visit):
    page = visit("#h=i7&h=i3&k=31")
    before = recommended(page)
    assert page.inner_text("#raised") == "as trained"
    assert "new_items" not in state(page)
    wait_for_recommendations_after(page, lambda: slide(page, "#new-items", 2))
    assert page.inner_text("#raised") == "raised by 2"
    assert state(page)["new_items"] == ["2"]
    assert place_of("new", page) < [*before, "new"].index("new")
    wait_for_recommendations_after(page, lambda: slide(page, "#new-items", 0))
    assert recommended(page) == before
    assert "new_items" not in state(page)


def test_the_slider_can_be_moved_by_the_keyboard(visit):
    page = visit("#h=i7")
    recommended(page)
    page.focus("#new-items")
    wait_for_recommendations_after(page, lambda: page.press("#new-items", "ArrowRight"))
    assert state(page)["new_items"] == ["0.25"]


def test_a_text_and_a_why_are_ranked_with_new_items_raised_too(visit):
    page = visit("#h=i7&h=i3&text=word4+word5&why=new")
    page.wait_for_selector("#rank")
    page.wait_for_selector("#why table")
    rank, why = page.inner_text("#rank"), page.inner_text("#summary")
    slide(page, "#new-items", 2)
    page.wait_for_function("rank => document.querySelector('#rank')?.innerText !== rank", arg=rank)
    page.wait_for_function("why => document.querySelector('#summary').innerText !== why", arg=why)


def test_an_address_holds_how_far_new_items_are_raised(visit):
    page = visit("#h=i7&h=i3&k=31&new_items=1.5")
    raised = recommended(page)
    assert page.input_value("#new-items") == "1.5"
    wait_for_recommendations_after(page, lambda: slide(page, "#new-items", 0))
    assert recommended(page) != raised


@pytest.mark.parametrize(("given", "taken"), [("nonsense", "0"), ("-3", "0"), ("99", "2")])
def test_an_address_with_another_number_is_read_as_the_nearest_one(visit, given, taken):
    page = visit(f"#h=i7&new_items={given}")
    recommended(page)
    assert page.input_value("#new-items") == taken


def test_a_run_without_weights_for_new_items_says_that_it_does_not_raise_them(visit):
    page = visit("#h=i7&compare_with=item-knn&new_items=1")
    recommended(page, "item-knn")
    assert "New items are not raised" in page.inner_text("#recommendations .second h2")
    assert "New items are not raised" not in page.inner_text("#recommendations h2 >> nth=0")


def test_without_a_run_that_has_such_weights_there_is_no_slider(visit):
    page = visit("#h=i7&run=item-knn")
    recommended(page, "item-knn")
    assert page.locator("#raise").is_hidden()
    page.select_option("#run", "best")
    recommended(page)
    assert page.locator("#raise").is_visible()


def test_the_slider_is_large_enough_for_fingers_and_fits_a_phone(visit):
    page = visit("#h=i7&new_items=1.25", **PHONE)
    recommended(page)
    slider, words = (page.locator(part).bounding_box() for part in ("#new-items", "#raised"))
    assert slider["height"] >= 40
    assert words["x"] + words["width"] <= PHONE["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
