"""The words of texts, and pairs of neighbouring words, weighted by TF-IDF."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

MAX_WORDS = 200_000  # words and pairs: the most frequent of a catalogue


class Vocabulary:
    """The words of a catalogue, and how rare each is.

    Texts become vectors of unit length: ``1 + log`` of how often a text has a word, times ``idf``. Words are runs of
    letters and digits of any script, in lower case.

    Args:
        words: words, and pairs with a space between.
        idf: ``(W,)`` of each of them.
    """

    def __init__(self, words: Sequence[str], idf: Tensor) -> None:
        self.words, self.idf = tuple(words), idf.double()

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def fit(cls, texts: Sequence[str]) -> "Vocabulary":
        """Over the texts of a catalogue; they may be empty."""
        try:
            fitted = _vectorizer(max_features=MAX_WORDS).fit(texts)
        except ValueError:  # scikit-learn's where no text has a word
            return cls((), torch.zeros(0))
        return cls(fitted.get_feature_names_out().tolist(), torch.from_numpy(fitted.idf_))

    def vectors(self, texts: Sequence[str]) -> sparse.csr_array:
        """``(n, W)`` fp32 of ``n`` texts: rows of unit length, or zero where no word is known."""
        if not self.words:
            return without_words(len(texts))
        return sparse.csr_array(self._fitted.transform(texts)).astype(np.float32)

    @cached_property
    def _fitted(self) -> Any:
        vectorizer = _vectorizer(vocabulary=list(self.words))
        vectorizer.idf_ = self.idf.numpy()
        return vectorizer

    def tensors(self) -> dict[str, Tensor]:
        """What :meth:`from_tensors` takes."""
        letters = np.frombuffer("\n".join(self.words).encode(), dtype=np.uint8)
        return {"letters": torch.from_numpy(letters.copy()), "idf": self.idf}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Vocabulary":
        """The inverse of :meth:`tensors`. Raises :class:`ValueError` where they do not fit."""
        letters = tensors["letters"].numpy().tobytes().decode()
        words = letters.split("\n") if letters else []
        if len(words) != len(tensors["idf"]):
            raise ValueError(f"{len(words)} words have {len(tensors['idf'])} weights")
        return cls(words, tensors["idf"])


def without_words(texts: int) -> sparse.csr_array:
    """Vectors ``(n, 0)`` of ``n`` texts, of a vocabulary without words."""
    nothing = np.zeros(0, dtype=np.float32), (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    return sparse.csr_array(nothing, shape=(texts, 0))


def _vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer  # takes a while to import

    return TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), sublinear_tf=True, **options)
