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
    from ssna.data import Dataset, append, prepare, union
    from ssna.data import load as load_data
    from ssna.recommender import Recommender
    from ssna.runs import Run, encode, train
    from ssna.text import LayerCache

_HOME = {
    "Dataset": ("ssna.data", "Dataset"),
    "LayerCache": ("ssna.text", "LayerCache"),
    "Recommender": ("ssna.recommender", "Recommender"),
    "Run": ("ssna.runs", "Run"),
    "SsnaError": ("ssna.core.errors", "SsnaError"),
    "append": ("ssna.data", "append"),
    "encode": ("ssna.runs", "encode"),
    "load_data": ("ssna.data", "load"),
    "prepare": ("ssna.data", "prepare"),
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
    "encode",
    "load_data",
    "prepare",
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
