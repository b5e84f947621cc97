"""Rules in Python: conditions on attributes, what is wrong with them, and the artefact that keeps the attributes."""

import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from some_recommenders import ITEMS, ids

from ssna.core.errors import ArtifactError, SettingsError, SsnaError
from ssna.core.rules import Rules
from ssna.data.attributes import Attributes
from ssna.recommender import Recommender
from ssna.recommender.artifact import ATTRIBUTES

HISTORY = ["i1", "i2"]


@pytest.fixture
def recommender(recommenders) -> Recommender:
    columns = {
        "price": [float(n) for n in range(1, ITEMS + 1)],
        "brand": ["Acme" if n % 2 else "Brevik" for n in range(1, ITEMS + 1)],
        "tags": pa.array([["x"]] * ITEMS, pa.list_(pa.string())),
    }
    return replace(recommenders["ssna"], attributes=Attributes(pa.table(columns)))


def test_where_is_filter_then_rank(recommender):
    every = ids(recommender.recommend([HISTORY], k=ITEMS)[0])
    found = recommender.recommend([HISTORY], k=ITEMS, where="price < 9 and brand = Acme")[0]
    assert ids(found) == [item for item in every if int(item[1:]) < 9 and int(item[1:]) % 2]
    tree = {"and": [{"<": ["price", 9]}, {"=": ["brand", "Acme"]}]}
    assert recommender.recommend([HISTORY], k=ITEMS, where=tree)[0] == found


def test_where_goes_with_lists_of_items_and_with_seen_ones(recommender):
    options = {"k": ITEMS, "where": "price < 9", "exclude_seen": False, "allow": ["i1", "i5", "i12"], "deny": ["i5"]}
    assert ids(recommender.recommend([HISTORY], **options)[0]) == ["i1"]


def test_a_large_factor_puts_items_first_and_a_small_one_last(recommender):
    boost = [{"where": "brand = Brevik", "factor": 1e9}]
    raised = [int(item[1:]) % 2 for item in ids(recommender.recommend([HISTORY], k=ITEMS, boost=boost)[0])]
    assert raised == sorted(raised)
    lowered = recommender.recommend([HISTORY], k=ITEMS, boost=[{"where": "brand = Brevik", "factor": 1e-9}])[0]
    assert [int(item[1:]) % 2 for item in ids(lowered)] == sorted(raised, reverse=True)


def test_a_factor_and_its_inverse_undo_each_other(recommender):
    boost = [{"where": "price < 9", "factor": 4}, {"where": "price < 9", "factor": 0.25}]
    plain, both = (recommender.recommend([HISTORY], k=5, boost=each)[0] for each in ((), boost))
    assert ids(plain) == ids(both)


def test_at_least_so_many_are_of_a_kind_the_best_of_them(recommender):
    every = ids(recommender.recommend([HISTORY], k=ITEMS)[0])
    dear = [item for item in every if int(item[1:]) > 15]
    found = ids(recommender.recommend([HISTORY], k=5, at_least={"items": 4, "where": "price > 15"})[0])
    assert {*dear[:4]} <= {*found}
    assert sorted(found, key=every.index) == found


def test_diversity_needs_vectors_and_no_attributes(recommenders):
    similar, other = (ids(recommenders["ssna"].recommend([HISTORY], k=5, diversity=each)[0]) for each in (0.0, 0.9))
    assert similar[0] == other[0]
    assert similar != other
    with pytest.raises(ArtifactError, match="no vectors, so diversity must be 0"):
        recommenders["item-knn"].recommend([HISTORY], diversity=0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"where": "prise < 3"}, r"^where\.<: no attribute is called 'prise'; there are price, brand, tags; did"),
        ({"where": "price <"}, "^where: expected a value at the end"),
        ({"where": {"and": [{"exists": "price"}, {"=": ["price"]}]}}, r"^where\.and\.1: no condition is written as"),
        ({"where": 5}, "^where: a condition is an object"),
        ({"boost": [{"where": "brand = 5", "factor": 2}]}, r"^boost\.0\.where\.=: 'brand' is text; 5.0 is no text"),
        ({"boost": [{"where": "brand = x", "factor": 0}]}, r"^boost\.0\.factor: .*greater than or equal"),
        ({"boost": [{"factor": 2}]}, r"^boost\.0\.where: is missing"),
        ({"at_least": {"items": 11, "where": "price < 3"}}, r"^at_least\.items: 11 of 10 items cannot be"),
        ({"diversity": 1.5}, "^diversity: .*less than or equal to 1"),
        ({"boost": [{"where": "price < 3", "factor": 2}] * 21}, "^boost: .*at most 20"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_an_error_that_names_the_place(recommender, given, message):
    with pytest.raises(SsnaError, match=message):
        recommender.recommend([HISTORY], **given)
    with pytest.raises(SettingsError, match="diversity"):
        recommender.recommend([HISTORY], diversity="much")


def test_conditions_need_attributes(recommenders):
    with pytest.raises(SsnaError, match=r"^where: the model's items have no attributes; .*attribute_cols"):
        recommenders["ssna"].recommend([HISTORY], where="price < 3")
    with pytest.raises(SsnaError, match="attribute_cols"):
        recommenders["ssna"].with_attributes({"i1": {"price": 3}})


def test_the_artefact_keeps_attributes(recommender, tmp_path):
    recommender.save(tmp_path / "model")
    again = Recommender.load(tmp_path / "model")
    assert again.attributes.columns.equals(recommender.attributes.columns)
    asked = {"histories": [HISTORY], "where": "price > 5", "boost": [{"where": "tags = x", "factor": 2}]}
    assert again.recommend(**asked) == recommender.recommend(**asked)


def test_a_file_of_attributes_that_was_changed_is_refused(recommender, recommenders, tmp_path):
    recommender.save(tmp_path / "model")
    recommenders["ssna"].save(tmp_path / "without")
    assert not (tmp_path / "without" / ATTRIBUTES).exists()
    file = tmp_path / "model" / ATTRIBUTES
    shutil.copy(file, tmp_path / "kept")
    pq.write_table(pq.read_table(file).slice(1), file)
    with pytest.raises(ArtifactError, match=r"attributes\.parquet is not the file that was saved"):
        Recommender.load(tmp_path / "model")
    file.unlink()
    with pytest.raises(ArtifactError, match="damaged"):
        Recommender.load(tmp_path / "model")
    shutil.copy(tmp_path / "kept", file)
    assert Recommender.load(tmp_path / "model").attributes is not None


def test_added_items_bring_attributes_and_removed_ones_take_theirs_along(recommender):
    wider = recommender.add_items({"new": "word1 word2"}, attributes={"new": {"price": 0.5, "tags": ["y"]}})
    assert ids(wider.recommend([HISTORY], where="price < 1")[0]) == ["new"]
    assert ids(wider.recommend([HISTORY], where="not exists brand")[0]) == ["new"]
    fewer = wider.remove_items(["i3", "i4"])
    assert sorted(ids(fewer.recommend([HISTORY], where="price in (0.5, 3, 5)", k=5)[0])) == ["i5", "new"]
    assert fewer.attributes.values(3)["price"] == 5.0
    dearer = fewer.with_attributes({"new": {"price": 100}, "i5": {"price": None}})
    assert ids(dearer.recommend([HISTORY], where="price < 1")[0]) == []
    with pytest.raises(SsnaError, match="'zz' is not in the catalogue"):
        dearer.with_attributes({"zz": {"price": 1}})
    with pytest.raises(SsnaError, match="with_attributes"):
        dearer.with_attributes({"i1": 5})


def test_rules_are_the_same_through_json():
    rules = Rules.of(where="price < 3 or not exists brand", boost=[{"where": "price = 1", "factor": 2}],
                     at_least={"items": 2, "where": {"exists": "price"}}, diversity=0.5)  # fmt: skip
    assert Rules.of(**rules.tree()) == rules
    assert Rules.of().tree() == {}
