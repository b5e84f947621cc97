"""What a start and a reload take from the store, and what they do without it."""

import json
from pathlib import Path

import pytest
import torch
from clients import ITEMS, KEY, PUT, error, items, loaded, served

from ssna.core.errors import EncoderError, SsnaError
from ssna.recommender import Recommender
from ssna.serving import restoring, sharing
from ssna.serving import snapshot as snapshot_module
from ssna.serving.additions import Change
from ssna.serving.limits import Limits
from ssna.serving.service import Service
from ssna.serving.sqlite import STORE
from ssna.serving.store import Store

pytestmark = pytest.mark.slow

MORE = {"items": [{"item": f"n{n}", "text": f"word{n} word{n + 1} word3"} for n in range(5)]}
ASKED = {"history": ["i1", "n2"], "allow": ["n0", "n1", "n3", "n4"], "k": 9}


@pytest.fixture
def without_model(monkeypatch):
    """A function that takes the language model away."""

    def take() -> None:
        def gone(*_):
            raise EncoderError("no language model here")

        monkeypatch.setattr("ssna.recommender.admission.states", gone)
        monkeypatch.setattr("ssna.recommender.admission.without_content", gone)

    return take


def test_a_start_and_a_reload_read_no_text_and_score_as_before(runs, tmp_path, without_model):
    with served(runs / "ssna", tmp_path / "state") as client:
        client.put("/items", json=MORE, headers=KEY)
        client.put("/items", json={"items": [{"item": "n1", "text": "word9 word8"}]}, headers=KEY)
        client.delete("/items/n3", headers=KEY)
        before = client.post("/recommend", json=ASKED).json()
    without_model()
    with served(runs / "ssna", tmp_path / "state") as client:
        assert [found["item"] for found in before["items"]]
        assert client.post("/recommend", json=ASKED).json() == before
        reloaded = client.post("/reload", json={"run": "text-knn"}, headers=KEY)
        assert reloaded.status_code == 200, reloaded.text
        assert {"n0", "n1"} <= set(items(client.post("/recommend", json={"history": ["i1"], "k": 99})))


def test_texts_that_another_model_read_are_read_again_once_and_the_progress_is_told(
    runs, tmp_path, monkeypatch, without_model
):
    monkeypatch.setattr(restoring, "AT_ONCE", 2)
    with served(runs / "ssna", tmp_path / "state") as client:
        client.put("/items", json=MORE, headers=KEY)
        before = client.post("/recommend", json=ASKED).json()
    manifest = runs / "ssna" / "model" / "model.json"
    assert json.loads(manifest.read_text())["encoding"]["max_tokens"]
    recommender = Recommender.load(runs / "ssna")
    short = recommender.encoding.model_copy(update={"max_tokens": recommender.encoding.max_tokens - 1})
    Recommender(recommender.scorer, recommender.items, recommender.texts, recommender.counts, short).save(
        tmp_path / "runs" / "other"
    )
    told = []
    monkeypatch.setattr(Service, "_read_so_far", lambda _, *progress: told.append(progress))
    service = loaded(tmp_path / "runs" / "other", tmp_path / "state")
    assert told == [(0, 5), (2, 5), (4, 5)]
    assert len(service.snapshot) == ITEMS + 5
    without_model()
    for run in ("other", "ssna"):  # the states of both stay
        with served(tmp_path / "runs" / run, tmp_path / "state") as client:
            assert client.post("/recommend", json=ASKED).json() == before


def test_a_start_that_reads_texts_ends_when_it_is_told_to(runs, tmp_path):
    Store(tmp_path / "state").record(Change(put={"new": "word1 word2"}))
    service = Service(runs / "ssna", tmp_path / "state")
    service._stopped.set()
    with pytest.raises(SsnaError, match="stopped before"):
        service.load()


def test_until_the_run_is_loaded_routes_say_what_is_missing(runs, tmp_path):
    from starlette.testclient import TestClient

    from ssna.serving.app import create_app
    from ssna.serving.keys import Keys

    service = Service(runs / "ssna", tmp_path / "state")
    with TestClient(create_app(service, Keys("secret")), raise_server_exceptions=False) as client:
        assert client.get("/health").status_code == 200
        assert error(client.get("/ready"), 503) == ("starting", "the run is being loaded")
        assert client.get("/metrics").status_code == 503
        service._read_so_far(512, 10_000)
        for answer in (client.get("/items/i1"), client.post("/recommend", json={"history": []})):
            code, message = error(answer, 503)
            assert (code, "512 of 10,000" in message) == ("starting", True)
            assert answer.headers["retry-after"] == "1"
        service.load()
        assert client.post("/recommend", json={"history": []}).status_code == 200
        assert error(client.get("/ready"), 503) == ("starting", "the language model is being loaded")


def test_a_damaged_store_leaves_the_run_serving_and_comes_back_by_a_reload(runs, tmp_path, capsys):
    with served(runs / "ssna", tmp_path / "state") as client:
        client.put("/items", json=PUT, headers=KEY)
    path = tmp_path / "state" / STORE
    whole = path.read_bytes()
    path.write_bytes(b"nonsense" * 999)
    with served(runs / "ssna", tmp_path / "state") as client:
        assert "it is damaged" in capsys.readouterr().err
        assert client.post("/recommend", json={"history": ["i1"]}).status_code == 200
        code, message = error(client.put("/items", json=MORE, headers=KEY), 503)
        assert (code, "it is damaged" in message) == ("disk", True)
        path.write_bytes(whole)
        assert client.post("/reload", json={"run": "ssna"}, headers=KEY).status_code == 200
        assert client.get("/items/new").status_code == 200
        assert client.put("/items", json=MORE, headers=KEY).status_code == 200


def test_what_another_server_added_is_taken_over_by_a_reload(runs, tmp_path):
    with served(runs / "ssna", tmp_path / "state") as one, served(runs / "ssna", tmp_path / "state") as other:
        one.put("/items", json=PUT, headers=KEY)
        assert other.get("/items/n0").status_code == 404
        assert other.post("/reload", json={"run": "ssna"}, headers=KEY).status_code == 200
        assert other.put("/items", json=MORE, headers=KEY).json()["items"] == ITEMS + 6


def test_a_refused_change_leaves_no_rows_behind(client, monkeypatch):
    monkeypatch.setattr(sharing, "LEAST_BYTES", 0)
    assert client.post("/reload", json={"run": "ssna"}, headers=KEY).status_code == 200
    vectors = client.service.snapshot.recommender.scorer.members[0].scorer.vectors
    with monkeypatch.context() as full:
        full.setattr(Store, "_writing", lambda _: (_ for _ in ()).throw(SsnaError("the disk is full")))
        assert "disk is full" in error(client.put("/items", json=MORE, headers=KEY), 409)[1]
    assert client.get("/items/n0").status_code == 404
    assert client.put("/items", json=MORE, headers=KEY).status_code == 200
    assert client.service.snapshot.recommender.scorer.members[0].scorer.vectors.data_ptr() == vectors.data_ptr()


def test_rows_of_items_that_left_are_hidden_and_dropped_once_they_are_many(client, monkeypatch):
    monkeypatch.setattr(snapshot_module, "LIMITS", Limits(additions=3))
    sizes = set()
    for number in range(7):
        text = f"word{number} word{number + 1}"
        client.put("/items", json={"items": [{"item": "new", "text": text}]}, headers=KEY)
        now = client.service.snapshot
        sizes.add(len(now.recommender.items))
        assert (len(now), now.added, now.text("new")) == (ITEMS + 1, 1, text)
        found = client.post("/recommend", json={"history": ["new", "i1"], "k": 99}).json()
        assert (found["unknown"], len(found["items"])) == ([], ITEMS - 1)
        assert client.get("/items", params={"query": "new"}).json()["total"] == 1
        assert "new" not in items(client.get("/similar/new", params={"k": 99}))
    assert sizes == {ITEMS + 1, ITEMS + 2, ITEMS + 3, ITEMS + 4}
    client.delete("/items/new", headers=KEY)
    assert client.post("/recommend", json={"history": ["new"]}).json()["unknown"] == ["new"]


def test_a_question_with_texts_copies_nothing_of_the_catalogue(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "LEAST_BYTES", 0)
    service = loaded(runs / "ssna", tmp_path)
    wider = service.snapshot.with_texts({"mine": "word1 word2"})
    first, second = (now.recommender.scorer.members[0].scorer for now in (service.snapshot, wider))
    assert second.vectors is first.vectors
    assert torch.equal(second.of_histories, first.add_items(wider.new.states).vectors[-1:])


def test_a_shared_recommender_is_the_same(runs: Path, monkeypatch):
    monkeypatch.setattr(sharing, "LEAST_BYTES", 0)
    for name in ("ssna", "text-knn", "item-knn"):
        found = Recommender.load(runs / name)
        assert sharing.shared(found).recommend([["i1", "i2"]], k=30) == found.recommend([["i1", "i2"]], k=30)
