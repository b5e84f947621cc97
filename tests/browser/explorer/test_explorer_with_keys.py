"""A server whose readers need a key: the page asks for it once, and goes on."""

from pathlib import Path

import pytest
from explorer_page import recommended, served

from ssna.serving.keys import May, add_key

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> tuple[Path, str]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    return file, add_key(file, "reader", May.read)


@pytest.fixture(scope="module")
def address(run_folders: dict[str, Path], key):
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
