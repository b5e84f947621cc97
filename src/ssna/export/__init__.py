"""A recommender for other programs: vectors in Parquet, a FAISS index, ONNX graphs, a folder for a model hub."""

from collections.abc import Callable
from pathlib import Path

from ssna.export.ann import to_faiss
from ssna.export.cards import to_hub
from ssna.export.onnx import to_onnx
from ssna.export.source import Source
from ssna.export.vectors import to_parquet

__all__ = ["TARGETS", "Source"]

TARGETS: dict[str, Callable[[Source, Path], list[str]]] = {
    "faiss": to_faiss,
    "parquet": to_parquet,
    "onnx": to_onnx,
    "hub": to_hub,
}
"""Name -> writes one folder, whole or not at all, and returns what people are told about it, a line each."""
