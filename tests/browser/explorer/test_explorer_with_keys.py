"""A server whose readers need a key: the page asks for it once, and goes on."""

from pathlib import Path

import pytest
from explorer_page import recommended, served, wait_for_recommendations_after

from ssna.serving.keys import May, add_key

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> tuple[Path, str]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    return file, add_key(file, "reader", May.read)


@pytest.fixture(scope="module")
def changers_key(key) -> str:
    return add_key(key[0], "changer", May.change)


@pytest.fixture(scope="module")
def address(run_folders: dict[str, Path], key, changers_key):
    options = ["--keys", str(key[0])]
    with served(run_folders["ssna"], run_folders["item-knn"], loaded=False, options=options) as address:
        yield address


def opened(chromium, address, answers: list[str | None]):
    """A page that answers what it is asked for; what it was asked."""
    page, asked = chromium.new_page(), []

    def answer(dialog) -> None:
        asked.append(dialog.message)
        given = answers[min(len(asked), len(answers)) - 1]
        dialog.dismiss() if given is None else dialog.accept(given)

    page.on("dialog", answer)
    page.goto(f"{address}/#h=i7&h=i3")
    return page, asked


def test_a_key_is_asked_for_until_it_fits_and_kept_for_the_tab(chromium, address, key):
    page, asked = opened(chromium, address, ["wrong \u00e9", f" {key[1]} "])
    assert len(recommended(page, "ssna")) > 0
    assert [message.partition(":")[0] for message in asked] == ["The key is missing", "The key is wrong"]
    page.reload()
    assert len(recommended(page, "ssna")) > 0
    assert len(asked) == 2
    page.close()


def test_whoever_has_no_key_is_asked_once_and_told_why_there_is_nothing(chromium, address):
    page, asked = opened(chromium, address, [None])
    page.wait_for_function("() => document.body.innerText.includes('key is missing')")
    page.wait_for_timeout(500)
    assert len(asked) == 1
    page.close()


def open_user(page) -> None:
    page.click("#of-user summary")
    page.fill("#user", "u1")
    page.click("#show-user")


def test_who_may_only_read_is_asked_for_another_key_when_a_user_is_wanted(chromium, address, key, changers_key):
    page, asked = opened(chromium, address, [key[1], changers_key])
    recommended(page, "ssna")
    open_user(page)
    page.wait_for_selector("#user-note p:text-is('Nothing is known of u1')")
    assert asked[1].startswith("The key 'reader' may only read")
    page.close()


def test_a_key_that_does_not_fit_for_users_takes_the_place_of_none_that_reads(chromium, address, key):
    page, asked = opened(chromium, address, [key[1], "wrong", None])
    recommended(page, "ssna")
    open_user(page)
    page.wait_for_selector("#user-note .bad")
    assert page.inner_text("#user-note .bad").startswith("The key is wrong")
    wait_for_recommendations_after(page, lambda: page.check("#seen"))
    assert len(asked) == 3
    page.close()
