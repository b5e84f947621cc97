"""Linear weights between items that were learned."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, cast

import scipy.sparse as sparse
from torch import Tensor

from ssna.core.ragged import Ragged
from ssna.scoring.counts import NeighbourScorer, sparse_columns
from ssna.scoring.naming import below, under
from ssna.scoring.scorer import Config, ScoreFn
from ssna.scoring.text_weights import TextWeights


class LinearScorer(NeighbourScorer):
    """A sparse matrix of weights between items, some of them below zero, summed as :class:`NeighbourScorer` does.

    Args:
        text_weights: how items are admitted by their texts; None: a new item has no weights.
        from_history: ``(k, I + 1)`` weights from ``k`` items that only histories have; see
            :meth:`Scorer.with_history_items`.
    """

    kind: ClassVar[str] = "linear"

    def __init__(
        self,
        similarity: sparse.csr_array,
        window: int,
        decay: float,
        text_weights: TextWeights | None = None,
        from_history: sparse.csr_array | None = None,
    ) -> None:
        super().__init__(similarity, window, decay)
        self.text_weights, self.from_history = text_weights, from_history
        self.layers = 0 if text_weights is None else int(text_weights.whitening.config["layers"])

    def add_items(self, h: Tensor, texts: Sequence[str] = ()) -> "LinearScorer":
        if (weights := self.text_weights) is None:
            return cast(LinearScorer, super().add_items(h, texts))
        weights, similarity = weights.admit(self.similarity, weights.read(h, texts))
        return LinearScorer(similarity, self.window, self.decay, weights)

    def prepare(self, histories: Ragged) -> ScoreFn:
        if self.from_history is None:
            return super().prepare(histories)
        rows = self.num_rows
        weights = self._history_weights(histories, rows + self.from_history.shape[0])
        return sparse_columns(weights[:, :rows] @ self.similarity + weights[:, rows:] @ self.from_history)

    def with_history_items(self, h: Tensor, texts: Sequence[str] = ()) -> "LinearScorer":
        if (weights := self.text_weights) is None:
            return self
        from_history = weights.weights_from(self.similarity, weights.read(h, texts))
        return LinearScorer(self.similarity, self.window, self.decay, weights, from_history)

    def as_new(self, h: Tensor, texts: Sequence[str] = ()) -> Callable[[Ragged], ScoreFn]:
        """See :meth:`TextWeights.as_new`."""
        if (weights := self.text_weights) is None:
            return super().as_new(h, texts)
        similarity = weights.as_new(self.similarity, weights.read(h, texts))
        return NeighbourScorer(similarity, self.window, self.decay).prepare

    def select_items(self, rows: Tensor) -> "LinearScorer":
        chosen = rows.numpy()
        kept = sparse.csr_array(self.similarity[chosen][:, chosen])
        text_weights = None if self.text_weights is None else self.text_weights.select(rows, self.similarity)
        return LinearScorer(kept, self.window, self.decay, text_weights)

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        config, tensors = super().state()
        if self.text_weights is None:
            return config, tensors
        config["text_weights"], of_texts = self.text_weights.state()
        return config, tensors | under("text_weights.", of_texts)

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "LinearScorer":
        """The inverse of :meth:`state`."""
        plain = super().from_state(config, tensors)
        described, of_texts = config.get("text_weights"), below("text_weights.", tensors)
        text_weights = None if described is None else TextWeights.from_state(described, of_texts)
        return cls(plain.similarity, plain.window, plain.decay, text_weights)
