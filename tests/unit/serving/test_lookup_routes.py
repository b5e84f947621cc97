import pytest
from clients import ITEMS, KEY, PUT, error

from ssna.serving.service import MODEL


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
    monkeypatch.setattr(unchanged.service, "missing", MODEL)
    assert unchanged.get("/health").status_code == 200
    assert error(unchanged.get("/ready"), 503) == ("starting", MODEL)


def test_the_document_names_every_route_body_and_error(unchanged):
    document = unchanged.get("/openapi.json").json()
    operations = {
        (method, path): found for path, methods in document["paths"].items() for method, found in methods.items()
    }
    assert set(operations) == {
        ("post", "/explain"), ("post", "/rank_text"), ("get", "/runs"), ("get", "/attributes"),
        ("post", "/recommend"), ("post", "/recommend/batch"), ("get", "/similar/{item}"), ("put", "/items"),
        ("get", "/items"), ("get", "/items/{item}"), ("delete", "/items/{item}"), ("get", "/health"),
        ("get", "/ready"), ("get", "/metrics"), ("post", "/reload"),
        ("post", "/events"), ("get", "/users/{user}/recommend"), ("get", "/users/{user}/history"),
        ("delete", "/users/{user}"),
    }  # fmt: skip
    keyed = {operation for operation, found in operations.items() if "security" in found}
    assert keyed == {
        ("put", "/items"), ("delete", "/items/{item}"), ("post", "/reload"),
        ("post", "/events"), ("get", "/users/{user}/recommend"), ("get", "/users/{user}/history"),
        ("delete", "/users/{user}"),
    }  # fmt: skip
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
