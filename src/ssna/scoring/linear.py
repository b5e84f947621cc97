"""Linear weights between items that were learned, and how they admit an item that has a text and no events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from ssna.core.ragged import Ragged
from ssna.nn.whitening import Whitening
from ssna.scoring.admission import vectors_of_new
from ssna.scoring.counts import NeighbourScorer
from ssna.scoring.naming import below, under
from ssna.scoring.scorer import Config, ScoreFn

TOP_K = 200  # weights kept from a new item to old ones


@dataclass(frozen=True, eq=False)
class TextWeights:
    """What a regression that was fitted to texts as well says of an item without events, in closed form.

    With ``P = (x^T x + t V V^T + lambda)^-1``, a new item of text ``v`` has the covariances ``g = t V v`` with the
    items that have weights. The weights to it are ``b = P g``, the product of ``factor = P t V`` and ``v``. With
    ``s = t + lambda - g^T P g`` the block inverse gives the weights from it: ``b_j / s`` over ``P_jj + b_j^2 / s``. Old
    items keep their weights among themselves.

    Attributes:
        whitening: states ``(a, n, d)`` -> ``(n, D)`` unit vectors.
        rows: ``(n,)`` the items that have weights or were admitted, ascending; these come last.
        factor: ``(n, D)``, theirs.
        diagonal: ``(n,)`` ``P_jj``, zero for admitted items.
        gram: ``(D, D)``, ``t V^T P t V``.
        text: ``t``. ridge: ``lambda``.
        vectors: ``(m, D)`` of the items that were admitted: the last rows of the catalogue.
    """

    whitening: Whitening
    rows: Tensor
    factor: Tensor
    diagonal: Tensor
    gram: Tensor
    text: float
    ridge: float
    vectors: Tensor

    def admit(self, v: Tensor, num_rows: int) -> tuple["TextWeights", sparse.csr_array]:
        """With ``k`` more items, vectors ``v (k, D)``, behind ``num_rows`` rows; and the weights ``(k, num_rows)`` from
        these to the items so far."""
        b = v @ self.factor.T  # (k, n)
        s = self.text + self.ridge - torch.einsum("kd,de,ke->k", v, self.gram, v)  # (k,)
        weights = torch.where(self.diagonal > 0, (b / s[:, None]) / (self.diagonal + b**2 / s[:, None]), 0.0)
        most = min(TOP_K, weights.shape[1])
        columns = weights.abs().topk(most, dim=1).indices.sort(dim=1).values
        offsets = np.arange(0, len(v) * most + 1, most)
        values = weights.gather(1, columns).flatten().numpy(), self.rows[columns].flatten().numpy()
        to_old = sparse.csr_array((*values, offsets), shape=(len(v), num_rows))
        factor = (self.text * v - v @ self.gram) / s[:, None]  # their own rows: towards other new items
        wider = replace(
            self,
            rows=torch.cat([self.rows, torch.arange(num_rows, num_rows + len(v))]),
            factor=torch.cat([self.factor, factor]),
            diagonal=torch.cat([self.diagonal, self.diagonal.new_zeros(len(v))]),
            vectors=torch.cat([self.vectors, v]),
        )
        return wider, to_old

    def select(self, rows: Tensor, num_rows: int) -> "TextWeights":
        """Of the item rows ``(k,)``, ascending, out of ``num_rows``."""
        first = num_rows - len(self.vectors)
        place = torch.full((num_rows,), -1).index_copy_(0, rows, torch.arange(len(rows)))[self.rows]
        kept = place >= 0
        return replace(
            self,
            rows=place[kept],
            factor=self.factor[kept],
            diagonal=self.diagonal[kept],
            vectors=self.vectors[rows[rows >= first] - first],
        )

    def users(self, weights: sparse.csr_array) -> Tensor:
        """``weights (n, I + 1)`` of the items of histories -> ``(n, D)``, whose product with a text is its score."""
        return torch.from_numpy(weights[:, self.rows.numpy()] @ self.factor.numpy())

    def scores(self, weights: sparse.csr_array) -> Tensor:
        """``weights (n, I + 1)`` of the items of histories -> ``(n, m)`` scores of the admitted items.

        Equal texts score equally: each distinct vector is scored once.
        """
        distinct, index = self.vectors.unique(dim=0, return_inverse=True)
        added = len(self.vectors)
        itself = (self.factor[-added:] * self.vectors).sum(dim=1)  # an item has no weight to itself
        scores: Tensor = (self.users(weights) @ distinct.T)[:, index]
        return scores - torch.from_numpy(weights[:, -added:].toarray()) * itself


class LinearScorer(NeighbourScorer):
    """A sparse matrix of weights between items, some of them below zero, summed as :class:`NeighbourScorer` does.

    Args:
        text_weights: how items are admitted by their texts; None: a new item has no weights.
    """

    kind: ClassVar[str] = "linear"

    def __init__(
        self, similarity: sparse.csr_array, window: int, decay: float, text_weights: TextWeights | None = None
    ) -> None:
        super().__init__(similarity, window, decay)
        self.text_weights = text_weights
        self.layers = 0 if text_weights is None else int(text_weights.whitening.config["layers"])

    def prepare(self, histories: Ragged) -> ScoreFn:
        score = super().prepare(histories)
        if self.text_weights is None or not len(self.text_weights.vectors):
            return score
        of_new = self.text_weights.scores(self.history_weights(histories))
        first = self.num_rows - of_new.shape[1]

        def with_new(items: slice | Tensor) -> Tensor:
            scores = score(items)
            rows = torch.arange(self.num_rows)[items] if isinstance(items, slice) else items
            new = (rows >= first).nonzero()[:, 0]
            scores[:, new] = of_new[:, rows[new] - first]
            return scores

        return with_new

    def add_items(self, h: Tensor, texts: Sequence[str] = ()) -> "LinearScorer":
        if self.text_weights is None:
            return cast(LinearScorer, super().add_items(h, texts))
        wider, to_old = self.text_weights.admit(vectors_of_new(self.text_weights.whitening, h), self.num_rows)
        size = self.num_rows + h.shape[1]
        rows = sparse.vstack([self.similarity, to_old], format="csr")
        similarity = sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=(size, size))
        return LinearScorer(similarity, self.window, self.decay, wider)

    def as_new(self, h: Tensor, texts: Sequence[str] = ()) -> Callable[[Ragged], ScoreFn]:
        """Exact: without item ``i``, ``P`` is less by a matrix of rank one. The weight from ``j`` to ``i`` as a new
        item is then ``(A v_i)_j + B_ji (A v_i)_i``, ``A`` being the factor and ``B`` the weights as they are."""
        if (text := self.text_weights) is None:
            return super().as_new(h, texts)
        v = vectors_of_new(text.whitening, h)
        itself = torch.zeros(self.num_rows).index_copy_(0, text.rows, (text.factor * v[text.rows]).sum(dim=1))

        def prepare(histories: Ragged) -> ScoreFn:
            weights, score = self.history_weights(histories), self.prepare(histories)
            users = text.users(weights)
            return lambda items: score(items).mul_(itself[items]).add_(users @ v[items].T)

        return prepare

    def select_items(self, rows: Tensor) -> "LinearScorer":
        chosen = rows.numpy()
        kept = sparse.csr_array(self.similarity[chosen][:, chosen])
        text_weights = None if self.text_weights is None else self.text_weights.select(rows, self.num_rows)
        return LinearScorer(kept, self.window, self.decay, text_weights)

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        config, tensors = super().state()
        if (text := self.text_weights) is None:
            return config, tensors
        config["text_weights"] = {"text": text.text, "ridge": text.ridge, "whitening": text.whitening.config}
        parts = {name: getattr(text, name) for name in ("rows", "factor", "diagonal", "gram", "vectors")}
        return config, tensors | under("text_weights.", parts) | under("whitening.", text.whitening.state_dict())

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "LinearScorer":
        """The inverse of :meth:`state`."""
        plain = super().from_state(config, tensors)
        text_weights = None
        if (described := config.get("text_weights")) is not None:
            whitening = Whitening(**described["whitening"])
            whitening.load_state_dict(below("whitening.", tensors))
            parts: dict[str, Any] = below("text_weights.", tensors)
            text_weights = TextWeights(whitening, text=described["text"], ridge=described["ridge"], **parts)
        return cls(plain.similarity, plain.window, plain.decay, text_weights)
