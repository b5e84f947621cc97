"""EASE and CEASE: linear weights between items, in closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019; Jeunen et al., "Closed-Form Models for
Collaborative Filtering with Side-Information", RecSys 2020.
"""

import itertools
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import scipy.sparse as sparse
import torch
from pydantic import Field
from torch import Tensor

from ssna.core.errors import SettingsError
from ssna.core.ragged import Ints, Ragged
from ssna.data.dataset import Dataset
from ssna.methods.base import MethodSettings
from ssna.nn.whitening import Whitening
from ssna.nn.words import Vocabulary, without_words
from ssna.scoring import LinearScorer, Scorer, Texts, TextWeights, covariances
from ssna.text import LayerCache

FOLD = 4_000_000  # pairs held at once
ROWS = 1024  # whose largest weights are looked for at once


class LinearSettings(MethodSettings):
    """What both methods have."""

    ridge: float = Field(150.0, ge=1)
    """``lambda``: what a squared weight costs, where an error of prediction costs its square."""
    window: int = Field(50, ge=1)
    """Latest items of a history that count."""
    decay: float = Field(0.8, gt=0, le=1)
    """Weight of an item, once for each step back in time."""
    max_items: int = Field(20_000, ge=2)
    """The most frequent items alone have weights: time grows with the cube of their number, memory with the square."""
    top_k: int = Field(200, ge=1)
    """Kept of each item, the largest in size."""


class EaseSettings(LinearSettings):
    """Every item as a linear sum of the others of its user, by ridge regression."""

    name: Literal["ease"] = "ease"


class CeaseSettings(LinearSettings):
    """The same, and of items with texts like its own."""

    name: Literal["cease"] = "cease"
    text: float = Field(10.0, gt=0)
    """How much it counts that texts are alike: an item's text weighs as much as so many users who have the item."""


class CeaseWordsSettings(LinearSettings):
    """As ``cease``, of items with words like its own as well; and texts count the less, the more events an item has."""

    name: Literal["cease-words"] = "cease-words"
    text: float = Field(10.0, gt=0)
    """As of ``cease``."""
    words: float = Field(30.0, gt=0)
    """As ``text``, of the words that texts share, by TF-IDF."""
    text_events: float = Field(5.0, gt=0)
    """An item of so many training events has texts that count half as much as those of an item without any."""


def fit_ease(settings: EaseSettings, data: Dataset, cache: LayerCache | None, dim: int) -> Scorer:
    """The regression over the training events, each user a row and each item 1 where the user has it."""
    return Regression.of(settings, data, None, dim).scorer()


def fit_cease(settings: CeaseSettings, data: Dataset, cache: LayerCache | None, dim: int) -> Scorer:
    """As :func:`fit_ease`, with rows for what texts say: one for each of the ``dim`` directions of the top layer's
    whitened vectors of length 1 (Jeunen et al.)."""
    return Regression.of(settings, data, cache, dim).scorer()


def fit_cease_member(settings: CeaseSettings, data: Dataset, cache: LayerCache | None, dim: int) -> Scorer:
    """As :func:`fit_cease`, and it admits new items by their texts in closed form."""
    return Regression.of(settings, data, cache, dim).scorer(admits=True)


def fit_cease_words(settings: CeaseWordsSettings, data: Dataset, cache: LayerCache | None, dim: int) -> Scorer:
    """As :func:`fit_cease_member`, of words as well."""
    return Regression.of(settings, data, cache, dim).scorer(admits=True)


@dataclass(frozen=True, eq=False)
class Regression:
    """What linear weights are fitted to.

    Attributes:
        chosen: ``(n,)`` the items that have weights, ascending.
        gram: ``(n, n)``.
        items: how many the catalogue has.
        whitening: of CEASE, states to unit vectors; else None.
        vocabulary: of its words.
        texts: ``n``, those of ``chosen``; else None.
        factors: ``(n,)`` how much these count.
    """

    settings: LinearSettings
    chosen: Ints
    gram: Tensor
    items: int
    whitening: Whitening | None = None
    vocabulary: Vocabulary = field(default_factory=lambda: Vocabulary((), torch.zeros(0)))
    texts: Texts | None = None
    factors: Tensor | None = None

    @classmethod
    def of(cls, settings: LinearSettings, data: Dataset, cache: LayerCache | None, dim: int) -> "Regression":
        """From the training events of ``data``, and for CEASE the top layer of ``cache``."""
        chosen = most_frequent(data.train, len(data.items), settings.max_items)
        gram = pairs(user_item_matrix(data.train, len(data.items))[:, chosen])
        if not isinstance(settings, CeaseSettings | CeaseWordsSettings):
            return cls(settings, chosen, gram, len(data.items))
        assert cache is not None, "the run checks that a method that needs text gets a cache"
        h = torch.from_numpy(cache.top(cache.reach(1)))
        whitening = Whitening.fit(h[:, 1:], dim)
        vectors = whitening(h[:, torch.from_numpy(chosen)])
        texts = Texts(vectors, without_words(len(chosen)))
        fitted = cls(settings, chosen, gram, len(data.items), whitening, texts=texts, factors=torch.ones(len(chosen)))
        if not isinstance(settings, CeaseWordsSettings):
            gram.addmm_(vectors, vectors.T, alpha=settings.text)
            return fitted
        vocabulary = Vocabulary.fit(data.texts[1:])
        events = torch.from_numpy(np.bincount(data.train.values, minlength=len(data.items) + 1)[chosen])
        factors = (1 + events / settings.text_events).rsqrt().float()
        texts = replace(texts, bags=vocabulary.vectors([data.texts[item] for item in chosen.tolist()]))
        for start in range(0, len(chosen), ROWS):
            part = slice(start, start + ROWS)
            few = texts.take(np.arange(len(chosen))[part])
            gram[part] += covariances(few, texts, settings.text, settings.words) * factors[part, None] * factors
        return replace(fitted, vocabulary=vocabulary, texts=texts, factors=factors)

    def inverse(self) -> Tensor:
        """``P (n, n)``, in the place of ``gram``."""
        return inverse_of(self.gram, self.settings.ridge)

    def scorer(self, inverse: Tensor | None = None, admits: bool = False) -> Scorer:
        """The largest weights of each item.

        Args:
            inverse: ``P`` if it is known.
            admits: whether new items are admitted by their texts, where there are any.
        """
        inverse = self.inverse() if inverse is None else inverse
        text_weights = self._text_weights(inverse) if admits else None
        kept = largest_weights(inverse, self.settings.top_k).tocoo()
        places = (self.chosen[kept.coords[0]], self.chosen[kept.coords[1]])
        shape = (self.items + 1, self.items + 1)
        similarity = sparse.csr_array(sparse.coo_array((kept.data, places), shape=shape))
        return LinearScorer(similarity, self.settings.window, self.settings.decay, text_weights)

    def _text_weights(self, inverse: Tensor) -> TextWeights | None:
        if self.whitening is None or self.texts is None or self.factors is None:
            return None
        assert isinstance(self.settings, CeaseSettings | CeaseWordsSettings), "what has texts"
        words = self.settings.words if isinstance(self.settings, CeaseWordsSettings) else 0.0
        return TextWeights(
            self.whitening,
            self.vocabulary,
            self.chosen,
            self.factors,
            inverse.diagonal().clone(),
            self.texts,
            torch.zeros(0),
            self.settings.text,
            words,
            self.settings.ridge,
        )


def most_frequent(train: Ragged, items: int, most: int) -> Ints:
    """At most ``most`` item rows with a training event, ascending; among equally frequent ones the first rows."""
    counts = np.bincount(train.values, minlength=items + 1)
    order = np.argsort(-counts, kind="stable")
    chosen: Ints = np.sort(order[: min(most, int((counts > 0).sum()))])
    return chosen


def user_item_matrix(train: Ragged, items: int) -> sparse.csr_array:
    """``(users, items + 1)``, 1 where a user has an item."""
    places = (train.row_of_value, train.values)
    counts = sparse.csr_array((np.ones(len(train.values), np.float32), places), shape=(len(train), items + 1))
    counts.sum_duplicates()
    counts.data[:] = 1
    return counts


def inverse_of(gram: Tensor, ridge: float) -> Tensor:
    """``P = (x^T x + lambda)^-1``, ``(n, n)``, in the place of ``gram``."""
    gram.diagonal().add_(ridge)
    columns, wrong = gram.mT, torch.zeros((), dtype=torch.int32)  # LAPACK's order: else it works on a copy
    torch.linalg.cholesky_ex(columns, out=(columns, wrong))
    if wrong:
        raise SettingsError(f"ridge = {ridge:g} is too little for these data in single precision; raise it")
    torch.cholesky_inverse(columns, out=columns)
    return gram


def pairs(x: sparse.csr_array) -> Tensor:
    """``x^T x`` of ``x (users, n)`` of zeros and ones, dense, some users at a time, or of one user some rows."""
    gram = np.zeros((x.shape[1], x.shape[1]), dtype=np.float32)
    made = np.diff(x.indptr).astype(np.int64) ** 2
    for user in np.flatnonzero(made > FOLD).tolist():
        items = x.indices[x.indptr[user] : x.indptr[user + 1]]
        for rows in np.array_split(items, -(-int(made[user]) // FOLD)):
            gram[np.ix_(rows, items)] += 1
    x, made = x[made <= FOLD], np.cumsum(made[made <= FOLD])
    if not len(made):
        return torch.from_numpy(gram)
    bounds = np.unique(np.searchsorted(made, np.arange(0, int(made[-1]) + FOLD, FOLD), side="left"))
    for first, last in itertools.pairwise([0, *bounds.tolist(), len(made)]):
        together = (x[first:last].T @ x[first:last]).tocoo()
        gram[together.coords] += together.data
    return torch.from_numpy(gram)


def largest_weights(inverse: Tensor, most: int) -> sparse.csr_array:
    """``argmin |x - x B|^2 + ridge |B|^2`` with ``diag(B) = 0`` (Steck, Eq. 8), ``(n, n)``: row to column. Of each row
    at most ``most`` are kept, the largest in size.

    Args:
        inverse: ``P (n, n)`` of :func:`inverse_of`.
    """
    n, scale, found = len(inverse), -1 / inverse.diagonal(), []
    most = min(most, n)
    for start in range(0, n, ROWS):
        weights = inverse[start : start + ROWS] * scale  # B_ij = -P_ij / P_jj
        weights.diagonal(start).zero_()
        columns = weights.abs().topk(most, dim=1).indices.sort(dim=1).values
        found.append((columns, weights.gather(1, columns)))
    indices, values = (torch.cat(parts).flatten().numpy() for parts in zip(*found, strict=True))
    return sparse.csr_array((values, indices, np.arange(0, n * most + 1, most)), shape=(n, n))
