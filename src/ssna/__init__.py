"""From interaction logs and item texts to a recommender that understands text.

    data = ssna.prepare("purchases.csv", items="products.csv", user_col="customer", item_col="sku", time_col="date",
                        text_cols=["title", "brand"])
    cache = ssna.encode(data, model="minilm")
    run = ssna.train(data, cache, recipe="best")
    run.recommender.recommend([["sku-17", "sku-4"]], k=10)

Public names load on first use, so that ``import ssna`` and ``ssna --help`` cost next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssna.core.errors import SsnaError
    from ssna.data import Dataset, append, prepare, query, union
    from ssna.data import load as load_data
    from ssna.recommender import Recommender
    from ssna.report import compare
    from ssna.runs import Run, encode, evaluate, load_run, train
    from ssna.text import LayerCache

_HOME = {
    "Dataset": ("ssna.data", "Dataset"),
    "LayerCache": ("ssna.text", "LayerCache"),
    "Recommender": ("ssna.recommender", "Recommender"),
    "Run": ("ssna.runs", "Run"),
    "SsnaError": ("ssna.core.errors", "SsnaError"),
    "append": ("ssna.data", "append"),
    "compare": ("ssna.report", "compare"),
    "encode": ("ssna.runs", "encode"),
    "evaluate": ("ssna.runs", "evaluate"),
    "load_data": ("ssna.data", "load"),
    "load_run": ("ssna.runs", "load_run"),
    "prepare": ("ssna.data", "prepare"),
    "query": ("ssna.data", "query"),
    "train": ("ssna.runs", "train"),
    "union": ("ssna.data", "union"),
}

__all__ = [
    "Dataset",
    "LayerCache",
    "Recommender",
    "Run",
    "SsnaError",
    "append",
    "compare",
    "encode",
    "evaluate",
    "load_data",
    "load_run",
    "prepare",
    "query",
    "train",
    "union",
]
__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ssna' has no attribute {name!r}")
    module, attribute = _HOME[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
