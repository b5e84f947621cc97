"""Plain SASRec: a learned vector for every item, no text."""

from typing import Literal

from torch import Tensor, nn

from ssna.data.dataset import Dataset
from ssna.methods.base import ItemEncoder, MethodSettings
from ssna.nn.embedding import ItemEmbedding
from ssna.text import LayerCache


class IdsSettings(MethodSettings):
    """Nothing to set."""

    name: Literal["ids"] = "ids"


class Ids(ItemEncoder):
    """One free vector an item."""

    cuda_graph_safe = True

    def __init__(self, items: int, dim: int) -> None:
        super().__init__()
        self.vectors = ItemEmbedding(items + 1, dim)
        nn.init.normal_(self.vectors.weight, std=0.02)

    def forward(self, items: Tensor) -> Tensor:
        vectors: Tensor = self.vectors(items)
        return vectors

    def item_rows(self) -> tuple[str, ...]:
        return ("vectors.weight",)


def build_ids(settings: IdsSettings, data: Dataset, cache: LayerCache | None, dim: int) -> Ids:
    """A random embedding for every item."""
    return Ids(len(data.items), dim)
