import asyncio
import json

import pytest
from clients import error
from starlette.requests import Request

from ssna.serving.http import body_of
from ssna.serving.limits import LIMITS
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import RecommendRequest


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/similar", 404, "not_found"),
        ("GET", "/recommend", 405, "method_not_allowed"),
        ("DELETE", "/health", 405, "method_not_allowed"),
        ("GET", "/items?limit=0", 422, "invalid"),
        ("GET", "/items?limit=x", 422, "invalid"),
        ("GET", f"/items?query={'q' * (LIMITS.query + 1)}", 422, "invalid"),
        ("GET", f"/items/{'i' * (LIMITS.id_length + 1)}", 422, "invalid"),
        ("GET", "/similar/i1?k=-1", 422, "invalid"),
    ],
)
def test_errors_of_every_origin_have_one_form(unchanged, method, path, status, code):
    assert error(unchanged.request(method, path), status)[0] == code


@pytest.mark.parametrize(("kind", "said"), [("text/plain", "'text/plain'"), (None, "nothing")])
def test_a_body_that_is_not_called_json_is_a_415(unchanged, kind, said):
    headers = {} if kind is None else {"Content-Type": kind}
    response = unchanged.post("/recommend", content=b'{"history": []}', headers=headers)
    assert error(response, 415) == ("not_json", f"the body is called {said}; send Content-Type: application/json")


@pytest.mark.parametrize("stated", [True, False], ids=["with its length", "in chunks"])
def test_a_body_that_is_too_large_is_a_413_with_the_limit(unchanged, stated):
    content = b" " * (LIMITS.body_bytes + 1)
    body = content if stated else iter([content[:9], content[9:]])
    code, message = error(unchanged.post("/recommend", content=body, headers={"Content-Type": "application/json"}), 413)
    assert (code, f"{LIMITS.body_bytes:,}" in message) == ("too_large", True)


def test_a_body_without_end_is_not_read_to_its_end(unchanged):
    """The answer comes while the request is still being sent."""
    read = 0

    async def receive():
        nonlocal read
        read += 1
        assert read <= 2
        return {"type": "http.request", "body": bytes(LIMITS.body_bytes), "more_body": True}

    async def ask():
        headers = [(b"content-type", b"application/json")]
        request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
        with pytest.raises(RequestError, match="more than"):
            await body_of(request, RecommendRequest)

    asyncio.run(ask())


def test_a_defect_is_a_500_that_tells_nothing_and_a_line_in_the_log_that_tells_where(unchanged, monkeypatch, capsys):
    async def broken(*_):
        raise ZeroDivisionError("the secret of i1")

    monkeypatch.setattr(unchanged.service.inference._batcher, "_answer", broken)
    code, message = error(unchanged.post("/recommend", json={"history": ["i1"]}), 500)
    assert (code, "secret" in message) == ("internal", False)
    logged = capsys.readouterr().err
    assert "ZeroDivisionError" in logged
    assert "test_errors.py" in logged
    assert "secret" not in logged


def test_the_log_has_a_line_of_json_a_request_without_histories_ids_and_texts(unchanged, capsys):
    unchanged.post("/recommend", json={"history": ["i1", "my-secret"], "texts": {"my-secret": "a secret text"}})
    unchanged.get("/items/i7")
    unchanged.get("/similar/my-secret")
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    found = [(line["method"], line["route"], line["status"]) for line in lines if line["event"] == "request"]
    assert found == [
        ("POST", "/recommend", 200), ("GET", "/items/{item:path}", 200), ("GET", "/similar/{item:path}", 404)
    ]  # fmt: skip
    assert lines[0]["batch"] == 1
    assert all(line["ms"] > 0 for line in lines)
    assert "secret" not in written
    assert "i7" not in written


def test_a_packed_body_is_refused_as_one(unchanged):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert error(unchanged.post("/recommend", content=b"\x1f\x8b", headers=headers), 415)[0] == "compressed"


@pytest.mark.parametrize(
    ("body", "message"), [("7", "must be an object"), ('{"history": ["a"], "texts": {"b": " "}}', "must not be blank")]
)
def test_no_class_and_no_pattern_is_named(unchanged, body, message):
    told = error(unchanged.post("/recommend", content=body, headers={"Content-Type": "application/json"}), 422)[1]
    assert message in told
