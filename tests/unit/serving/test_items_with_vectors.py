"""Items that are put with a vector: served, replaced, kept through restarts, reloads and kills."""

import json
import sqlite3

import numpy as np
import pytest
from clients import KEY, error, items, served
from given_vectors import ITEMS, some_vectors, with_equal_texts

from ssna.runs import encode, train
from ssna.serving.additions import Change
from ssna.serving.sqlite import STORE
from ssna.serving.store import Store

pytestmark = pytest.mark.slow

VECTORS = some_vectors()
NEAR_7 = (VECTORS["i7"] + np.float32(0.01)).tolist()
NEAR_4 = (VECTORS["i4"] + np.float32(0.01)).tolist()
PUT = {"items": [{"item": "new", "vector": NEAR_7}]}


@pytest.fixture(scope="module")
def runs(random_data, distinct_texts, language_model, tmp_path_factory):
    """``vectors`` and ``again`` of vectors, ``two`` of two sources, ``wide`` of others, ``texts`` of texts alone."""
    folder = tmp_path_factory.mktemp("runs")
    data = with_equal_texts(random_data(seed=8, users=60, items=ITEMS))
    read = random_data(seed=8, users=60, items=ITEMS, texts=distinct_texts(ITEMS))
    wide = some_vectors(width=20, seed=1)
    caches = {
        "vectors": (data, {"vectors": VECTORS}),
        "again": (data, {"vectors": {item: 2 * vector for item, vector in VECTORS.items()}}),
        "two": (data, {"vectors": {"vectors": VECTORS, "image": wide}}),
        "wide": (data, {"vectors": wide}),
        "texts": (read, {"model": language_model}),
        "both": (read, {"model": language_model, "vectors": VECTORS}),
    }
    for name, (of, how) in caches.items():
        cache = encode(of, out=folder / "caches" / name, quiet=True, device="cpu", **how)
        train(of, cache, method="text-knn", settings=["dim=6"], out=folder / name, quiet=True)
    return folder


@pytest.fixture
def client(runs, tmp_path):
    with served(runs / "vectors", tmp_path / "state") as client:
        yield client


def put(client, *new):
    return client.put("/items", json={"items": list(new)}, headers=KEY)


def nearest(client, item="new"):
    return items(client.get(f"/similar/{item}", params={"k": 1}))


def test_an_item_is_served_by_its_vector_at_once_and_after_a_restart(runs, tmp_path):
    for _ in range(2):
        with served(runs / "vectors", tmp_path / "state") as client:
            if "new" not in client.service.snapshot:
                assert client.put("/items", json=PUT, headers=KEY).json() == {
                    "added": 1, "replaced": 0, "removed": 0, "changed": 0, "items": ITEMS + 1, "warnings": []
                }  # fmt: skip
            assert nearest(client) == ["i7"]
            assert "new" in items(client.post("/recommend", json={"history": ["i1"], "k": 100}))
            assert client.get("/items/new").json() == {"item": "new", "text": "", "attributes": {}}


def test_the_same_vector_once_more_changes_nothing_and_another_one_replaces_it(client):
    put(client, *PUT["items"])
    assert put(client, *PUT["items"]).json()["replaced"] == 0
    assert put(client, {"item": "new", "vector": NEAR_4}).json()["replaced"] == 1
    assert nearest(client) == ["i4"]


@pytest.mark.parametrize(
    ("new", "status", "message"),
    [
        ({"item": "new", "text": "a lamp"}, 409, "have no vector, such as 'new'; this model ranks by vectors of 6"),
        ({"item": "new", "vector": [1.0]}, 409, "has the shape (1,); give 6 numbers"),
        ({"item": "new", "vector": [0, 0, 0, 0, 0, 0]}, 409, "is all zero"),
        ({"item": "new", "vector": [1e300] * 6}, 409, "not finite"),
        ({"item": "new", "vectors": {"image": [NEAR_7]}}, 409, "has a vector for 'image'; there are vectors"),
        ({"item": "new", "vector": NEAR_7, "vectors": {"vectors": [NEAR_7]}}, 422, "give one of them"),
        ({"item": "new", "vector": ["1"]}, 422, "items.0.vector.0"),
        ({"item": "new", "vector": []}, 422, "items.0.vector"),
        ({"item": "new", "vector": [1.0] * 20_000}, 422, "items.0.vector"),
        ({"item": "i1", "vector": NEAR_7}, 409, "belongs to the run"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_added(client, new, status, message):
    assert message in error(put(client, new), status)[1]
    assert len(client.service.snapshot) == ITEMS


def test_several_sources_are_put_by_their_names(runs, tmp_path):
    wide = some_vectors(width=20, seed=1)
    with served(runs / "two", tmp_path / "state") as client:
        assert "needs a vector for each of vectors, image" in error(put(client, *PUT["items"]), 409)[1]
        both = {"vectors": [NEAR_7], "image": [wide["i7"].tolist()]}
        assert put(client, {"item": "new", "vectors": both}).status_code == 200
        assert nearest(client) == ["i7"]


def test_beside_a_text_either_will_do_and_a_warning_says_what_is_missing(runs, tmp_path):
    with served(runs / "both", tmp_path / "state") as client:
        answer = put(client, {"item": "text", "text": "word1 word2 word3"}).json()
        assert "1 of 1 new items have no vector, such as 'text'; what else is known" in answer["warnings"][0]
        assert put(client, {"item": "vector", "vector": NEAR_7}).json()["warnings"] == []
        assert put(client, {"item": "both", "text": "word1 word2 word3", "vector": NEAR_7}).json()["warnings"] == []


def test_another_run_of_vectors_takes_the_additions_over(client):
    put(client, *PUT["items"])
    assert client.post("/reload", json={"run": "again"}, headers=KEY).status_code == 200
    assert nearest(client) == ["i7"]
    assert client.post("/reload", json={"run": "vectors"}, headers=KEY).status_code == 200
    assert nearest(client) == ["i7"]


@pytest.mark.parametrize(("run", "reason"), [("wide", "give 20 numbers"), ("texts", "has no text")])
def test_a_run_that_cannot_read_them_is_refused_and_the_old_one_goes_on(client, run, reason):
    put(client, *PUT["items"])
    message = error(client.post("/reload", json={"run": run}, headers=KEY), 409)[1]
    assert "cannot take over 1 added items" in message
    assert reason in message
    assert nearest(client) == ["i7"]


def test_a_run_of_texts_reads_the_text_that_came_with_the_vector(client):
    put(client, {"item": "new", "text": "word1 word2 word3", "vector": NEAR_7})
    assert client.post("/reload", json={"run": "texts"}, headers=KEY).status_code == 200
    assert "new" in client.service.snapshot
    assert client.post("/reload", json={"run": "vectors"}, headers=KEY).status_code == 200
    assert nearest(client) == ["i7"]


def test_a_run_of_texts_takes_no_vector(runs, tmp_path):
    with served(runs / "texts", tmp_path / "state") as client:
        assert "was trained with none" in error(put(client, *PUT["items"]), 409)[1]


def test_texts_of_histories_are_refused_in_words_where_vectors_rank(client):
    asked = {"history": ["i1", "other"], "texts": {"other": "a lamp"}}
    assert "ranks by vectors of 6 numbers" in error(client.post("/recommend", json=asked), 409)[1]


def test_the_explorer_shows_items_without_a_text_and_says_why_a_text_has_no_rank(client):
    put(client, *PUT["items"])
    explained = client.post("/explain", json={"history": ["i1", "new"], "item": "new"})
    assert explained.status_code == 200
    assert explained.json()["adapters"] is None
    message = error(client.post("/rank_text", json={"history": ["i1"], "text": "a lamp"}), 409)[1]
    assert "it was trained with vectors" in message
    assert client.get("/items", params={"query": "new"}).json()["items"] == [{"item": "new", "text": ""}]


def test_a_vector_leaves_the_store_with_its_item(client, tmp_path):
    put(client, *PUT["items"])
    client.delete("/items/new", headers=KEY)
    store = sqlite3.connect(tmp_path / "state" / STORE)
    assert store.execute("select count(*) from item_vectors").fetchone() == (0,)


def test_a_store_that_was_made_before_items_had_vectors_is_read_and_written(tmp_path):
    store = Store(tmp_path)
    store.record(Change(put={"old": "a lamp"}))
    store.close()
    with sqlite3.connect(tmp_path / STORE) as connection:
        connection.execute("drop table item_vectors")
    again = Store(tmp_path)
    assert dict(again.load().texts) == {"old": "a lamp"}
    again.record(Change(put={"new": ""}, vectors={"new": {"vectors": np.float32([[1, 2]])}}))
    again.close()
    found = Store(tmp_path).load()
    assert list(found.texts) == ["old", "new"]
    assert found.vectors["new"]["vectors"].tolist() == [[1, 2]]


def test_the_document_says_what_an_item_needs(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["NewItem"]["anyOf"] == [{"required": [name]} for name in ("text", "vector", "vectors", "attributes")]
    described = schemas["NewItem"]["properties"]
    assert "null" not in json.dumps([described[name] for name in ("item", "text", "vector", "vectors")])
