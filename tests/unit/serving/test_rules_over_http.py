"""Rules over HTTP: filters, boosts and diversity, what is wrong with them, and attributes that are put."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from clients import ITEMS, KEY, TEXT, error, items, served

from ssna.data.attributes import Attributes
from ssna.recommender import Recommender
from ssna.serving.additions import Change
from ssna.serving.messages import pack_request, unpack_request
from ssna.serving.schemas import RecommendRequest
from ssna.serving.sqlite import STORE
from ssna.serving.store import Store

HISTORY = ["i1", "i2"]
CHEAP = {"<": ["price", 6]}


def with_attributes(run):
    """A run whose items have some."""
    folder = run / "model"
    plain = Recommender.load(folder)
    columns = {
        "price": [float(n) for n in range(1, ITEMS + 1)],
        "brand": ["Acme" if n % 2 else "Brevik" for n in range(1, ITEMS + 1)],
    }
    shutil.rmtree(folder)
    folder.mkdir()
    replace(plain, attributes=Attributes(pa.table(columns))).write(folder)


@pytest.fixture
def shop(runs, tmp_path):
    """A client of a service whose items have attributes."""
    with_attributes(runs / "ssna")
    with served(runs / "ssna", tmp_path / "state") as client:
        yield client


def ask(client, **body):
    return client.post("/recommend", json={"history": HISTORY, **body})


def put(client, *given):
    return client.put("/items", json={"items": list(given)}, headers=KEY)


def test_answers_are_those_of_the_recommender(shop, runs):
    recommender = Recommender.load(runs / "ssna")
    for rules in (
        {"where": CHEAP},
        {"where": "price < 6"},
        {"boost": [{"where": {"=": ["brand", "Acme"]}, "factor": 1e6}]},
        {"at_least": {"items": 3, "where": {"in": ["price", [20, 21, 22, 23]]}}},
        {"diversity": 0.8},
        {"where": {"not": CHEAP}, "boost": [{"where": "brand = Acme", "factor": 2}], "diversity": 0.3},
    ):
        found = recommender.recommend([HISTORY], k=5, **rules)[0]
        assert items(ask(shop, k=5, **rules)) == [each.item for each in found.items], rules


def test_requests_of_a_batch_are_answered_by_their_own_rules(shop):
    bodies = [{"history": HISTORY}, {"history": HISTORY, "where": CHEAP}, {"history": ["i7"], "where": CHEAP},
              {"history": [], "where": {">": ["price", 20]}, "boost": [{"where": CHEAP, "factor": 2}]},
              {"history": HISTORY, "diversity": 1}]  # fmt: skip
    answers = shop.post("/recommend/batch", json={"requests": bodies}).json()["answers"]
    ranked = [[found["item"] for found in answer["items"]] for answer in answers]
    assert ranked == [items(shop.post("/recommend", json=body)) for body in bodies]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"where": {"<": ["prise", 5]}}, "where.<: no attribute is called 'prise'; there are price, brand; did you"),
        ({"where": {"and": [CHEAP, {"=": ["price", "5"]}]}}, "where.and.1.=: 'price' is a number; '5' is no number"),
        ({"where": {"and": [CHEAP]}}, "where: 'and' takes a list of at least two conditions"),
        ({"boost": [{"where": {"=": ["size", 1]}, "factor": 2}]}, "boost.0.where.=: no attribute is called 'size'"),
        ({"at_least": {"items": 5, "where": CHEAP}, "k": 3}, "at_least.items: 5 of 3 items cannot be"),
        ({"at_least": {"items": 1, "where": {"in": ["price", []]}}}, "at_least.where: no condition is written as"),
        ({"diversity": 2}, "diversity: "),
        ({"where": None, "boost": [{"where": CHEAP, "factor": 0}]}, "boost.0.factor: "),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_a_422_that_names_the_place(shop, body, message):
    code, found = error(ask(shop, **body), 422)
    assert code == "invalid"
    assert found.startswith(message)
    code, found = error(
        shop.post("/recommend/batch", json={"requests": [{"history": []}, {"history": [], **body}]}), 422
    )
    assert (code, found.startswith(f"requests.1.{message}")) == ("invalid", True)


def nested(depth: int):
    return CHEAP if depth == 0 else {"not": nested(depth - 1)}


def test_a_condition_that_is_too_deep_or_too_long_is_a_422_that_names_the_place(shop):
    assert len(items(ask(shop, where=nested(20)))) == 3  # two of five are of the history
    place = "where" + ".not" * 21
    assert error(ask(shop, where=nested(21)), 422) == ("invalid", f"{place}: a condition has at most 20 levels")
    assert error(ask(shop, where=nested(200)), 422)[1].startswith(place)
    long = {"in": ["price", list(range(1001))]}
    assert error(ask(shop, where=long), 422)[1].startswith("where: no condition is written as")
    many = {"or": [{"in": ["price", list(range(600))]}] * 2}
    assert error(ask(shop, where=many), 422) == ("invalid", "where.or.1: a condition has at most 1,000 values")
    wide = {"or": [CHEAP] * 101}
    assert error(ask(shop, where=wide), 422) == ("invalid", "where: a condition on items has at most 100 predicates")
    assert error(ask(shop, where="price < 1 or " * 400 + "price < 1"), 422)[1].startswith(
        "where: a condition has at most"
    )


def test_runs_without_attributes_or_vectors_say_so(unchanged, runs, tmp_path):
    code, message = error(ask(unchanged, where=CHEAP), 422)
    assert (code, message.split(";")[0]) == ("invalid", "where: the model's items have no attributes")
    assert error(put(unchanged, {"item": "i3", "attributes": {"price": 3}}), 409)[0] == "no_attributes"
    with served(runs / "item-knn", tmp_path / "state") as client:
        assert error(ask(client, diversity=0.5), 409)[0] == "no_vectors"


def test_attributes_that_are_put_count_at_once_and_after_a_restart(runs, tmp_path):
    with_attributes(runs / "ssna")
    changed = {"item": "i30", "attributes": {"price": 0.5, "brand": None}}
    for number in range(2):
        with served(runs / "ssna", tmp_path / "state") as client:
            if number == 0:
                found = put(client, changed, {"item": "new", "text": TEXT, "attributes": {"price": 0.25}}).json()
                assert (found["added"], found["changed"]) == (1, 1)
            assert sorted(items(ask(client, where={"<": ["price", 1]}))) == ["i30", "new"]
            assert items(ask(client, where={"not": {"exists": "brand"}}, allow=["i30"])) == ["i30"]
            assert client.get("/items/i30").json()["attributes"] == {"price": 0.5}
            assert client.get("/runs").json()["runs"][0]["attributes"] == {"price": "number", "brand": "text"}


def test_an_added_item_keeps_its_attributes_with_a_new_text_and_loses_them_with_itself(shop):
    put(shop, {"item": "new", "text": TEXT, "attributes": {"price": 0.25}})
    put(shop, {"item": "new", "text": "word4 word5"})
    assert shop.get("/items/new").json() == {"item": "new", "text": "word4 word5", "attributes": {"price": 0.25}}
    shop.delete("/items/new", headers=KEY)
    put(shop, {"item": "new", "text": TEXT})
    assert shop.get("/items/new").json()["attributes"] == {}


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ({"item": "i3", "attributes": {"price": "3"}}, 422, "items.1.attributes.price: '3' is no number"),
        ({"item": "i3", "attributes": {"size": 3}}, 422, "items.1.attributes.size: no attribute is called 'size'"),
        ({"item": "i3", "attributes": {"brand": "x" * 1001}}, 422, "items.1.attributes.brand"),
        ({"item": "zz", "attributes": {"price": 3}}, 404, "item 'zz' is not in the catalogue; give it a text, too"),
        ({"item": "i3", "attributes": {}}, 422, "items.1.attributes: "),
        ({"item": "i3"}, 422, "items.1: needs a text, or a vector"),
    ],
)
def test_wrong_attributes_are_refused_and_nothing_is_changed(shop, given, status, message):
    response = put(shop, {"item": "i4", "attributes": {"price": 77}}, given)
    assert error(response, status)[1].startswith(message)
    assert shop.get("/items/i4").json()["attributes"]["price"] == 4


def test_a_run_without_an_attribute_serves_on_and_the_log_says_what_it_lacks(runs, tmp_path, capsys):
    with_attributes(runs / "ssna")
    with served(runs / "ssna", tmp_path / "state") as client:
        put(client, {"item": "i3", "attributes": {"price": 0.5}})
        assert client.post("/reload", json={"run": "item-knn"}, headers=KEY).status_code == 200
        assert "1 attributes that were put are none of this run, such as price of i3" in capsys.readouterr().err
        assert client.post("/reload", json={"run": "ssna"}, headers=KEY).status_code == 200
        assert items(ask(client, where={"<": ["price", 1]})) == ["i3"]


def test_a_store_that_was_made_before_items_had_attributes_is_read_and_changed(tmp_path):
    import sqlite3

    store = Store(tmp_path)
    store.record(Change(hide=("i1",)))
    store.close()
    with sqlite3.connect(tmp_path / STORE) as connection:
        connection.execute("DROP TABLE item_attributes")
    older = Store(tmp_path)
    assert older.load().attributes == {}
    older.record(Change(attributes={"i2": {"price": 1}}))
    older.record(Change(attributes={"i2": {"brand": None}}))
    assert Store(tmp_path).load().attributes == {"i2": {"price": 1, "brand": None}}


def test_rules_reach_the_ranking_process_as_they_are(shop):
    bodies = [{"history": ["i1"], "where": "price < 3"}, {"history": ["i2"]},
              {"history": [], "where": "price < 3", "at_least": {"items": 2, "where": "brand = Acme"},
               "boost": [{"where": "price < 3", "factor": 2}, {"where": "brand = Acme", "factor": 0.5}],
               "diversity": 0.25}]  # fmt: skip
    request, _ = shop.service.snapshot.look_up([RecommendRequest.model_validate(each) for each in bodies])
    found = unpack_request(pack_request(request))
    first, none, last = found.selections
    sent = request.selections
    assert none is None
    assert np.array_equal(first.only, sent[0].only)
    assert first.only is last.only is last.boosts[0][0]  # once each
    assert [amount for _, amount in last.boosts] == [amount for _, amount in sent[2].boosts]
    assert np.array_equal(last.boosts[1][0], sent[2].boosts[1][0])
    assert (last.at_least[0], last.diversity) == (2, 0.25)
    assert last.at_least[1] is last.boosts[1][0]
    assert first.at_least is None


def test_attributes_that_one_server_puts_the_other_one_takes_over(runs, tmp_path):
    with_attributes(runs / "ssna")
    with served(runs / "ssna", tmp_path / "state") as first, served(runs / "ssna", tmp_path / "state") as second:
        put(first, {"item": "i5", "attributes": {"price": 0.5}})
        put(first, {"item": "new", "text": TEXT, "attributes": {"price": 0.25}})
        second.portal.call(second.service.changes.follow)
        found = ask(second, where={"<": ["price", 0.75]}, exclude_seen=False).json()["items"]
        assert {one["item"] for one in found} == {"i5", "new"}


def test_the_values_of_attributes_are_those_of_what_can_be_recommended(shop):
    def price():
        return shop.get("/attributes").json()["attributes"][0]

    brand = shop.get("/attributes", params={"run": "ssna"}).json()["attributes"][1]
    assert (brand["name"], brand["kind"], brand["distinct"]) == ("brand", "text", 2)
    assert brand["values"] == [{"value": "Acme", "items": 15}, {"value": "Brevik", "items": 15}]
    assert (price()["least"], price()["most"], price()["items"]) == (1, ITEMS, ITEMS)
    put(shop, {"item": "new", "text": TEXT, "attributes": {"price": 99}})
    shop.delete("/items/i1", headers=KEY)
    assert (price()["least"], price()["most"], price()["items"]) == (2, 99, ITEMS)
    shop.delete("/items/new", headers=KEY)
    assert price()["most"] == ITEMS


def test_runs_say_whether_they_have_attributes_and_vectors(unchanged, runs, tmp_path):
    assert unchanged.get("/attributes").json() == {"attributes": []}
    assert error(unchanged.get("/attributes", params={"run": "missing"}), 404)[0] == "unknown_run"
    assert unchanged.get("/runs").json()["runs"][0]["has_vectors"] is True
    with served(runs / "item-knn", tmp_path / "state") as client:
        assert client.get("/runs").json()["runs"][0]["has_vectors"] is False
