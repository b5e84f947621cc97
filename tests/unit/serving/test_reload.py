import shutil

import pytest
from clients import ITEMS, KEY, PUT, TEXT, error, served

pytestmark = pytest.mark.slow


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
