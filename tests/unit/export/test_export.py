"""Exports give the vectors and the rankings of the recommender to programs that know nothing of ssna."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from ssna import export as package
from ssna.core.errors import ArtifactError, DataError, SsnaError
from ssna.data import save
from ssna.export import TARGETS, Source, ann
from ssna.recommender import Recommender
from ssna.runs import train
from ssna.scoring import Ensemble, FrequencyWeights
from ssna.scoring.best import Best
from ssna.text import ReadOptions, encode

pytestmark = pytest.mark.slow

ITEMS = 20
SMALL = ["dim=8", "sequence.ffn_dim=8", "training.batch_size=64", "training.epochs=1"]
METHODS = {
    "ssna": [*SMALL, "method.num_experts=2", 'ensemble.members=["item-knn"]'],
    "text-knn": ["dim=8"],
    "item-knn": [],
}


@pytest.fixture(scope="module")
def data(random_data, distinct_texts):
    return random_data(seed=8, items=ITEMS, texts=distinct_texts(ITEMS))


@pytest.fixture(scope="module")
def runs(data, language_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    cache, _ = encode(data.texts, language_model, folder / "cache", ReadOptions(dtype="fp32", device="cpu"), quiet=True)
    for name, assignments in METHODS.items():
        train(data, cache, method=name, settings=assignments, out=folder / name, quiet=True)
    return folder


@pytest.fixture(scope="module")
def source(runs):
    return Source(runs / "ssna")


HISTORIES = [["i1"], ["i3", "i5", "i5", "i2"], ["i9", "nothing", "i4"], [f"i{row}" for row in range(1, 15)]]


def read(folder) -> dict:
    return json.loads((folder / "export.json").read_text())


def ranked_by_vectors(source, history) -> list[str]:
    """What the vectors alone say, best first, seen items included."""
    part = Recommender(source.model, source.recommender.items, source.recommender.texts, source.recommender.counts)
    return [scored.item for scored in part.recommend([history], k=5, exclude_seen=False)[0].items]


# vectors


def test_every_item_has_its_unit_vector_and_its_text_in_the_parquet_file(source, tmp_path):
    TARGETS["parquet"](source, tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "items.parquet")
    assert table.column_names == ["item", "vector", "text"]
    assert table["item"].to_pylist() == [f"i{row}" for row in range(1, ITEMS + 1)]
    assert tuple(table["text"].to_pylist()) == source.recommender.texts[1:]
    assert (str(table.schema.field("vector").type.value_type), table.schema.field("vector").type.list_size) == (
        "float",
        8,
    )
    vectors = np.array(table["vector"].to_pylist())
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    np.testing.assert_allclose(vectors, source.model.directions[1:], atol=1e-6)


@pytest.mark.parametrize("history", HISTORIES)
def test_user_embeddings_find_in_the_exported_vectors_what_the_vectors_of_the_model_rank(source, tmp_path, history):
    TARGETS["parquet"](source, tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "items.parquet")
    scores = np.array(table["vector"].to_pylist()) @ source.recommender.user_embeddings([history])[0]
    found = [table["item"][int(row)].as_py() for row in np.argsort(-scores)[:5]]
    assert found == ranked_by_vectors(source, history)


def test_a_history_of_which_nothing_is_known_has_no_user_embedding(source):
    assert np.abs(source.recommender.user_embeddings([["nothing"], []])).max() == 0


def test_members_of_an_ensemble_that_are_omitted_are_named_and_kept(source, tmp_path):
    lines = TARGETS["parquet"](source, tmp_path / "out")
    weights = {member.scorer.kind: member.weight for member in source.recommender.scorer.members}
    omitted = f"item neighbours (weight {weights['neighbour']:.2f})"
    assert lines[-1].startswith(f"note: of this ensemble the model's vectors (weight {weights['vector']:.2f})")
    assert omitted in lines[-1]
    assert read(tmp_path / "out")["omitted"] == [omitted]


def test_weights_by_frequency_are_named_among_what_is_omitted(source, tmp_path):
    plain = source.recommender
    members = plain.scorer.members
    scorer = Ensemble(members, FrequencyWeights.equal(len(members), plain.counts))
    replace(plain, scorer=scorer).save(tmp_path / "model")
    lines = TARGETS["parquet"](Source(tmp_path / "model"), tmp_path / "out")
    assert lines[-1].endswith("and weights by frequency: rankings will differ")
    assert read(tmp_path / "out")["omitted"][-1] == "weights by frequency"


def test_a_model_that_is_no_ensemble_omits_nothing(runs, tmp_path):
    lines = TARGETS["parquet"](Source(runs / "text-knn"), tmp_path / "out")
    assert (len(lines), read(tmp_path / "out")["omitted"]) == (1, [])


@pytest.mark.parametrize("to", ["parquet", "faiss", "onnx"])
def test_a_model_without_vectors_is_refused(runs, tmp_path, to):
    with pytest.raises(ArtifactError, match="without vectors"):
        TARGETS[to](Source(runs / "item-knn"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_recommender_without_vectors_has_no_user_embeddings(runs):
    with pytest.raises(ArtifactError, match="no vectors"):
        Recommender.load(runs / "item-knn").user_embeddings([["i1"]])


@pytest.mark.parametrize(("to", "module", "extra"), [("faiss", "faiss", "ann"), ("onnx", "onnxruntime", "onnx")])
def test_a_library_that_is_missing_is_named_with_its_extra(source, tmp_path, monkeypatch, to, module, extra):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(SsnaError, match=rf"{module} is not installed; pip install 'ssna\[{extra}\]'"):
        TARGETS[to](source, tmp_path / "out")


# faiss


@pytest.mark.parametrize("kind", ["IndexFlatIP", "IndexHNSWFlat"])
def test_the_index_finds_what_the_vectors_of_the_model_rank(source, tmp_path, monkeypatch, kind):
    faiss = pytest.importorskip("faiss")
    monkeypatch.setattr(ann, "FLAT", 0 if "HNSW" in kind else ITEMS)
    lines = TARGETS["faiss"](source, tmp_path / "out")
    index = faiss.read_index(str(tmp_path / "out" / "index.faiss"))
    ids = pq.read_table(tmp_path / "out" / "ids.parquet")["item"]
    _, rows = index.search(source.recommender.user_embeddings(HISTORIES), 5)
    for history, found in zip(HISTORIES, rows, strict=True):
        assert [ids[int(row)].as_py() for row in found] == ranked_by_vectors(source, history)
    assert read(tmp_path / "out")["kind"] == kind
    assert (read(tmp_path / "out")["recall"]["value"], "recall@10 1.0000" in lines[0]) == (1.0, True)


def test_recall_is_measured_with_the_test_histories_of_the_data(runs, data, tmp_path):
    pytest.importorskip("faiss")
    save(data, tmp_path / "data")
    TARGETS["faiss"](Source(runs / "ssna", data=tmp_path / "data"), tmp_path / "out")
    assert read(tmp_path / "out")["recall"] == {
        "k": 10, "against": "exact search", "queries": len(data.test), "of": "test histories", "value": 1.0
    }  # fmt: skip


def test_data_of_other_items_measures_nothing(runs, make_data, tmp_path):
    pytest.importorskip("faiss")
    other = make_data([[1, 2, 3]] * 4)
    save(type(other)(other.users, type(other.items)(("a", "b", "c")), *(getattr(other, name) for name in
         ("texts", "histories", "max_history"))), tmp_path / "data")  # fmt: skip
    with pytest.raises(DataError, match="names no item"):
        TARGETS["faiss"](Source(runs / "ssna", data=tmp_path / "data"), tmp_path / "out")


@pytest.mark.parametrize(
    ("found", "recall"),
    [
        ([0.9, 0.8, 0.7, 0.7], 1.0),
        ([0.7, 0.9, 0.7 + 1e-7, 0.8], 1.0),  # in any order, and as another product rounds
        ([0.9, 0.7, 0.7, 0.7], 0.75),  # one more of those that equal the last is no better one
        ([0.9, 0.8, 0.7, 0.6], 0.75),
        ([0.9, 0.8, -np.inf, -np.inf], 0.5),
    ],
)
def test_recall_counts_whichever_items_of_equal_score_were_found(found, recall):
    assert ann._recall(np.array([found]), np.array([[0.9, 0.8, 0.7, 0.7]])) == recall


def test_rows_that_were_not_found_score_nothing():
    vectors = np.eye(3, dtype=np.float32)
    scores = ann._scores(np.array([[2, -1]]), np.array([[0.0, 0.5, 1.0]], dtype=np.float32), vectors)
    assert scores.tolist() == [[1.0, -np.inf]]


@pytest.fixture
def few_texts():
    """Vectors of 397 items that have 20 distinct ones, and an exact index of them."""
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    distinct = rng.normal(size=(20, 32)).astype(np.float32)
    distinct /= np.linalg.norm(distinct, axis=1, keepdims=True)
    vectors = distinct[rng.integers(0, 20, 397)]
    return vectors, ann._build_index(faiss, vectors)


def test_an_exact_index_of_few_texts_finds_all(few_texts):
    vectors, index = few_texts
    assert ann._tune_search(index, vectors, vectors) == (1.0, None)


def test_what_an_exact_index_lists_has_the_products_order_once_it_is_sorted_by_score_and_row(few_texts):
    vectors, index = few_texts
    scores, rows = index.search(vectors[:50], 120)
    best = Best(50, 30)
    best.add(0, torch.from_numpy(vectors[:50] @ vectors.T).round(decimals=5))
    ranked = [found[np.lexsort((found, -one.round(5)))][:30] for one, found in zip(scores, rows, strict=True)]
    np.testing.assert_array_equal(ranked, best.rows.numpy())


def test_a_search_is_not_widened_for_items_of_equal_score(monkeypatch, few_texts):
    faiss = pytest.importorskip("faiss")
    vectors, _ = few_texts
    monkeypatch.setattr(ann, "FLAT", 0)
    monkeypatch.setattr(ann, "SEARCH", (200, 397))
    assert ann._tune_search(ann._build_index(faiss, vectors), vectors, vectors) == (1.0, 200)


def test_a_search_is_widened_until_it_finds_enough(monkeypatch):
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    monkeypatch.setattr(ann, "FLAT", 0)
    monkeypatch.setattr(ann, "SEARCH", (1, 2, 256))
    index = ann._build_index(faiss, vectors)
    recall, candidates = ann._tune_search(index, vectors, vectors[:200])
    assert (candidates, index.hnsw.efSearch) == (256, 256)
    assert recall >= ann.GOAL


# onnx


@pytest.fixture(scope="module", params=["ssna", "text-knn"])
def graphs(request, runs, tmp_path_factory):
    """A source, and the folder of its graphs."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    source, out = Source(runs / request.param), tmp_path_factory.mktemp("onnx") / "out"
    TARGETS["onnx"](source, out)
    return source, out


def session(path):
    return __import__("onnxruntime").InferenceSession(str(path))


@pytest.mark.parametrize("behind", [7.5, -1e38, np.inf, np.nan])
@pytest.mark.parametrize(("batch", "longest"), [(1, 1), (1, 8), (3, 5), (40, 8)])
def test_the_user_graph_gives_the_user_embeddings_whatever_stands_behind_a_historys_end(graphs, batch, longest, behind):
    source, out = graphs
    rng = np.random.default_rng(batch)
    histories = [rng.integers(1, ITEMS + 1, rng.integers(1, longest + 1)).tolist() for _ in range(batch)]
    inputs = np.array(pq.read_table(out / "items.parquet")["input"].to_pylist(), dtype=np.float32)
    vectors = np.full((batch, longest, 8), behind, dtype=np.float32)
    for row, history in enumerate(histories):
        vectors[row, : len(history)] = inputs[np.array(history) - 1]
    lengths = np.array([len(history) for history in histories])
    found = session(out / "user.onnx").run(["user_embedding"], {"vectors": vectors, "lengths": lengths})[0]
    expected = source.recommender.user_embeddings([[f"i{row}" for row in history] for history in histories])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("behind", [1, np.nan])
def test_an_empty_history_has_a_zero_user_embedding_in_the_graph_too(graphs, behind):
    inputs = {"vectors": np.full((1, 2, 8), behind, np.float32), "lengths": [0]}
    assert np.abs(session(graphs[1] / "user.onnx").run(None, inputs)[0]).max() == 0


@pytest.mark.parametrize("items", [1, 2, 50])
def test_the_graph_of_the_adapters_gives_the_vectors_of_new_items(graphs, items):
    source, out = graphs
    states = np.random.default_rng(items).normal(size=(source.model.layers, items, 16)).astype(np.float32)
    found = session(out / "adapters.onnx").run(["vectors"], {"states": states})[0]
    expected = source.model.add_items(torch.from_numpy(states)).vectors[ITEMS + 1 :]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_manifest_tells_inputs_outputs_and_the_difference_from_torch(graphs):
    source, out = graphs
    about = read(out)
    for name in ("user", "adapters"):
        asked = session(out / f"{name}.onnx")
        assert [one.name for one in asked.get_inputs()] == list(about[name]["inputs"])
        assert [one.name for one in asked.get_outputs()] == list(about[name]["outputs"])
        assert 0 <= about[name]["difference"] <= 1e-4
    assert about["user"]["max_history"] == source.model.max_history
    assert about["adapters"]["encoding"] == source.recommender.encoding.tree()


@pytest.mark.parametrize("wrong", [0.1, np.nan])
def test_a_graph_that_computes_something_else_is_not_exported(source, tmp_path, monkeypatch, wrong):
    runtime = pytest.importorskip("onnxruntime")

    class Wrong(runtime.InferenceSession):
        def run(self, *arguments):
            return [found + wrong for found in super().run(*arguments)]

    monkeypatch.setattr(runtime, "InferenceSession", Wrong)
    with pytest.raises(ArtifactError, match="differs from torch"):
        TARGETS["onnx"](source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# a model hub


def test_the_folder_for_a_hub_loads_and_its_card_has_the_figures_of_the_run(source, tmp_path):
    TARGETS["hub"](source, tmp_path / "shop")
    loaded = Recommender.from_pretrained(tmp_path / "shop")
    assert loaded.recommend([["i1"]]) == source.recommender.recommend([["i1"]])
    card = (tmp_path / "shop" / "README.md").read_text()
    assert source.record["fingerprint"] in card
    for figures in source.record["test"].values():
        assert all(f"{value:.4f}" in card for value in figures.values())


def test_a_repository_is_pushed_only_when_it_is_named(runs, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        package.cards.hub, "upload", lambda folder, repo, **options: asked.append((folder, repo, options))
    )
    TARGETS["hub"](Source(runs / "ssna"), tmp_path / "one")
    assert asked == []
    TARGETS["hub"](Source(runs / "ssna", repo="me/shop"), tmp_path / "two")
    assert asked == [(tmp_path / "two", "me/shop", {"private": True, "token": None, "revision": None})]
    assert "from_pretrained('me/shop')" in (tmp_path / "two" / "README.md").read_text()


def test_a_model_folder_without_a_record_has_a_card_without_figures(runs, tmp_path):
    TARGETS["hub"](Source(runs / "ssna" / "model"), tmp_path / "shop")
    assert "Figures" not in (tmp_path / "shop" / "README.md").read_text()


@pytest.mark.parametrize("to", TARGETS)
def test_a_folder_of_something_else_is_left_alone(source, tmp_path, to):
    (tmp_path / "precious").write_text("")
    with pytest.raises(SsnaError, match="left alone"):
        TARGETS[to](source, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
