import pytest
from contrast import contrast
from explorer_page import PHONE, recommended

pytestmark = pytest.mark.browser


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


def test_a_bar_below_zero_is_hollow_and_keeps_the_colour_of_its_run(visit):
    drawn = """async (run) => {
        const { bar } = await import("/elements.js");
        const nodes = [bar(1, 2), bar(-1, 2)];
        document.querySelector(`ol[data-run='${run}']`).append(...nodes);
        return nodes.map((node) => [getComputedStyle(node).backgroundColor, getComputedStyle(node).borderTopColor]);
    }"""
    page = visit("#h=i7&compare_with=item-knn")
    recommended(page, "item-knn")
    (first, _), (hollow, edge) = page.evaluate(drawn, "best")
    (second, _), (_, second_edge) = page.evaluate(drawn, "item-knn")
    assert hollow == "rgba(0, 0, 0, 0)"
    assert (edge, second_edge) == (first, second)
    assert first != second


@pytest.mark.parametrize("width", [360, 1300])
def test_nothing_hangs_over_the_side(visit, width):
    page = visit("#h=i7&h=i3&compare_with=item-knn&why=i9&text=a+lamp", width)
    page.wait_for_selector("#experts")
    page.wait_for_selector("#rank")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_it_is_dark_where_people_want_it_dark(visit):
    shades = [
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        for page in (visit(), visit(color_scheme="dark"))
    ]
    assert shades == ["rgb(255, 255, 255)", "rgb(20, 23, 26)"]


def test_what_fingers_touch_on_a_phone_is_large_and_no_keys_are_explained(visit):
    page = visit("#h=i7&h=i3&compare_with=item-knn", **PHONE)
    recommended(page, "item-knn")
    page.locator("#options > summary").tap()
    for part in page.locator("button, select, summary, input:not([type=checkbox]), header label, textarea").all():
        if part.is_hidden():  # the slider of runs that raise new items
            continue
        assert part.bounding_box()["height"] >= 40
    for part in page.locator("button.small").all():
        assert part.bounding_box()["width"] >= 40
    assert page.locator(".keys").is_hidden()
