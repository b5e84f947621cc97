"""A vector for every word, and every pair of neighbouring words, that item texts share, weighted by TF-IDF."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_WORDS = 50_000  # words and pairs, the most frequent in the catalogue
MIN_TEXTS = 2  # one that fewer texts have would be an item's own vector once more
MOST = 64  # of a text, those that weigh most


class WordEmbedding(nn.Module):
    """As item features have vectors in factorization machines (Kula, "Metadata Embeddings for User and Item Cold-start
    Recommendations", 2015); a text is its words. Another text with the same words has the same vector.

    The weights of a text's words are TF-IDF with ``1 + log tf``, and have unit length.

    Args:
        vocabulary: words, and pairs with a space between.
        idf: ``(W,)`` of each of them.
        dim: ``D``.
        dropout: share of a text's words that a step of training does without.
    """

    idf: Tensor
    letters: Tensor

    def __init__(self, vocabulary: Sequence[str], idf: Tensor, dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.vocabulary, self.dropout = tuple(vocabulary), dropout
        self.weight = nn.Parameter(torch.zeros(len(self.vocabulary) + 1, dim))  # row 0: no word
        self.register_buffer("idf", idf.float())
        spelled = np.frombuffer("\n".join(self.vocabulary).encode(), dtype=np.uint8)
        self.register_buffer("letters", torch.from_numpy(spelled.copy()))  # the vocabulary, kept with the weights

    @classmethod
    def fit(cls, texts: Sequence[str], dim: int, dropout: float = 0.0) -> "WordEmbedding | None":
        """Over the texts of a catalogue; None where no two of them share a word."""
        try:
            fitted = _vectorizer(min_df=MIN_TEXTS, max_features=MAX_WORDS).fit(texts)
        except ValueError:  # scikit-learn's for an empty vocabulary
            return None
        return cls(fitted.get_feature_names_out().tolist(), torch.from_numpy(fitted.idf_), dim, dropout)

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "WordEmbedding":
        """The inverse of :meth:`state_dict`. Raises :class:`ValueError` or :class:`KeyError` where it is damaged."""
        words = words_of(tensors["letters"])
        if len(tensors["idf"]) != len(words) or len(tensors["weight"]) != len(words) + 1:
            raise ValueError("the words do not fit their vectors")
        found = cls(words, tensors["idf"], tensors["weight"].shape[1])
        found.load_state_dict(tensors)
        return found

    def adopt(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state of this one, with the vectors that ``tensors``, the state of another one, have for the same words.

        A word that the other one does not have begins as it does here. ``tensors`` may be empty.
        """
        state = {name: tensor.clone() for name, tensor in self.state_dict().items()}
        theirs = {word: row for row, word in enumerate(words_of(tensors["letters"]), 1)} if tensors else {}
        rows = torch.tensor([theirs.get(word, 0) for word in self.vocabulary], dtype=torch.int64)
        known = rows > 0
        if known.any():
            state["weight"][1:][known] = tensors["weight"][rows[known]].to(state["weight"].device)
        return state

    def look_up(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Rows ``(n, L)`` of the words of ``n`` texts, 0 for none, and their weights; ``L`` is at most ``MOST``."""
        found = self._vectorizer.transform(texts).tocsr()
        length = min(int(np.diff(found.indptr).max(initial=1)), MOST)
        rows, weights = np.zeros((len(texts), length), np.int32), np.zeros((len(texts), length), np.float32)
        for text, (first, last) in enumerate(zip(found.indptr[:-1], found.indptr[1:], strict=True)):
            values, words = found.data[first:last], found.indices[first:last] + 1
            kept = np.argsort(-values, kind="stable")[:length]
            rows[text, : len(kept)], weights[text, : len(kept)] = words[kept], values[kept]
        return torch.from_numpy(rows), torch.from_numpy(weights)

    @cached_property
    def _vectorizer(self) -> Any:
        vectorizer = _vectorizer(vocabulary=list(self.vocabulary))
        vectorizer.idf_ = self.idf.cpu().double().numpy()
        return vectorizer

    def forward(self, rows: Tensor, weights: Tensor) -> Tensor:
        """``rows (n, L)`` and ``weights (n, L)`` of :meth:`look_up` -> ``(n, D)``."""
        if self.training and self.dropout:
            kept = torch.rand_like(weights) >= self.dropout
            weights = weights * kept / (1 - self.dropout)
        return _bag(rows, self.weight, weights)

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """``n`` texts -> ``(n, D)``."""
        rows, weights = self.look_up(texts)
        return _bag(rows.to(self.weight.device), self.weight, weights.to(self.weight.device))


def _bag(rows: Tensor, weight: Tensor, weights: Tensor) -> Tensor:
    return F.embedding_bag(rows, weight, mode="sum", per_sample_weights=weights)


def words_of(letters: Tensor) -> list[str]:
    """The vocabulary that ``letters (bytes,)`` spell."""
    return letters.cpu().numpy().tobytes().decode().split("\n") if len(letters) else []


def _vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer  # takes a while to import

    return TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), sublinear_tf=True, **options)
