"""Raising new items, request by request."""

from dataclasses import replace

import numpy as np
import pytest
from clients import ITEMS, KEY, TEXT, error, items, served

from ssna.recommender import Recommender
from ssna.scoring import FrequencyWeights


@pytest.fixture
def raising(runs, tmp_path):
    """A client of a service whose ensemble tells new items apart."""
    folder = runs / "ssna" / "model"
    plain = Recommender.load(folder)
    scorer = plain.scorer
    scorer = type(scorer)(scorer.members, FrequencyWeights.equal(len(scorer.members), plain.counts))
    for path in folder.iterdir():
        path.unlink()
    replace(plain, scorer=scorer).write(folder)
    with served(runs / "ssna", tmp_path / "state") as client:
        client.put("/items", json={"items": [{"item": "new", "text": TEXT}]}, headers=KEY)
        yield client


def test_a_request_raises_the_items_that_were_added(raising):
    body = {"history": ["i1", "i2"], "k": 5}
    assert "new" not in items(raising.post("/recommend", json={**body, "new_items": -50}))
    assert items(raising.post("/recommend", json={**body, "new_items": 50}))[0] == "new"
    without = items(raising.post("/recommend", json=body))
    assert items(raising.post("/recommend", json={**body, "new_items": 0})) == without


def test_requests_of_a_batch_raise_by_their_own(raising):
    bodies = [{"history": ["i1"], "new_items": raised} for raised in (50, 0, -50.5)]
    answers = raising.post("/recommend/batch", json={"requests": bodies}).json()["answers"]
    ranked = [[found["item"] for found in answer["items"]] for answer in answers]
    assert ranked == [items(raising.post("/recommend", json=body)) for body in bodies]
    assert ranked[0][0] == "new"


def test_the_rank_of_an_item_and_of_a_text_are_those_with_new_items_raised(raising):
    asked = {"history": ["i1", "i2"], "new_items": 50}
    assert raising.post("/explain", json={**asked, "item": "new"}).json()["rank"] == 1
    assert raising.post("/explain", json={**asked, "item": "new", "new_items": -50}).json()["rank"] == ITEMS - 1
    ranked = raising.post("/rank_text", json={**asked, "text": TEXT}).json()
    assert ranked["rank"] <= 2
    assert raising.post("/rank_text", json={**asked, "text": TEXT, "new_items": 0}).json()["score"] < ranked["score"]


def test_the_list_of_runs_says_which_can_raise_new_items(raising, unchanged):
    assert [run["raises_new_items"] for run in raising.get("/runs").json()["runs"]] == [True]
    assert [run["raises_new_items"] for run in unchanged.get("/runs").json()["runs"]] == [False]


@pytest.mark.parametrize("new_items", ["1", None, 101, -1e9, True])
def test_what_is_no_number_within_reach_is_refused(raising, new_items):
    response = raising.post("/recommend", json={"history": ["i1"], "new_items": new_items})
    assert "new_items" in error(response, 422)[1]


def test_a_run_without_weights_for_new_items_says_so(unchanged):
    response = unchanged.post("/recommend", json={"history": ["i1"], "new_items": 0.5})
    code, message = error(response, 409)
    assert code == "no_new_items_weights"
    assert "leave new_items out" in message
    assert unchanged.post("/recommend", json={"history": ["i1"], "new_items": 0}).status_code == 200
    for path, more in (("/explain", {"item": "i2"}), ("/rank_text", {"text": TEXT})):
        response = unchanged.post(path, json={"history": ["i1"], "new_items": 0.5, **more})
        assert error(response, 409)[0] == "no_new_items_weights"


def test_the_ranking_process_raises_as_this_one_does():
    from ssna.core.ragged import Ragged
    from ssna.recommender.ranking import RankRequest
    from ssna.serving.messages import pack_request, unpack_request

    request = RankRequest.uniform(Ragged.from_rows([[1], [2]]), 3, new_items=0.75)
    assert unpack_request(pack_request(request)).new_items.tolist() == [0.75, 0.75]
    assert unpack_request(pack_request(replace(request, new_items=None))).new_items is None
    assert np.array_equal(unpack_request(pack_request(request)).k, request.k)
