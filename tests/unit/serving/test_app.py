import asyncio
import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from ssna.serving import service as service_module
from ssna.serving.additions import JOURNAL, Change, journal
from ssna.serving.app import create_app
from ssna.serving.http import PATIENCE, body_of
from ssna.serving.limits import LIMITS, Limits
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import RecommendRequest
from ssna.serving.server import default_state
from ssna.serving.service import Service

KEY = {"X-API-Key": "secret"}
ITEMS = 30
TEXT = "word1 word2 word3"
PUT = {"items": [{"item": "new", "text": TEXT}]}


@contextmanager
def served(run: Path, state: Path, key: str | None = "secret", runs: Path | None = None):
    """A client of a service of ``run``, in this process."""
    with journal(state) as kept:
        service = Service.open(run, kept, runs)
        service.ready = True
        with TestClient(create_app(service, key), raise_server_exceptions=False) as client:
            client.service = service
            yield client


@pytest.fixture
def runs(run_folders, tmp_path) -> Path:
    """A folder of runs that a test may change."""
    for name, folder in run_folders.items():
        shutil.copytree(folder, tmp_path / "runs" / name)
    return tmp_path / "runs"


@pytest.fixture
def client(runs, tmp_path):
    with served(runs / "ssna", tmp_path / "state") as client:
        yield client


@pytest.fixture(scope="module")
def unchanged(run_folders, tmp_path_factory):
    """A client for tests that change nothing."""
    with served(run_folders["ssna"], tmp_path_factory.mktemp("state")) as client:
        yield client


def without_scores(answer):
    return {**answer, "items": [{**found, "score": None} for found in answer["items"]]}


def scores(answers) -> list[float]:
    return [found["score"] for answer in answers for found in answer["items"]]


def items(response) -> list[str]:
    assert response.status_code == 200, response.text
    return [found["item"] for found in response.json()["items"]]


def error(response, status: int) -> tuple[str, str]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    found = response.json()
    assert set(found) == {"error"}
    assert set(found["error"]) == {"code", "message"}
    assert "\n" not in found["error"]["message"]
    return found["error"]["code"], found["error"]["message"]


# asking


def test_a_history_gets_the_recommender_s_answer(unchanged):
    question = {"history": ["i1", "x", "i2"], "k": 4, "allow": ["i3", "i4", "i5", "i6", "i7"], "deny": ["i5"]}
    answer = unchanged.post("/recommend", json=question).json()
    expected = unchanged.service.snapshot.recommender.recommend(
        [question["history"]], 4, allow=question["allow"], deny=["i5"]
    )[0]
    assert [found["item"] for found in answer["items"]] == [found.item for found in expected.items]
    assert [found["score"] for found in answer["items"]] == pytest.approx([found.score for found in expected.items])
    assert [found["text"] for found in answer["items"]] == [found.text for found in expected.items]
    assert (answer["unknown"], answer["fallback"]) == (["x"], None)


def test_a_history_that_says_nothing_gets_popularity_and_the_answer_says_so(unchanged):
    assert unchanged.post("/recommend", json={"history": []}).json()["fallback"] == "popularity"


def test_a_batch_gets_an_answer_a_request_in_their_order(unchanged):
    requests = [{"history": ["i1"], "k": 3}, {"history": []}, {"history": ["i2", "y"], "k": 1}]
    answers = unchanged.post("/recommend/batch", json={"requests": requests}).json()["answers"]
    alone = [unchanged.post("/recommend", json=request).json() for request in requests]
    assert [without_scores(answer) for answer in answers] == [without_scores(answer) for answer in alone]
    assert scores(answers) == pytest.approx(scores(alone), abs=1e-5)


def test_inline_texts_are_read_for_one_request_only(unchanged):
    question = {"history": ["mine"], "texts": {"mine": TEXT, "i1": "a known item keeps its text", "else": TEXT}}
    answer = unchanged.post("/recommend", json={**question, "k": 100}).json()
    assert (answer["unknown"], answer["fallback"], len(answer["items"])) == ([], None, ITEMS)
    assert unchanged.post("/recommend", json={"history": ["mine"]}).json()["unknown"] == ["mine"]


def test_inline_texts_wait_in_bounds(unchanged, monkeypatch):
    monkeypatch.setattr(service_module, "LIMITS", Limits(text_queue=0))
    response = unchanged.post("/recommend", json={"history": ["mine"], "texts": {"mine": TEXT}})
    assert error(response, 503)[0] == "busy"
    assert response.headers["retry-after"] == "1"
    assert unchanged.post("/recommend", json={"history": ["i1"]}).status_code == 200


def test_similar_items_are_the_recommender_s(unchanged):
    expected = unchanged.service.snapshot.recommender.similar_items("i4", 3)
    assert items(unchanged.get("/similar/i4?k=3")) == [found.item for found in expected]


def test_items_are_found_by_words_and_by_id(unchanged):
    now = unchanged.service.snapshot
    assert unchanged.get("/items/i7").json() == {"item": "i7", "text": now.text("i7")}
    found = unchanged.get("/items", params={"query": now.text("i7").split()[0].upper(), "limit": 2}).json()
    assert len(found["items"]) == min(2, found["total"])
    assert found["total"] >= 1


def test_an_unknown_item_is_a_404_that_names_it(unchanged):
    for response in (
        unchanged.get("/items/zz"),
        unchanged.get("/similar/zz"),
        unchanged.delete("/items/zz", headers=KEY),
    ):
        assert error(response, 404) == ("unknown_item", "item 'zz' is not in the catalogue")


# errors


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


def test_a_body_that_is_not_called_json_is_a_415(unchanged):
    response = unchanged.post("/recommend", content=b'{"history": []}', headers={"Content-Type": "text/plain"})
    assert error(response, 415) == ("not_json", "the body is called 'text/plain'; send Content-Type: application/json")


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
        assert read <= 2 * PATIENCE
        return {"type": "http.request", "body": bytes(LIMITS.body_bytes), "more_body": True}

    async def ask():
        request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
        with pytest.raises(RequestError, match="more than"):
            await body_of(request, RecommendRequest)

    asyncio.run(ask())


def test_a_defect_is_a_500_that_tells_nothing_and_a_line_in_the_log_that_tells_where(unchanged, monkeypatch, capsys):
    async def broken(*_):
        raise ZeroDivisionError("the secret of i1")

    monkeypatch.setattr(unchanged.service.answering._batcher, "_answer", broken)
    code, message = error(unchanged.post("/recommend", json={"history": ["i1"]}), 500)
    assert (code, "secret" in message) == ("internal", False)
    logged = capsys.readouterr().err
    assert "ZeroDivisionError" in logged
    assert "test_serving_app.py" in logged
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


# the key

CHANGES = [
    ("PUT", "/items", PUT),
    ("DELETE", "/items/i1", None),
    ("POST", "/reload", {"run": "text-knn"}),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
@pytest.mark.parametrize("key", [None, "", "Secret", "secret ", "secre", "secretsecret", "schlüssel"])
def test_changes_need_the_key(unchanged, method, path, body, key):
    headers = {} if key is None else {"X-API-Key": key.encode()}
    assert error(unchanged.request(method, path, json=body, headers=headers), 401)[0] == "wrong_key"
    assert len(unchanged.service.snapshot) == ITEMS


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_without_a_key_changes_are_off_and_the_answer_says_how_to_allow_them(run_folders, tmp_path, method, path, body):
    with served(run_folders["ssna"], tmp_path, key=None) as client:
        for headers in ({}, KEY, {"X-API-Key": ""}):
            code, message = error(client.request(method, path, json=body, headers=headers), 403)
            assert (code, "SSNA_API_KEY" in message) == ("no_key", True)


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_changes_are_made_with_the_key(client, method, path, body):
    assert client.request(method, path, json=body, headers=KEY).status_code == 200


def test_nothing_else_needs_the_key(unchanged):
    for path in ("/health", "/ready", "/metrics", "/items", "/items/i1", "/similar/i1", "/openapi.json"):
        assert unchanged.get(path).status_code == 200
    assert unchanged.post("/recommend", json={"history": []}).status_code == 200


# adding and removing


def test_a_new_item_is_recommended_at_once_and_after_a_restart(runs, tmp_path):
    asked = {"history": ["i1"], "allow": ["new"]}
    with served(runs / "ssna", tmp_path / "state") as client:
        assert client.put("/items", json=PUT, headers=KEY).json() == {
            "added": 1, "replaced": 0, "removed": 0, "items": ITEMS + 1
        }  # fmt: skip
        before = client.post("/recommend", json=asked).json()
        assert [found["text"] for found in before["items"]] == [TEXT]
    with served(runs / "ssna", tmp_path / "state") as client:
        assert client.post("/recommend", json=asked).json() == before


def test_an_added_item_gets_a_new_text(client):
    client.put("/items", json=PUT, headers=KEY)
    other = {"items": [{"item": "new", "text": "word9"}, {"item": "newer", "text": "word8"}]}
    assert client.put("/items", json=other, headers=KEY).json() == {
        "added": 1, "replaced": 1, "removed": 0, "items": ITEMS + 2
    }  # fmt: skip
    assert client.get("/items/new").json()["text"] == "word9"


def test_the_same_text_once_more_changes_nothing(client, tmp_path):
    client.put("/items", json=PUT, headers=KEY)
    before = (tmp_path / "state" / JOURNAL).read_bytes()
    assert client.put("/items", json=PUT, headers=KEY).json()["items"] == ITEMS + 1
    assert (tmp_path / "state" / JOURNAL).read_bytes() == before


def test_an_item_of_the_run_cannot_be_replaced_and_nothing_of_the_request_happens(client):
    mixed = {"items": [*PUT["items"], {"item": "i1", "text": TEXT}]}
    code, message = error(client.put("/items", json=mixed, headers=KEY), 409)
    assert (code, "'i1'" in message) == ("own_item", True)
    assert client.get("/items/new").status_code == 404


def test_an_item_that_stands_twice_in_a_request_is_refused(client):
    twice = {"items": PUT["items"] * 2}
    assert error(client.put("/items", json=twice, headers=KEY), 409)[0] == "duplicate_item"


def test_an_added_item_that_is_deleted_is_unknown_after_a_restart_too(runs, tmp_path):
    with served(runs / "ssna", tmp_path / "state") as client:
        client.put("/items", json=PUT, headers=KEY)
        assert client.delete("/items/new", headers=KEY).json()["removed"] == 1
        assert client.delete("/items/new", headers=KEY).status_code == 404
    with served(runs / "ssna", tmp_path / "state") as client:
        assert client.post("/recommend", json={"history": ["new"]}).json()["unknown"] == ["new"]


def test_a_deleted_item_of_the_run_is_gone_after_a_restart_and_comes_back_with_its_own_text(runs, tmp_path):
    with served(runs / "ssna", tmp_path / "state") as client:
        text = client.get("/items/i3").json()["text"]
        before = client.post("/recommend", json={"history": ["i3", "i1"]}).json()
        client.delete("/items/i3", headers=KEY)
        assert client.get("/items/i3").status_code == 404
    with served(runs / "ssna", tmp_path / "state") as client:
        asked = {"history": ["i1"], "k": 100}
        assert "i3" not in items(client.post("/recommend", json=asked))
        assert client.post("/recommend", json={"history": ["i3", "i1"]}).json() == before
        another = {"items": [{"item": "i3", "text": TEXT}]}
        assert error(client.put("/items", json=another, headers=KEY), 409)[0] == "own_item"
        back = {"items": [{"item": "i3", "text": text}]}
        assert client.put("/items", json=back, headers=KEY).json()["added"] == 1
        assert "i3" in items(client.post("/recommend", json=asked))


def test_an_id_that_an_earlier_run_hid_can_be_added_to_one_that_does_not_know_it(runs, tmp_path):
    with journal(tmp_path / "state") as kept:
        kept.record(Change(hide=("new",)))
    with served(runs / "ssna", tmp_path / "state") as client:
        client.put("/items", json=PUT, headers=KEY)
        assert items(client.post("/recommend", json={"history": ["i1"], "allow": ["new"]})) == ["new"]


def test_ids_with_slashes_and_signs_can_be_added_read_and_deleted(client):
    odd = "a/b c?d#e✓"
    client.put("/items", json={"items": [{"item": odd, "text": TEXT}]}, headers=KEY)
    address = f"/items/{quote(odd, safe='')}"
    assert client.get(address).json()["item"] == odd
    assert client.delete(address, headers=KEY).status_code == 200


def test_additions_are_bounded(client, monkeypatch):
    monkeypatch.setattr(service_module, "LIMITS", Limits(additions=2))
    three = [{"item": f"n{n}", "text": TEXT} for n in range(3)]
    code, message = error(client.put("/items", json={"items": three}, headers=KEY), 409)
    assert (code, "the limit is 2" in message) == ("too_many_additions", True)
    assert client.put("/items", json={"items": three[:2]}, headers=KEY).status_code == 200


def test_a_run_that_reads_no_text_says_so(run_folders, tmp_path):
    with served(run_folders["item-knn"], tmp_path) as client:
        assert error(client.put("/items", json=PUT, headers=KEY), 409)[0] == "not_possible"
        question = {"history": ["mine"], "texts": {"mine": TEXT}}
        assert error(client.post("/recommend", json=question), 409)[0] == "not_possible"
        assert client.delete("/items/i1", headers=KEY).status_code == 200


def test_a_change_that_the_disk_refuses_is_not_served(client, monkeypatch):
    from ssna.core.errors import SsnaError

    def refuse(_):
        raise SsnaError("the disk is full; nothing was changed")

    monkeypatch.setattr(client.service.journal, "record", refuse)
    assert "disk is full" in error(client.put("/items", json=PUT, headers=KEY), 409)[1]
    assert client.get("/items/new").status_code == 404


def test_changes_are_kept_beside_the_run_unless_told_otherwise(tmp_path):
    assert default_state(tmp_path / "runs" / "best") == tmp_path / "runs" / ".best.state"


# reloading


def reload(client, run: str, **more):
    return client.post("/reload", json={"run": run, **more}, headers=KEY)


def test_another_run_takes_over_with_what_was_added(client):
    client.put("/items", json=PUT, headers=KEY)
    client.delete("/items/i3", headers=KEY)
    found = reload(client, "text-knn").json()
    assert (found["run"], found["histories"]) == ("text-knn", 256)
    assert 0 < found["overlap"] < 1
    assert client.get("/ready").json() == {
        "status": "ready", "run": "text-knn", "version": 2, "items": ITEMS, "added": 1
    }  # fmt: skip
    assert client.get("/items/new").json()["text"] == TEXT
    assert client.get("/items/i3").status_code == 404


def test_a_run_that_ranks_too_differently_is_refused_and_the_old_one_goes_on(client):
    code, message = error(reload(client, "text-knn", minimum_overlap=1), 409)
    assert (code, "asked for: 1" in message) == ("too_different", True)
    assert client.get("/ready").json()["run"] == "ssna"


def test_the_same_run_agrees_with_itself(client):
    assert reload(client, "ssna", minimum_overlap=1).json()["overlap"] == 1


def test_a_damaged_run_is_refused_and_the_old_one_goes_on(client, runs):
    tensors = runs / "text-knn" / "model" / "scorer.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-7])
    assert "not the file that was saved" in error(reload(client, "text-knn"), 409)[1]
    assert client.post("/recommend", json={"history": ["i1"]}).status_code == 200


def test_a_run_that_cannot_admit_what_was_added_is_refused(client):
    client.put("/items", json=PUT, headers=KEY)
    refused = error(reload(client, "item-knn"), 409)[1]
    assert "cannot take over 1 added items" in refused
    assert "DELETE /items/ID" in refused
    assert client.delete(f"/items/{PUT['items'][0]['item']}", headers=KEY).status_code == 200
    assert reload(client, "item-knn").status_code == 200


@pytest.mark.parametrize("run", ["..", "../runs", ".", "/", "../../etc", "a\0b", "x" * 999, "link"])
def test_only_runs_beside_the_serving_one_can_be_loaded(client, runs, tmp_path, run):
    shutil.copytree(runs / "ssna", tmp_path / "elsewhere")
    (runs / "link").symlink_to(tmp_path / "elsewhere")
    assert error(reload(client, run), 403)[0] == "elsewhere"
    assert error(reload(client, str(tmp_path / "elsewhere")), 403)[0] == "elsewhere"


def test_runs_below_another_folder_can_be_loaded_if_it_was_named(runs, tmp_path):
    shutil.copytree(runs / "text-knn", tmp_path / "more" / "today")
    with served(runs / "ssna", tmp_path / "state", runs=tmp_path / "more") as client:
        assert reload(client, "today").json()["run"] == "today"
        assert reload(client, str(runs / "ssna")).json()["run"] == "ssna"
        assert "does not exist" in error(reload(client, "no-such-run"), 409)[1]


# looking


def test_metrics_count_requests_by_route_and_status(client):
    client.post("/recommend", json={"history": ["i1"]})
    client.post("/recommend", json={"history": 1})
    client.put("/items", json=PUT, headers=KEY)
    text = client.get("/metrics").text
    for line in (
        'ssna_requests_total{route="/recommend",status="200"} 1.0',
        'ssna_requests_total{route="/recommend",status="422"} 1.0',
        'ssna_request_seconds_count{route="/recommend"} 2.0',
        "ssna_batch_size_count 1.0",
        "ssna_queue_depth 0.0",
        f"ssna_catalogue_items {ITEMS + 1}.0",
        "ssna_added_items 1.0",
        "ssna_run_version 1.0",
    ):
        assert line in text.splitlines()


def test_until_the_language_model_is_loaded_the_service_is_alive_and_not_ready(unchanged, monkeypatch):
    monkeypatch.setattr(unchanged.service, "ready", False)
    assert unchanged.get("/health").status_code == 200
    assert error(unchanged.get("/ready"), 503)[0] == "starting"


def test_the_document_names_every_route_body_and_error(unchanged):
    document = unchanged.get("/openapi.json").json()
    operations = {
        (method, path): found for path, methods in document["paths"].items() for method, found in methods.items()
    }
    assert set(operations) == {
        ("post", "/explain"), ("post", "/place"), ("get", "/runs"),
        ("post", "/recommend"), ("post", "/recommend/batch"), ("get", "/similar/{item}"), ("put", "/items"),
        ("get", "/items"), ("get", "/items/{item}"), ("delete", "/items/{item}"), ("get", "/health"),
        ("get", "/ready"), ("get", "/metrics"), ("post", "/reload"),
    }  # fmt: skip
    keyed = {operation for operation, found in operations.items() if "security" in found}
    assert keyed == {("put", "/items"), ("delete", "/items/{item}"), ("post", "/reload")}
    for (method, _), found in operations.items():
        assert "200" in found["responses"]
        if method in ("post", "put"):
            name = found["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert document["components"]["schemas"][name]["examples"]
            assert {"400", "413", "415", "422"} <= set(found["responses"])


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_may_ask_for_the_head_alone(unchanged, path):
    answer = unchanged.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_packed_body_is_refused_as_one(unchanged):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert error(unchanged.post("/recommend", content=b"\x1f\x8b", headers=headers), 415)[0] == "compressed"


@pytest.mark.parametrize(
    ("body", "message"), [("7", "must be an object"), ('{"history": ["a"], "texts": {"b": " "}}', "must not be blank")]
)
def test_no_class_and_no_pattern_is_named(unchanged, body, message):
    told = error(unchanged.post("/recommend", content=body, headers={"Content-Type": "application/json"}), 422)[1]
    assert message in told


def test_a_full_disk_is_a_503_that_may_be_tried_again(client, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssna.serving.additions.os.fsync", full)
    code, message = error(client.put("/items", json=PUT, headers=KEY), 503)
    assert (code, "No space left" in message) == ("disk", True)
