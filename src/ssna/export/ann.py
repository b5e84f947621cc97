"""A FAISS index over item vectors: exact while that is quick, approximate beyond; recall is measured as it is built."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ssna.core.errors import DataError
from ssna.core.progress import progress
from ssna.core.ragged import Ragged
from ssna.data import load
from ssna.export.source import Source, require

INDEX, IDS = "index.faiss", "ids.parquet"
FLAT = 50_000  # items up to which an exact index finds within a millisecond or so
LINKS, BUILD = 32, 200  # of each item in an HNSW graph, and candidates while it is built: faiss' guidelines
SEARCH = (64, 128, 256, 512, 1024)  # candidates while it is searched: the first that reaches
GOAL = 0.98  # recall at K is stored in the index
K = 10
QUERIES = 2000
ROUNDING = 1e-6  # of a cosine: products of the same vectors differ by less
ADDED = 10_000  # vectors between two looks at the clock


def to_faiss(source: Source, out: Path) -> list[str]:
    """``index.faiss`` over unit vectors by inner product; ``ids.parquet``: the item of each of its rows, from 0."""
    faiss = require("faiss", "ann")
    vectors = np.ascontiguousarray(source.model.directions[1:].numpy())
    queries, origin = _queries(source)
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = _build_index(faiss, vectors)
    recall, candidates = _tune_search(index, vectors, queries)
    about = {
        "files": [INDEX, IDS],
        "kind": type(index).__name__,
        "metric": "inner product of unit vectors, which is their cosine",
        "candidates": candidates,
        "recall": {"k": min(K, len(vectors)), "against": "exact search", "queries": len(queries), "of": origin,
                   "value": recall},
    }  # fmt: skip
    with source.folder(out, "faiss", about) as folder:
        faiss.write_index(index, str(folder / INDEX))
        ids, texts = source.recommender.items.column, pa.array(source.recommender.texts[1:])
        pq.write_table(pa.table({"row": np.arange(len(vectors)), "item": ids, "text": texts}), folder / IDS)
    summary = (
        f"{type(index).__name__} of {len(vectors):,} items: recall@{min(K, len(vectors))} {recall:.4f} against exact"
    )
    return [f"{summary}, {len(queries):,} user embeddings of {origin}", *source.warnings]


def _build_index(faiss: Any, vectors: NDArray[np.float32]) -> Any:
    width = vectors.shape[1]
    if len(vectors) <= FLAT:
        index = faiss.IndexFlatIP(width)
    else:
        index = faiss.IndexHNSWFlat(width, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = BUILD
    with progress("index", total=len(vectors), quiet=len(vectors) <= FLAT) as advance:
        for part in np.split(vectors, range(ADDED, len(vectors), ADDED)):
            index.add(part)
            advance(len(part), "")
    return index


def _tune_search(index: Any, vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> tuple[float, int | None]:
    """Recall at ``K``, and the candidates of a search that it took (None for an exact index)."""
    k = min(K, len(vectors))
    unit = torch.from_numpy(vectors)
    wanted = torch.cat([(part @ unit.T).topk(k).values for part in torch.from_numpy(queries).split(64)]).numpy()

    def recall() -> float:
        rows = index.search(queries, k)[1]
        return _recall(_scores(rows, queries, vectors), wanted)

    if not hasattr(index, "hnsw"):
        return recall(), None
    for candidates in SEARCH:
        index.hnsw.efSearch = candidates
        if (found := recall()) >= GOAL:
            break
    return found, candidates


def _scores(rows: NDArray[np.int64], queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(n, k)`` what the items in ``rows (n, k)`` of an index score; minus infinity for -1, where none was found."""
    parts = [
        np.einsum("nkd,nd->nk", vectors[rows[at : at + 64]], queries[at : at + 64]) for at in range(0, len(rows), 64)
    ]
    return np.where(rows < 0, -np.inf, np.concatenate(parts)).astype(np.float32)


def _recall(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """The share of the best that were found, by scores ``(n, k)`` of both: whichever of equal ones is found counts, but
    no more of these than the best have."""
    edge = wanted.min(axis=1, keepdims=True)

    def counted(scores: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        above = (scores > edge + ROUNDING).sum(axis=1)
        return above, (scores >= edge - ROUNDING).sum(axis=1) - above

    (above, equal), (best_above, best_equal) = counted(found), counted(wanted)
    hits = np.minimum(above, best_above) + np.minimum(equal, best_equal)
    return float(hits.mean() / wanted.shape[1])


def _queries(source: Source) -> tuple[NDArray[np.float32], str]:
    """At most ``QUERIES`` unit user embeddings, and of what: test histories if there are data, else single items."""
    recommender, rng = source.recommender, np.random.default_rng(0)
    if source.data is None:
        rows = rng.choice(len(recommender.items), min(QUERIES, len(recommender.items)), replace=False) + 1
        histories, origin = Ragged(rows, np.arange(len(rows) + 1)), "histories of one item"
    else:
        data = load(source.data)
        row_of = np.concatenate([[0], recommender.items.rows(data.items.external)])
        users = rng.permutation(len(data.test))[:QUERIES]
        known = [row_of[row][row_of[row] > 0] for row in data.test.histories.take(users)]
        histories, origin = Ragged.from_rows([row for row in known if len(row)]), "test histories"
        if not len(histories):
            raise DataError(f"{source.data} names no item of {source.run}; give the data that it was trained on")
    embeddings = F.normalize(source.model.user_embeddings(histories), dim=-1)
    return np.ascontiguousarray(embeddings.numpy()), origin
