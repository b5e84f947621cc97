import asyncio
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest
from clients import loaded
from starlette.testclient import TestClient

from ssna.core.errors import SsnaError
from ssna.recommender import Recommender
from ssna.recommender.explanation import explain, rank_text
from ssna.serving.app import create_app
from ssna.serving.explorer import SCRIPTS
from ssna.serving.keys import Keys
from ssna.serving.limits import LIMITS
from ssna.serving.refusal import RequestError
from ssna.serving.service import Service

HISTORY = ["i3", "i8", "i5"]
TEXT = "word1 word2 word3"


@contextmanager
def served(run: Path, state: Path, compare_with=()):
    service = loaded(run, state, compare_with=compare_with)
    with TestClient(create_app(service, Keys("secret")), raise_server_exceptions=False) as client:
        client.service = service
        yield client


@pytest.fixture(scope="module")
def client(run_folders, tmp_path_factory):
    with served(run_folders["ssna"], tmp_path_factory.mktemp("state"), [run_folders["item-knn"]]) as client:
        yield client


@pytest.fixture
def recommender(run_folders) -> Recommender:
    return Recommender.load(run_folders["ssna"])


def error(response, status: int) -> str:
    assert response.status_code == status, response.text
    return response.json()["error"]["code"]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/", "text/html"),
        ("/explorer.css", "text/css"),
        *((f"/{name}", "text/javascript") for name in SCRIPTS),
    ],
)
def test_the_page_is_there_and_may_load_nothing_from_elsewhere(client, address, kind):
    response = client.get(address)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(kind)
    assert response.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "http" not in response.text.replace("http-equiv", "")


def test_every_file_of_the_page_is_served_and_nothing_else(client):
    folder = files("ssna.serving") / "page"
    assert {file.name for file in folder.iterdir()} == {*SCRIPTS, "index.html", "explorer.css"}


def test_the_page_has_the_limits_of_the_service(client):
    assert f"const EXPLAINED_HISTORY = {LIMITS.explained_history};" in client.get("/explorer.js").text
    page = client.get("/").text
    assert f'maxlength="{LIMITS.query}"' in page
    assert f'maxlength="{LIMITS.text_length}"' in page
    assert f'id="user" maxlength="{LIMITS.id_length}"' in page


def test_the_serving_run_is_listed_first(client):
    runs = client.get("/runs").json()["runs"]
    assert [run["name"] for run in runs] == ["ssna", "item-knn"]
    assert [run["items"] for run in runs] == [30, 30]


def test_a_run_to_compare_with_recommends_by_its_name(client, run_folders):
    expected = Recommender.load(run_folders["item-knn"]).recommend([HISTORY], k=5)[0]
    answer = client.post("/recommend", json={"history": HISTORY, "k": 5, "run": "item-knn"}).json()
    assert [found["item"] for found in answer["items"]] == [found.item for found in expected.items]


def test_the_serving_run_has_a_name_too(client):
    body = {"history": HISTORY, "k": 5}
    named, plain = (client.post("/recommend", json=each).json() for each in (body | {"run": "ssna"}, body))
    assert named == plain


def test_a_run_that_is_not_there_is_a_404(client):
    for address, body in (
        ("/recommend", {"history": HISTORY}),
        ("/explain", {"history": HISTORY, "item": "i1"}),
        ("/rank_text", {"history": HISTORY, "text": TEXT}),
    ):
        assert error(client.post(address, json=body | {"run": "missing"}), 404) == "unknown_run"


def test_an_explanation_is_that_of_the_library(client, recommender):
    found = client.post("/explain", json={"history": HISTORY, "item": "i9"}).json()
    expected = explain(recommender, HISTORY, "i9")
    assert found["rank"] == expected.rank
    assert found["item"]["score"] == pytest.approx(expected.item.score)
    assert [member["scorer"] for member in found["members"]] == [name for name, _ in expected.members]
    assert [event["effect"] for event in found["history"]] == pytest.approx([e.effect for e in expected.history])
    assert found["adapters"]["expert_weights"] == [pytest.approx(each) for each in expected.adapters.expert_weights]


def test_a_run_to_compare_with_is_explained_by_itself(client):
    body = {"history": HISTORY, "item": "i9", "run": "item-knn"}
    found = client.post("/explain", json=body).json()
    assert [member["scorer"] for member in found["members"]] == ["item neighbours"]
    assert found["adapters"] is None


def test_an_explanation_needs_an_item_and_a_history_that_are_known(client):
    assert error(client.post("/explain", json={"history": HISTORY, "item": "missing"}), 404) == "unknown_item"
    assert error(client.post("/explain", json={"history": ["missing"], "item": "i1"}), 409) == "not_possible"
    assert error(client.post("/explain", json={"history": [], "item": "i1"}), 422) == "invalid"
    long = ["i1"] * (LIMITS.explained_history + 1)
    assert error(client.post("/explain", json={"history": long, "item": "i1"}), 422) == "invalid"


def test_a_text_is_ranked_as_the_library_ranks_it(client, recommender):
    found = client.post("/rank_text", json={"history": HISTORY, "text": TEXT}).json()
    expected = rank_text(recommender, HISTORY, TEXT)
    assert (found["rank"], found["among"]) == (expected.rank, expected.among)
    assert [near["item"] for near in found["similar"]] == [near.item for near in expected.similar]


def test_a_run_that_reads_no_text_ranks_none(client):
    body = {"history": HISTORY, "text": TEXT, "run": "item-knn"}
    assert error(client.post("/rank_text", json=body), 409) == "not_possible"


def test_an_added_item_is_explained_and_what_is_deleted_is_not(run_folders, tmp_path):
    with served(run_folders["ssna"], tmp_path) as client:
        key = {"X-API-Key": "secret"}
        assert client.put("/items", json={"items": [{"item": "new", "text": TEXT}]}, headers=key).status_code == 200
        assert client.post("/explain", json={"history": HISTORY, "item": "new"}).status_code == 200
        assert client.delete("/items/new", headers=key).status_code == 200
        assert error(client.post("/explain", json={"history": HISTORY, "item": "new"}), 404) == "unknown_item"


def test_what_is_deleted_is_excluded_from_ranks_and_similar_items(run_folders, tmp_path):
    with served(run_folders["ssna"], tmp_path) as client:

        def second() -> str:
            return client.post("/recommend", json={"history": HISTORY, "k": 2}).json()["items"][1]["item"]

        def rank() -> int:
            return client.post("/explain", json={"history": HISTORY, "item": item}).json()["rank"]

        item, body = second(), {"history": HISTORY, "text": TEXT}
        first = client.post("/recommend", json={"history": HISTORY, "k": 1}).json()["items"][0]["item"]
        near = client.post("/rank_text", json=body).json()
        assert rank() == 2
        for item_id in {first, near["similar"][0]["item"]} - {item}:
            assert client.delete(f"/items/{item_id}", headers={"X-API-Key": "secret"}).status_code == 200
        found = client.post("/rank_text", json=body).json()
        assert rank() == 1
        assert first not in [each["item"] for each in found["similar"]]
        assert found["among"] < near["among"]


def test_two_runs_of_one_name_are_an_error_in_words(run_folders, tmp_path):
    with (
        pytest.raises(SsnaError, match="two runs are called ssna"),
        served(run_folders["ssna"], tmp_path, [run_folders["ssna"]]),
    ):
        pass


def test_explanations_wait_one_behind_the_other_and_not_without_end(run_folders, tmp_path):
    async def ask(service: Service) -> list[object]:
        jobs = [service.run_in_background(lambda number=number: number) for number in range(LIMITS.explain_queue + 2)]
        return await asyncio.gather(*jobs, return_exceptions=True)

    answers = asyncio.run(ask(loaded(run_folders["item-knn"], tmp_path)))
    assert answers[: LIMITS.explain_queue] == list(range(LIMITS.explain_queue))
    assert isinstance(answers[-1], RequestError)
    assert answers[-1].status == 503
