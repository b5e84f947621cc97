"""Scorers that only count and add: popularity, sparse matrices from item to item, and whether an item was seen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor
from torch.nn import functional as F

from ssna.core.ragged import Ragged
from ssna.scoring.scorer import Approximation, Config, ScoreFn, Scorer


class PopularityScorer(Scorer):
    """The number of training events of each item, whatever the history."""

    kind: ClassVar[str] = "popularity"
    layers: int = 0

    def __init__(self, counts: Tensor) -> None:
        self.counts = counts.float()  # (I + 1,)

    @property
    def num_rows(self) -> int:
        return len(self.counts)

    def prepare(self, histories: Ragged) -> ScoreFn:
        return lambda items: self.counts[items].repeat(len(histories), 1)

    def add_items(self, h: Tensor, texts: Sequence[str] = ()) -> "PopularityScorer":
        """A new item has no events."""
        return PopularityScorer(F.pad(self.counts, (0, h.shape[1])))

    def with_history_items(self, h: Tensor, texts: Sequence[str] = ()) -> "PopularityScorer":
        return self

    def select_items(self, rows: Tensor) -> "PopularityScorer":
        return PopularityScorer(self.counts[rows])

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        return {}, {"counts": self.counts}

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "PopularityScorer":
        """The inverse of :meth:`state`."""
        return cls(tensors["counts"])


class NeighbourScorer(Scorer):
    """A sparse item-to-item matrix, summed over the last ``window`` items, each step back weighted by ``decay``."""

    kind: ClassVar[str] = "neighbour"
    layers: int = 0

    def __init__(self, similarity: sparse.csr_array, window: int, decay: float) -> None:
        self.similarity, self.window, self.decay = similarity, window, decay  # (I + 1, I + 1)

    @property
    def num_rows(self) -> int:
        return int(self.similarity.shape[0])

    def history_weights(self, histories: Ragged) -> sparse.csr_array:
        """``(n, I + 1)`` what each item of the last ``window`` of a history counts."""
        return self._history_weights(histories, self.num_rows)

    def _history_weights(self, histories: Ragged, rows: int) -> sparse.csr_array:
        """``(n, rows)``; items of higher rows count nothing."""
        recent = histories.last(self.window)
        back = recent.lengths[recent.row_of_value] - 1 - recent.position_of_value
        known = recent.values < rows
        weights = self.decay ** back.astype(np.float32)
        return sparse.csr_array(
            (weights[known], (recent.row_of_value[known], recent.values[known])), shape=(len(recent), rows)
        )

    def prepare(self, histories: Ragged) -> ScoreFn:
        return sparse_columns(self.history_weights(histories) @ self.similarity)

    def approximate(self, histories: Ragged) -> Approximation | None:
        """Exact already: scores cost little as they are."""
        return _right(self.prepare(histories))

    def add_items(self, h: Tensor, texts: Sequence[str] = ()) -> "NeighbourScorer":
        """A new item has no neighbours."""
        size = self.similarity.shape[0] + h.shape[1]
        offsets = np.pad(self.similarity.indptr, (0, h.shape[1]), mode="edge")
        wider = sparse.csr_array((self.similarity.data, self.similarity.indices, offsets), shape=(size, size))
        return type(self)(wider, self.window, self.decay)

    def with_history_items(self, h: Tensor, texts: Sequence[str] = ()) -> "NeighbourScorer":
        return self

    def select_items(self, rows: Tensor) -> "NeighbourScorer":
        chosen = rows.numpy()
        return type(self)(sparse.csr_array(self.similarity[chosen][:, chosen]), self.window, self.decay)

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        matrix = self.similarity
        tensors = {
            "values": torch.from_numpy(matrix.data.astype(np.float32, copy=False)),
            "columns": torch.from_numpy(matrix.indices.astype(np.int32, copy=False)),
            "offsets": torch.from_numpy(matrix.indptr.astype(np.int64, copy=False)),
        }
        return {"window": self.window, "decay": self.decay}, tensors

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "NeighbourScorer":
        """The inverse of :meth:`state`."""
        size = len(tensors["offsets"]) - 1
        parts = (tensors["values"].numpy(), tensors["columns"].numpy(), tensors["offsets"].numpy())
        return cls(sparse.csr_array(parts, shape=(size, size)), config["window"], config["decay"])


class RepeatConsumptionScorer(Scorer):
    """Repeat consumption: 1 for the latest ``max_history`` items of a history, 0 for all others.

    In an :class:`Ensemble` its weight says whether people consume things again.
    """

    kind: ClassVar[str] = "repeat-consumption"
    layers: int = 0

    def __init__(self, rows: int, max_history: int) -> None:
        self._rows, self.max_history = rows, max_history

    @property
    def num_rows(self) -> int:
        return self._rows

    def prepare(self, histories: Ragged) -> ScoreFn:
        recent = histories.last(self.max_history)
        known = recent.values < self._rows
        ones = np.ones(int(known.sum()), dtype=np.float32)
        cells = recent.row_of_value[known], recent.values[known]
        counts = sparse.csr_array((ones, cells), shape=(len(recent), self._rows))
        counts.sum_duplicates()
        counts.data[:] = 1
        return sparse_columns(counts)

    def approximate(self, histories: Ragged) -> Approximation | None:
        """Exact already: scores cost little as they are."""
        return _right(self.prepare(histories))

    def add_items(self, h: Tensor, texts: Sequence[str] = ()) -> "RepeatConsumptionScorer":
        return RepeatConsumptionScorer(self._rows + h.shape[1], self.max_history)

    def with_history_items(self, h: Tensor, texts: Sequence[str] = ()) -> "RepeatConsumptionScorer":
        return self

    def select_items(self, rows: Tensor) -> "RepeatConsumptionScorer":
        return RepeatConsumptionScorer(len(rows), self.max_history)

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        return {"rows": self._rows, "max_history": self.max_history}, {}

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "RepeatConsumptionScorer":
        """The inverse of :meth:`state`."""
        return cls(int(config["rows"]), int(config["max_history"]))


def sparse_columns(scores: sparse.csr_array) -> ScoreFn:
    """Of sparse ``scores (n, I + 1)``."""
    by_column: list[Any] = []  # made once somebody asks for less than all: a tile is then one stretch of it

    def read(items: slice | Tensor) -> Tensor:
        if isinstance(items, slice) and items == slice(0, scores.shape[1]):
            columns: Any = scores
        else:
            if not by_column:
                by_column.append(scores.tocsc())
            columns = by_column[0][:, items if isinstance(items, slice) else items.numpy()]
        return torch.from_numpy(columns.toarray(order="C").astype(np.float32, copy=False))

    return read


def _right(read: ScoreFn) -> Approximation:
    """Of scores that cost little as they are."""

    def rough(items: slice) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
        scores = read(items)
        return scores, lambda owner, columns: scores[owner, columns]

    return Approximation(rough, 0.0)
