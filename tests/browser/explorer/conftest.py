"""Real servers of two runs, and their page in a real browser."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from explorer_page import HOSTILE, ITEMS, SECRET, SMALL, served

from ssna.data import save
from ssna.data.attributes import Attributes
from ssna.recommender import Recommender
from ssna.runs import train
from ssna.text import ReadOptions, encode

BRANDS = ("Acme", "Brevik", HOSTILE)


@pytest.fixture(scope="session")
def folder(
    random_data: Any, distinct_texts: Any, language_model: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """With ``data``, and the runs ``best`` and ``item-knn`` of it."""
    folder = tmp_path_factory.mktemp("explorer")
    data = random_data(seed=5, items=ITEMS, texts=[HOSTILE, *distinct_texts(ITEMS)[1:]])
    save(data, folder / "data")
    cache, _ = encode(data.texts, language_model, folder / "cache", ReadOptions(dtype="fp32", device="cpu"), quiet=True)
    train(data, cache, method="ssna", settings=SMALL, out=folder / "best", quiet=True)
    train(data, method="item-knn", out=folder / "item-knn", quiet=True)
    return folder


@pytest.fixture(scope="session")
def address(folder: Path) -> Iterator[str]:
    with served(folder / "best", folder / "item-knn") as address:
        yield address


@pytest.fixture(scope="session")
def shop(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose items have attributes, of which one run has two alone, with a key and the users of the data."""
    copies = tmp_path_factory.mktemp("shop")
    for run, names in (("best", None), ("item-knn", ["price", "brand"])):
        shutil.copytree(folder / run, copies / run)
        plain = Recommender.load(copies / run)
        shutil.rmtree(copies / run / "model")
        (copies / run / "model").mkdir()
        table = attributes() if names is None else attributes().select(names)
        replace(plain, attributes=Attributes(table)).write(copies / run / "model")
    options = ["--api-key", SECRET, "--users", str(folder / "data")]
    with served(copies / "best", copies / "item-knn", options=options) as address:
        yield address


def attributes() -> pa.Table:
    """Of the items ``i1``, ...: three a day are listed at noon."""
    rows = range(1, ITEMS + 1)
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    return pa.table({
        "price": [float(row) for row in rows],
        "brand": [BRANDS[row % 3] for row in rows],
        "in_stock": [row % 2 == 0 for row in rows],
        "listed": pa.array([noon + timedelta(days=(row - 1) // 3) for row in rows], pa.timestamp("us", "UTC")),
        "tags": [[f"t{row}", f"u{row}", *(["new"] if row > 20 else [])] for row in rows],
    })  # fmt: skip


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
        page.on("dialog", lambda dialog: dialog.accept(SECRET))
        page.goto(f"{address}/{state}")
        page.wait_for_selector("#run option", state="attached")

        def end() -> None:
            page.close()
            assert [each for each in complaints if excused not in each] == []

        request.addfinalizer(end)
        return page

    return go
