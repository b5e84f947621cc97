from urllib.parse import quote

import pytest
from clients import ITEMS, KEY, PUT, TEXT, error, items, served

from ssna.serving import changes as changes_module
from ssna.serving.additions import Change
from ssna.serving.limits import Limits
from ssna.serving.server import default_state
from ssna.serving.store import Store

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


def test_a_new_item_is_recommended_at_once_and_after_a_restart(runs, tmp_path):
    asked = {"history": ["i1"], "allow": ["new"]}
    with served(runs / "ssna", tmp_path / "state") as client:
        assert client.put("/items", json=PUT, headers=KEY).json() == {
            "added": 1, "replaced": 0, "removed": 0, "changed": 0, "items": ITEMS + 1, "warnings": []
        }  # fmt: skip
        before = client.post("/recommend", json=asked).json()
        assert [found["text"] for found in before["items"]] == [TEXT]
    with served(runs / "ssna", tmp_path / "state") as client:
        assert client.post("/recommend", json=asked).json() == before


def test_an_added_item_gets_a_new_text(client):
    client.put("/items", json=PUT, headers=KEY)
    other = {"items": [{"item": "new", "text": "word9 word8"}, {"item": "newer", "text": "word8 word7"}]}
    assert client.put("/items", json=other, headers=KEY).json() == {
        "added": 1, "replaced": 1, "removed": 0, "changed": 0, "items": ITEMS + 2, "warnings": []
    }  # fmt: skip
    assert client.get("/items/new").json()["text"] == "word9 word8"


def test_a_text_that_says_nothing_is_added_with_a_warning_in_the_answer_and_in_the_log(client, capfd):
    silent = {"items": [{"item": "dots", "text": "..."}, {"item": "new", "text": "word8 word7"}]}
    answer = client.put("/items", json=silent, headers=KEY).json()
    assert answer["added"] == 2
    (warning,) = answer["warnings"]
    assert "1 of 2 texts of new items say nothing of them, such as '...' of 'dots'" in warning
    logged = capfd.readouterr().err
    assert '"message": "1 of 2 texts of new items say nothing of them"' in logged
    assert "dots" not in logged
    assert {"dots", "new"} <= set(items(client.post("/recommend", json={"history": ["i1"], "k": 100})))


@pytest.mark.parametrize(
    ("item", "status", "culprit"),
    [
        ('{"item": "new", "text": NaN}', 400, "NaN"),
        ('{"item": "new", "text": 0.5}', 422, "text"),
        ('{"item": "new", "text": "word8 word7", "embedding": [0.5]}', 422, "embedding"),
        ('{"item": "new"}', 422, "needs a text, or a vector"),
        ('{"item": "", "text": "word8 word7"}', 422, "item"),
        ('{"text": "word8 word7"}', 422, "item"),
    ],
)
def test_what_is_no_item_with_a_text_is_an_error_that_names_it_and_nothing_is_added(client, item, status, culprit):
    body = f'{{"items": [{item}]}}'
    answer = client.put("/items", content=body.encode(), headers=KEY | {"Content-Type": "application/json"})
    assert culprit in error(answer, status)[1]
    assert len(client.service.snapshot) == ITEMS


def test_the_same_text_once_more_changes_nothing(client, tmp_path):
    client.put("/items", json=PUT, headers=KEY)
    before = Store(tmp_path / "state").load()
    assert client.put("/items", json=PUT, headers=KEY).json()["items"] == ITEMS + 1
    assert before.revision == 1
    assert Store(tmp_path / "state").load() == before


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
    Store(tmp_path / "state").record(Change(hide=("new",)))
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
    monkeypatch.setattr(changes_module, "LIMITS", Limits(additions=2))
    three = [{"item": f"n{n}", "text": TEXT} for n in range(3)]
    code, message = error(client.put("/items", json={"items": three}, headers=KEY), 409)
    assert (code, "the limit is 2" in message) == ("too_many_additions", True)
    assert client.put("/items", json={"items": three[:2]}, headers=KEY).status_code == 200


def test_removals_are_bounded_as_additions_are(client, monkeypatch):
    monkeypatch.setattr(changes_module, "LIMITS", Limits(additions=2))
    assert client.put("/items", json=PUT, headers=KEY).status_code == 200
    assert client.delete("/items/i1", headers=KEY).status_code == 200
    code, message = error(client.delete("/items/i2", headers=KEY), 409)
    assert (code, "the limit is 2" in message) == ("too_many_additions", True)
    assert client.get("/items/i2").status_code == 200
    assert client.delete("/items/new", headers=KEY).status_code == 200  # which makes room
    assert client.delete("/items/i2", headers=KEY).status_code == 200


@pytest.mark.parametrize("item", ["a\nb", "a\x00b", " a", "\u2028"], ids=ascii)
def test_an_id_that_could_not_be_removed_cannot_be_added(unchanged, item):
    body = {"items": [{"item": item, "text": TEXT}]}
    assert error(unchanged.put("/items", json=body, headers=KEY), 422)[0] == "invalid"


@pytest.mark.parametrize("item", ["a b", "ü/?#%&", "😀", "a\u200bb", "x" * 256, "a;b:c@d"], ids=ascii)
def test_an_id_that_can_be_added_can_be_asked_for_and_removed(client, item):
    body = {"items": [{"item": item, "text": TEXT}]}
    assert client.put("/items", json=body, headers=KEY).status_code == 200
    address = f"/items/{quote(item, safe='')}"
    assert client.get(address).json()["item"] == item
    assert client.delete(address, headers=KEY).status_code == 200
    assert client.get(address).status_code == 404


def test_a_run_that_reads_no_text_says_so(run_folders, tmp_path):
    with served(run_folders["item-knn"], tmp_path) as client:
        assert error(client.put("/items", json=PUT, headers=KEY), 409)[0] == "not_possible"
        body = {"history": ["mine"], "texts": {"mine": TEXT}}
        assert error(client.post("/recommend", json=body), 409)[0] == "not_possible"
        assert client.delete("/items/i1", headers=KEY).status_code == 200


def test_changes_are_kept_beside_the_run_unless_told_otherwise(tmp_path):
    assert default_state(tmp_path / "runs" / "best") == tmp_path / "runs" / ".best.state"
