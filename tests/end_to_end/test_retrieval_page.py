"""The code of docs/guide/export.md runs as it is, each block on its own, and they agree."""

import re
from pathlib import Path

import pytest

from ssna.export import TARGETS, Source
from ssna.runs import train
from ssna.text import ReadOptions, encode

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "export.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
NEEDS = {"qdrant_client": 0, "faiss": 1, "onnxruntime": 2}


@pytest.fixture(scope="module")
def folders(random_data, distinct_texts, language_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    data = random_data(seed=8, items=30, texts=distinct_texts(30))
    cache, _ = encode(data.texts, language_model, folder / "cache", ReadOptions(dtype="fp32", device="cpu"), quiet=True)
    train(data, cache, method="text-knn", settings=["dim=8"], out=folder / "demo" / "runs" / "best", quiet=True)
    return folder


@pytest.mark.parametrize(("library", "export"), zip(NEEDS, ("parquet", "faiss", "onnx"), strict=True))
def test_a_block_finds_what_the_recommender_ranks(folders, monkeypatch, capsys, library, export):
    pytest.importorskip(library)
    source = Source(folders / "demo" / "runs" / "best")
    TARGETS[export](source, folders / {"parquet": "vectors", "faiss": "index", "onnx": "graphs"}[export])
    monkeypatch.chdir(folders)
    capsys.readouterr()
    exec(compile(BLOCKS[NEEDS[library]], str(PAGE), "exec"), {})
    printed = capsys.readouterr().out
    found = re.findall(r"\bi\d+\b", printed)
    history = list(source.recommender.items.external[:3])
    assert found == [scored.item for scored in source.recommender.recommend([history], k=10)[0].items]
