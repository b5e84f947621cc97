"""Item vectors in Parquet, for any vector database."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ssna.export.source import Source

ITEMS = "items.parquet"
GROUP = 2**16  # rows of a row group


def to_parquet(source: Source, out: Path) -> list[str]:
    """``items.parquet``: ``item``, ``vector`` (fixed-size list of float32, unit length) and ``text``."""
    about = {
        "files": [ITEMS],
        "metric": "cosine; vectors have unit length, so that the inner product is the same",
        "queries": "ssna.Recommender.load(RUN).user_embeddings(histories), or the user model of `--to onnx`",
    }
    with source.folder(out, "parquet", about) as folder:
        write_items(source, folder / ITEMS)
    return [f"{len(source.recommender.items):,} vectors of width {source.model.vectors.shape[1]}", *source.warnings]


def write_items(source: Source, path: Path, inputs: bool = False) -> None:
    """Vectors, ids and texts.

    Args:
        inputs: with a column ``input``, the vectors as the user model reads them, not of unit length.
    """
    items, texts, model = source.recommender.items, source.recommender.texts, source.model
    columns = {"item": items.column, "vector": _lists(model.directions[1:].numpy())}
    columns |= {"input": _lists(model.vectors[1:].numpy())} if inputs else {}
    pq.write_table(pa.table(columns | {"text": pa.array(texts[1:])}), path, compression="zstd", row_group_size=GROUP)


def _lists(vectors: NDArray[np.float32]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
