"""How linear weights that were learned admit an item that has a text and no events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ints
from ssna.nn.whitening import Whitening
from ssna.nn.words import Vocabulary, without_words
from ssna.scoring.admission import vectors_of_new
from ssna.scoring.naming import below, under
from ssna.scoring.scorer import Config

FROM_NEW, TO_NEW = 200, 500  # weights that are kept from a new item to others, and to it
AT_ONCE = 1024  # new items
WORDS_AT_ONCE = 64  # and of what words say: these are many


@dataclass(frozen=True, eq=False)
class Texts:
    """What is known of ``n`` texts: ``vectors (n, D)`` of the language model, and ``bags (n, W)`` of words."""

    vectors: Tensor
    bags: sparse.csr_array

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: Ints) -> "Texts":
        """Of ``rows (k,)``."""
        return Texts(self.vectors[torch.from_numpy(rows)], self.bags[rows])

    def append(self, others: "Texts") -> "Texts":
        """And others, put last."""
        bags = sparse.vstack([self.bags, others.bags], format="csr")
        return Texts(torch.cat([self.vectors, others.vectors]), sparse.csr_array(bags))

    def distinct(self) -> tuple[Ints, Ints]:
        """Rows of the distinct ones, and which of these each is. Equal texts score equally so."""
        of_words = np.split(np.arange(len(self.bags.indices)), self.bags.indptr[1:-1])
        keys = [
            (vector.tobytes(), self.bags.indices[words].tobytes(), self.bags.data[words].tobytes())
            for vector, words in zip(self.vectors.numpy(), of_words, strict=True)
        ]
        first: dict[tuple[bytes, ...], int] = {}
        index = np.array([first.setdefault(key, len(first)) for key in keys], dtype=np.int64)
        return np.unique(index, return_index=True)[1], index


@dataclass(frozen=True, eq=False)
class TextWeights:
    """What a regression that was fitted to texts as well says of an item without events, in closed form.

    ``K`` is the covariance of items by their texts: ``K_ij = t V_i V_j + w L_i L_j``, ``V`` of the language model and
    ``L`` of words. With ``P = (x^T x + f K f + lambda)^-1``, a new item has the covariances ``g = f K_new`` with the
    items that have weights, and the weights to it are ``b = P g``. With ``s = K_new,new + lambda - g^T b`` the block
    inverse gives the weights from it: ``b_j / s`` over ``P_jj + b_j^2 / s``. Old items keep their weights among
    themselves. Of ``P`` the largest entries are known, from the weights that are kept: ``P_ji = -B_ji P_ii``.

    Attributes:
        whitening: states ``(a, n, d)`` -> ``(n, D)`` unit vectors.
        vocabulary: of the words.
        rows: ``(n + m,)`` the items that have weights, ascending, then the ``m`` that were admitted, the last ones of
            the catalogue; -1 for one that has left it since.
        factors: ``(n,)`` ``f``: how much the text of an item that has events counts.
        diagonal: ``(n,)`` ``P_jj``.
        texts: ``n + m``, those of ``rows``.
        spread: ``(m,)`` ``s`` of the admitted ones.
        among: ``(n, n)`` ``B``, where items have left the catalogue; else None: they are the catalogue's.
        text, words: ``t``, ``w``. ridge: ``lambda``.
    """

    whitening: Whitening
    vocabulary: Vocabulary
    rows: Ints
    factors: Tensor
    diagonal: Tensor
    texts: Texts
    spread: Tensor
    text: float
    words: float
    ridge: float
    among: sparse.csr_array | None = None

    @property
    def known(self) -> int:
        """``n``."""
        return len(self.diagonal)

    def read(self, h: Tensor, texts: Sequence[str]) -> Texts:
        """Of items with states ``h (a, n, d)``. Raises :class:`ArtifactError` where texts are wanted and missing."""
        vectors = vectors_of_new(self.whitening, h)
        if not self.words:
            return Texts(vectors, without_words(len(vectors)))
        if len(texts) != len(vectors):
            raise ArtifactError(f"this model reads words: {len(vectors)} items need their texts, not {len(texts)}")
        return Texts(vectors, self.vocabulary.vectors(texts))

    def admit(self, similarity: sparse.csr_array, new: Texts) -> tuple["TextWeights", sparse.csr_array]:
        """With ``k`` more items, and the weights of the catalogue with them, ``(I + 1 + k, I + 1 + k)``."""
        size, wider, found, among = similarity.shape[0], self, _Entries(), self._among(similarity)
        for start in range(0, len(new), AT_ONCE):
            part = new.take(np.arange(start, min(start + AT_ONCE, len(new))))
            wider = wider._admit(among, part, size + start, found)
        size += len(new)
        offsets = np.pad(similarity.indptr, (0, len(new)), mode="edge")
        old = sparse.csr_array((similarity.data, similarity.indices, offsets), shape=(size, size))
        return wider, sparse.csr_array(old + found.matrix(size))  # which have no entry in common

    def _admit(self, among: sparse.csr_array, new: Texts, size: int, found: "_Entries") -> "TextWeights":
        """With the next ``k <= AT_ONCE``, of rows from ``size`` on; their weights go to ``found``."""
        first, index = new.distinct()
        b, spread, to_old, with_earlier, mutual = self._meet(among, new.take(first))
        mutual = torch.triu(mutual)
        mutual = mutual + mutual.triu(1).T
        if len(first) < len(new):
            inverse = torch.from_numpy(index)
            b, to_old, with_earlier = b[:, inverse], to_old[:, inverse], with_earlier[:, inverse]
            spread, mutual = spread[inverse], mutual[inverse][:, inverse]
        mutual.fill_diagonal_(0)  # an item has no weight to itself
        here, known, added = np.arange(size, size + len(new)), self.rows[: self.known], self.rows[self.known :]
        spread_, earlier_spread = spread.numpy(), self.spread.numpy()
        found.add(*_largest(b, TO_NEW), known, here)
        found.add(*_largest(to_old, FROM_NEW), known, here, turned=True)
        place, column, value = _largest(with_earlier, TO_NEW)
        found.add(place, column, value / earlier_spread[place], added, here)
        found.add(place, column, value / spread_[column], added, here, turned=True)
        place, column, value = _largest(mutual, TO_NEW)
        found.add(place, column, value / spread_[place], here, here)
        return replace(
            self,
            rows=np.concatenate([self.rows, here]),
            texts=self.texts.append(new),
            spread=torch.cat([self.spread, spread]),
        )

    def weights_from(self, similarity: sparse.csr_array, new: Texts) -> sparse.csr_array:
        """``(k, I + 1)`` weights from ``k <= AT_ONCE`` more items to those of the catalogue, which stays as it is."""
        _, spread, to_old, with_earlier, _ = self._meet(self._among(similarity), new)
        found, here = _Entries(), np.arange(len(new))
        found.add(*_largest(to_old, FROM_NEW), self.rows[: self.known], here, turned=True)
        place, column, value = _largest(with_earlier, TO_NEW)
        found.add(place, column, value / spread.numpy()[column], self.rows[self.known :], here, turned=True)
        return found.matrix(len(new), similarity.shape[0])

    def _meet(self, among: sparse.csr_array, new: Texts) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Of ``k <= AT_ONCE`` new items: ``b (n, k)``, ``s (k,)``, weights to old items ``(n, k)``, and ``K - g^T b``
        with the admitted ones, ``(m, k)``, and with each other, ``(k, k)``.

        ``g = f K`` of the others need not be known for that: it is ``t V (V^T - V_old^T f b)``, and so with words.
        """
        _, g, b = next(self._columns(among, new))
        spread = self.ridge + self._variances(new) - (g * b).sum(dim=0)
        to_old = (b / spread) / (self.diagonal[:, None] + b**2 / spread)
        old, scaled = self.texts.take(np.arange(self.known)), self.factors[:, None] * b
        others = self.texts.take(np.arange(self.known, len(self.texts))).append(new)
        beyond = self.text * others.vectors @ (new.vectors.T - old.vectors.T @ scaled)
        if self.words:
            said = np.unique(others.bags.indices)  # of the others' words alone anything comes
            of_new, of_old, of_others = (texts.bags[:, said] for texts in (new, old, others))
            for start in range(0, len(new), WORDS_AT_ONCE):
                part = slice(start, start + WORDS_AT_ONCE)
                rest = of_new[part].T.toarray() - of_old.T @ scaled[:, part].numpy()  # (W, c)
                beyond[:, part].add_(torch.from_numpy(of_others @ rest), alpha=self.words)
        admitted = len(others) - len(new)
        return b, spread, to_old, beyond[:admitted], beyond[admitted:]

    def as_new(self, similarity: sparse.csr_array, texts: Texts) -> sparse.csr_array:
        """``(I + 1, I + 1)`` weights to every item as if it were new, from the items that have weights.

        Exact, but for what is not kept of ``P``: without item ``i``, ``P`` is less by a matrix of rank one. The weight
        from ``j`` is then ``b_j + B_ji b_i``, ``b`` being as of a new item.
        """
        size, known = similarity.shape[0], self.rows[: self.known]
        place = np.full(size, -1)
        place[self._there] = np.flatnonzero(known >= 0)
        among = sparse.csc_array(self._among(similarity))
        found = _Entries()
        for part, _, b in self._columns(self._among(similarity), texts):
            here = place[part]
            met = np.flatnonzero(here >= 0)
            own = torch.from_numpy(here[met]), torch.from_numpy(met)
            b[:, own[1]] += torch.from_numpy(among[:, here[met]].toarray()) * b[own][None]
            b[own] = 0
            found.add(*_largest(b, TO_NEW), known, np.arange(part.start, part.stop))
        return found.matrix(size)

    def select(self, rows: Tensor, similarity: sparse.csr_array) -> "TextWeights":
        """Of the item rows ``(k,)`` alone, ascending. What those that leave had to say of new items stays."""
        place = np.full(similarity.shape[0] + 1, -1)  # the last one is that of -1
        place[rows.numpy()] = np.arange(len(rows))
        now = place[self.rows]
        kept = (now >= 0) | (np.arange(len(now)) < self.known)
        return replace(
            self,
            rows=now[kept],
            texts=self.texts.take(np.flatnonzero(kept)),
            spread=self.spread[torch.from_numpy(kept[self.known :])],
            among=self._among(similarity),
        )

    @property
    def _there(self) -> Ints:
        """The items of ``rows`` that have weights and are in the catalogue."""
        known = self.rows[: self.known]
        return known[known >= 0]

    def _among(self, similarity: sparse.csr_array) -> sparse.csr_array:
        """``B (n, n)``."""
        return similarity[self._there][:, self._there] if self.among is None else self.among

    def _covariances(self, first: Texts, second: Texts) -> Tensor:
        return covariances(first, second, self.text, self.words)

    def _variances(self, texts: Texts) -> Tensor:
        """``(n,)`` the diagonal of :func:`covariances` of ``texts`` with themselves."""
        of_words = torch.from_numpy(np.asarray(texts.bags.multiply(texts.bags).sum(axis=1), dtype=np.float32))
        return self.text * texts.vectors.square().sum(dim=1) + self.words * of_words

    def _columns(self, among: sparse.csr_array, new: Texts) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Some new items at a time: which, ``g (n, c)`` and ``b (n, c)``."""
        old = self.texts.take(np.arange(self.known))
        for start in range(0, len(new), AT_ONCE):
            part = slice(start, min(start + AT_ONCE, len(new)))
            g = self.factors[:, None] * self._covariances(old, new.take(np.arange(part.start, part.stop)))
            scaled = self.diagonal[:, None] * g
            yield part, g, scaled - torch.from_numpy(among @ scaled.numpy())

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        """What :meth:`from_state` rebuilds it from."""
        config = {"text": self.text, "words": self.words, "ridge": self.ridge, "whitening": self.whitening.config}
        parts = {name: getattr(self, name) for name in ("factors", "diagonal", "spread")}
        parts |= {"rows": torch.from_numpy(self.rows), "vectors": self.texts.vectors}
        bags = self.texts.bags
        for name in ("data", "indices", "indptr"):
            parts[f"bags.{name}"] = torch.from_numpy(getattr(bags, name).copy())
        if self.among is not None:
            for name in ("data", "indices", "indptr"):
                parts[f"among.{name}"] = torch.from_numpy(getattr(self.among, name).copy())
        parts |= under("vocabulary.", self.vocabulary.tensors())
        return config, parts | under("whitening.", self.whitening.state_dict())

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "TextWeights":
        """The inverse of :meth:`state`. Raises :class:`ValueError` where tensors do not fit."""
        whitening = Whitening(**config["whitening"])
        whitening.load_state_dict(below("whitening.", tensors))
        vocabulary, known = Vocabulary.from_tensors(below("vocabulary.", tensors)), len(tensors["diagonal"])
        matrix = _matrix(below("bags.", tensors), (len(tensors["rows"]), len(vocabulary)))
        among = _matrix(found, (known, known)) if (found := below("among.", tensors)) else None
        found = {name: tensors[name] for name in ("factors", "diagonal", "spread")}
        parts: dict[str, Any] = {**found, **{name: config[name] for name in ("text", "words", "ridge")}}
        texts = Texts(tensors["vectors"], matrix)
        return cls(whitening, vocabulary, tensors["rows"].numpy(), texts=texts, among=among, **parts)


def _matrix(tensors: Mapping[str, Tensor], shape: tuple[int, int]) -> sparse.csr_array:
    matrix = sparse.csr_array(tuple(tensors[name].numpy() for name in ("data", "indices", "indptr")), shape=shape)
    matrix.check_format()
    return matrix


def covariances(first: Texts, second: Texts, text: float, words: float) -> Tensor:
    """``K (n, k)`` of ``n`` texts with ``k`` others: ``text`` times their cosines, ``words`` times those of words."""
    found = text * first.vectors @ second.vectors.T
    if words:
        found.add_(torch.from_numpy((first.bags @ second.bags.T).toarray()), alpha=words)
    return found


class _Entries:
    """Entries of a sparse matrix that is made at last."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]] = []

    def add(
        self, place: Ints, column: Ints, value: NDArray[np.float32], rows: Ints, columns: Ints, turned: bool = False
    ) -> None:
        """``value`` at ``rows[place]`` and ``columns[column]``, or there in the transpose; a row -1 is nobody's."""
        entries = rows.astype(np.int32)[place], columns.astype(np.int32)[column]
        if not (there := entries[0] >= 0).all():
            entries, value = (entries[0][there], entries[1][there]), value[there]
        self._parts.append((*(entries[::-1] if turned else entries), value))

    def matrix(self, rows: int, columns: int | None = None) -> sparse.csr_array:
        """All of them, ``(rows, columns)``, or square."""
        row, column, value = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        shape = rows, rows if columns is None else columns
        return sparse.csr_array(sparse.coo_array((value, (row, column)), shape=shape))


def _largest(weights: Tensor, most: int) -> tuple[Ints, Ints, NDArray[np.float32]]:
    """Of each column of ``weights (n, c)`` at most ``most`` entries that are not zero, the largest in size: rows,
    columns and values."""
    by_column = weights.T.contiguous()
    if len(weights) <= most:
        column, row = by_column.nonzero().unbind(1)
        return row.numpy(), column.numpy(), by_column[column, row].numpy()
    row = by_column.abs().topk(most, dim=1, sorted=False).indices
    value, column = by_column.gather(1, row).flatten(), torch.arange(len(by_column)).repeat_interleave(most)
    row = row.flatten()
    if not (there := value != 0).all():
        row, column, value = row[there], column[there], value[there]
    return row.numpy(), column.numpy(), value.numpy()
