"""Every request has an id: in its answer, whatever that is, and in the log."""

import json
import re
from functools import partial

import pytest
from clients import served

from ssna.serving.access import Access, allowed_hosts

HEADER = "X-Request-Id"
MADE = re.compile(r"[0-9a-f]{32}")
ASKED = [
    ("GET", "/health", 200),
    ("POST", "/recommend", 415),
    ("GET", "/nowhere", 404),
    ("PUT", "/health", 405),
    ("PUT", "/items", 401),
    ("GET", "/items/none", 404),
    ("GET", "/items?limit=x", 422),
    ("GET", "/", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), ASKED)
def test_every_answer_has_an_id_of_its_own(unchanged, method, path, status):
    answers = [unchanged.request(method, path) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status] * 2
    first, second = (answer.headers.get_list(HEADER) for answer in answers)
    assert all(MADE.fullmatch(value) for value in (*first, *second))
    assert (len(first), len(second), first != second) == (1, 1, True)


@pytest.mark.parametrize("given", ["a", "7f3b-1.2_x:y=z+/@", "x" * 128])
def test_an_id_of_the_client_is_kept(unchanged, given):
    for path in ("/health", "/nowhere"):
        assert unchanged.get(path, headers={HEADER: given}).headers.get_list(HEADER) == [given]


@pytest.mark.parametrize(
    "given", [[""], ["x" * 129], ["a b"], ['"'], ["<b>"], ["é"], ["a\tb"], ["a", "a"], ["a,b"], ["\\u"]]
)
def test_an_id_that_is_long_strange_or_not_alone_is_replaced(unchanged, given):
    headers = [(HEADER.encode(), value.encode()) for value in given]
    (found,) = unchanged.get("/health", headers=headers).headers.get_list(HEADER)
    assert MADE.fullmatch(found)


def lines(capsys, event: str) -> list[dict]:
    found = map(json.loads, capsys.readouterr().err.splitlines())
    return [line for line in found if line["event"] == event]


def test_the_log_has_the_id_of_the_answer(unchanged, capsys):
    answer = unchanged.post("/recommend", json={"history": ["i1"]})
    unchanged.get("/nowhere", headers={HEADER: "mine"})
    assert [line["request_id"] for line in lines(capsys, "request")] == [answer.headers[HEADER], "mine"]


def test_a_defect_of_the_server_is_found_in_the_log_by_the_id_of_the_answer(run_folders, tmp_path, capsys, monkeypatch):
    with served(run_folders["ssna"], tmp_path / "state") as client:
        monkeypatch.setattr(client.service.snapshot.__class__, "search", lambda *_: 1 / 0)
        answer = client.get("/items", headers={HEADER: "broken"})
        assert (answer.status_code, answer.headers.get_list(HEADER)) == (500, ["broken"])
    assert [line["request_id"] for line in lines(capsys, "failure")] == ["broken"]


def test_refusals_before_any_route_have_an_id_too(run_folders, tmp_path):
    access = Access(allowed_hosts("127.0.0.1", []), ("https://shop.example",), rate=1)
    with served(run_folders["ssna"], tmp_path / "state", access=access) as client:
        ask = partial(
            client.get, "/items", headers={"Host": "localhost", "Origin": "https://shop.example", HEADER: "me"}
        )
        answers = [client.get("/items", headers={HEADER: "me"}), *(ask() for _ in range(3))]
        assert [answer.status_code for answer in answers] == [421, 200, 200, 429]
        assert {answer.headers[HEADER] for answer in answers} == {"me"}
        assert HEADER in answers[1].headers["access-control-expose-headers"]
