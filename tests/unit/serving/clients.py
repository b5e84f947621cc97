"""Clients of a service in this process, and what they send."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from httpx import Response
from starlette.testclient import TestClient

from ssna.serving.access import Access
from ssna.serving.app import create_app
from ssna.serving.keys import Keys
from ssna.serving.service import Service

KEY = {"X-API-Key": "secret"}
ITEMS = 30
TEXT = "word1 word2 word3"
PUT = {"items": [{"item": "new", "text": TEXT}]}


class Client(TestClient):
    """With the service behind it."""

    service: Service


def loaded(
    run: Path,
    state: Path | str,
    runs: Path | None = None,
    compare_with: Sequence[Path] = (),
    model: str | None = None,
    users: Path | None = None,
) -> Service:
    """A service of ``run`` that waits for nothing."""
    service = Service(run, state, runs, compare_with, model, users)
    service.load()
    service.missing = None
    return service


@contextmanager
def served(
    run: Path,
    state: Path | str,
    key: str | None = "secret",
    runs: Path | None = None,
    access: Access | None = None,
    keys: Keys | None = None,
    users: Path | None = None,
) -> Iterator["Client"]:
    """A client of a service of ``run``, in this process."""
    service = loaded(run, state, runs, users=users)
    with Client(create_app(service, keys or Keys(key), access), raise_server_exceptions=False) as client:
        client.service = service
        yield client


def items(response: Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [found["item"] for found in response.json()["items"]]


def error(response: Response, status: int) -> tuple[str, str]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    found = response.json()
    assert set(found) == {"error"}
    assert set(found["error"]) == {"code", "message"}
    assert "\n" not in found["error"]["message"]
    return found["error"]["code"], found["error"]["message"]
