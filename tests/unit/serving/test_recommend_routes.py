import pytest
from clients import ITEMS, KEY, TEXT, error, items


def without_scores(answer):
    return {**answer, "items": [{**found, "score": None} for found in answer["items"]]}


def scores(answers) -> list[float]:
    return [found["score"] for answer in answers for found in answer["items"]]


def test_a_history_gets_the_recommender_s_answer(unchanged):
    body = {"history": ["i1", "x", "i2"], "k": 4, "allow": ["i3", "i4", "i5", "i6", "i7"], "deny": ["i5"]}
    answer = unchanged.post("/recommend", json=body).json()
    recommend = unchanged.service.snapshot.recommender.recommend
    expected = recommend([body["history"]], 4, allow=body["allow"], deny=["i5"])[0]
    assert [found["item"] for found in answer["items"]] == [found.item for found in expected.items]
    assert [found["score"] for found in answer["items"]] == pytest.approx(
        [found.score for found in expected.items], abs=1e-6
    )
    assert [found["text"] for found in answer["items"]] == [found.text for found in expected.items]
    assert (answer["unknown"], answer["fallback"]) == (["x"], None)


def test_a_history_that_says_nothing_gets_popularity_and_the_answer_says_so(unchanged):
    assert unchanged.post("/recommend", json={"history": []}).json()["fallback"] == "popularity"


def test_a_batch_gets_an_answer_a_request_in_their_order(unchanged):
    requests = [{"history": ["i1"], "k": 3}, {"history": []}, {"history": ["i2", "y"], "k": 1}]
    answers = unchanged.post("/recommend/batch", json={"requests": requests}).json()["answers"]
    alone = [unchanged.post("/recommend", json={**request, "fields": ["item", "score"]}).json() for request in requests]
    assert [without_scores(answer) for answer in answers] == [without_scores(answer) for answer in alone]
    assert scores(answers) == pytest.approx(scores(alone), abs=1e-5)


def test_inline_texts_are_known_for_one_request_only(unchanged):
    body = {"history": ["mine"], "texts": {"mine": TEXT, "i1": "a known item keeps its text", "else": TEXT}}
    answer = unchanged.post("/recommend", json={**body, "k": 100}).json()
    assert (answer["unknown"], answer["fallback"], len(answer["items"])) == ([], None, ITEMS)
    assert unchanged.post("/recommend", json={"history": ["mine"]}).json()["unknown"] == ["mine"]


def test_inline_texts_wait_in_bounds(unchanged, monkeypatch):
    monkeypatch.setattr(unchanged.service.inference.texts, "limit", 0)
    response = unchanged.post("/recommend", json={"history": ["mine"], "texts": {"mine": TEXT}})
    assert error(response, 503)[0] == "busy"
    assert response.headers["retry-after"] == "1"
    assert unchanged.post("/recommend", json={"history": ["i1"]}).status_code == 200


def test_similar_items_are_the_recommender_s(unchanged):
    expected = unchanged.service.snapshot.recommender.similar_items("i4", 3)
    assert items(unchanged.get("/similar/i4?k=3")) == [found.item for found in expected]


def test_items_are_found_by_words_and_by_id(unchanged):
    now = unchanged.service.snapshot
    assert unchanged.get("/items/i7").json() == {"item": "i7", "text": now.text("i7"), "attributes": {}}
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
