"""The explorer's page as a test sees it: by keyboard and by mouse, wide and narrow, light and dark."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

HOSTILE = """<script>document.title = 'taken'</script><img src="x" onerror="document.title = 'taken'"> of all"""
ITEMS = 30
SECRET = "secret"  # the key of servers that have one
PHONE: Any = {"width": 400, "has_touch": True, "is_mobile": True}
SMALL = [
    "dim=8",
    "sequence.ffn_dim=8",
    "training.epochs=2",
    "method.num_experts=2",
    "method.layers=2",
    "method.id_embeddings=true",
]


def wait_until_loaded(address: str) -> None:
    """For 60 seconds at most."""
    for _ in range(600):
        with suppress(HTTPError), urlopen(f"{address}/runs"):
            return
        time.sleep(0.1)
    raise TimeoutError(f"{address} has loaded no run")


@contextmanager
def served(run: Path, compare_with: Path, loaded: bool = True, options: Sequence[str] = ()) -> Iterator[str]:
    """The address of a server of two runs; unless ``loaded``, it may have loaded neither."""
    command = [sys.executable, "-m", "ssna", "serve", str(run), "--compare-with", str(compare_with), "--port", "0"]
    command += options
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert server.stdout is not None
    address = server.stdout.readline().split()[-1]
    if loaded:
        wait_until_loaded(address)
    yield address
    server.terminate()
    assert server.wait(30) == 0


def history(page: Any) -> list[str]:
    found: list[str] = page.locator("#history .id").all_inner_texts()
    return found


def recommended(page: Any, run: str = "best") -> list[str]:
    page.wait_for_selector(f"ol[data-run='{run}'] li")
    rows = page.locator(f"ol[data-run='{run}'] li")
    found: list[str] = rows.evaluate_all("rows => rows.map((row) => row.dataset.item)")
    return found


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
    found: str = page.evaluate(
        "(({id, name, tagName} = document.activeElement, row = document.activeElement.closest('li')) =>"
        " row ? [row.querySelector('.id').textContent, name].filter(Boolean).join(' ') : id || tagName)()"
    )
    return found


def wait_for_recommendations_after(page: Any, act: Callable[[], Any]) -> None:
    """Until the recommendations that the act changes are drawn again."""
    old = page.query_selector("#recommendations .lists")
    act()
    page.wait_for_function("old => !old.isConnected && document.querySelector('#recommendations .lists li')", arg=old)


def slide(page: Any, slider: str, value: float) -> None:
    page.locator(slider).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )


def ask(address: str, path: str, body: Any = None) -> Any:
    """What the server answers to whoever has the key."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "X-API-Key": SECRET}
    with urlopen(Request(f"{address}/{path}", content, headers)) as response:
        return json.load(response)


def items_of(answer: Any) -> list[str]:
    return [found["item"] for found in answer["items"]]
