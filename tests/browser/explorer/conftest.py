"""A real server of two runs, and its page in a real browser."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from explorer_page import HOSTILE, ITEMS, SMALL, served

from ssna.runs import train
from ssna.text import ReadOptions, encode


@pytest.fixture(scope="session")
def address(
    random_data: Any, distinct_texts: Any, language_model: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("explorer")
    data = random_data(seed=5, items=ITEMS, texts=[HOSTILE, *distinct_texts(ITEMS)[1:]])
    cache, _ = encode(data.texts, language_model, folder / "cache", ReadOptions(dtype="fp32", device="cpu"), quiet=True)
    train(data, cache, method="ssna", settings=SMALL, out=folder / "best", quiet=True)
    train(data, method="item-knn", out=folder / "item-knn", quiet=True)
    with served(folder / "best", folder / "item-knn") as address:
        yield address


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
