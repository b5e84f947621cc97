"""The scorer that is trained: an item matrix and a sequence model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property, partial
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssna.compute.blocks import appended, block_of, per_row
from ssna.compute.device import multiplies_bf16
from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ragged
from ssna.nn.adapter import ADAPTERS
from ssna.nn.pairs import products_at
from ssna.nn.qkv_lookup import QKVLookup
from ssna.nn.sasrec import RecencyLinear, RecencyMean, SASRec
from ssna.scoring.admission import vectors_of_new
from ssna.scoring.naming import below, under
from ssna.scoring.scorer import Approximation, Config, ScoreFn, Scorer

SEQUENCES: dict[str, type[nn.Module]] = {"sasrec": SASRec, "recency": RecencyMean, "linear": RecencyLinear}

ROUNDING = 2**-8
"""Of a number that goes to bf16: at most this share of it is lost."""

SUMS = 1e-4
"""Far more than two sums of the same few thousand fp32 terms, in all at most 1, differ by."""

REMEMBERED = 40_000
"""Histories, at most, whose user embeddings :meth:`VectorScorer.remembering` keeps."""

AT_ONCE = 1024  # vectors that are looked at together: they stay in a cache


class VectorScorer(Scorer):
    """An item matrix and a sequence model: Eq. 7, the cosine of the intent after the last item with every item.

    Args:
        vectors: ``(I + 1, D)``, row 0 zero. Where they are on a GPU, with ``sequence``, scores are computed there, to
            validate while training; a scorer that is kept is on the CPU.
        sequence: maps packed item vectors to packed user embeddings, and has ``last`` for the last ones alone, as
            :class:`ssna.nn.sasrec.SASRec`.
        max_history: items of a history that are read, the latest.
        text_projection: one of ``ADAPTERS``, states of new texts to vectors; None where only known items have a vector.
        of_histories: ``(k, D)`` of items that only histories have; see :meth:`Scorer.with_history_items`.
    """

    kind: ClassVar[str] = "vector"

    def __init__(
        self,
        vectors: Tensor,
        sequence: nn.Module,
        max_history: int,
        text_projection: nn.Module | None = None,
        of_histories: Tensor | None = None,
    ) -> None:
        self.vectors, self.sequence, self.max_history = vectors.float(), sequence.eval(), max_history
        self.of_histories = of_histories
        self.text_projection = None if text_projection is None else text_projection.eval()
        self.layers = 0 if text_projection is None else int(cast(Config, text_projection.config).get("layers", 1))
        if block_of(self.vectors) is None:
            _ = self.directions  # of what may change later
        self._remembered: dict[tuple[bytes, bytes], Tensor] | None = None
        self._last = cast(Callable[..., Tensor], self.sequence.last)

    @property
    def num_rows(self) -> int:
        return len(self.vectors)

    @cached_property
    def directions(self) -> Tensor:
        """``(I + 1, D)`` at unit length."""
        return per_row("directions", self.vectors, _unit)

    def prepare(self, histories: Ragged) -> ScoreFn:
        users = F.normalize(self.user_embeddings(histories), dim=-1)
        return lambda items: (users @ self.directions[items].T).cpu()

    def approximate(self, histories: Ragged) -> Approximation:
        """Products of bf16, where the processor multiplies these several times faster.

        ``q v - q' v' = (q - q') v + q' (v - v')``: rounding both vectors costs at most the lengths of what they lose,
        and rounding the product its share.
        """
        users = F.normalize(self.user_embeddings(histories), dim=-1)
        rounded, (directions, lost), share = users, (self.directions, 0.0), 0.0
        if multiplies_bf16():
            rounded, (directions, lost) = users.bfloat16(), self._rounded
            lost, share = _lost(users, rounded) + lost, ROUNDING / (1 - ROUNDING)

        def rough(items: slice) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
            exact = self.directions[items]

            def right(owner: Tensor, columns: Tensor) -> Tensor:
                return products_at(owner, columns, users, exact)

            return (directions[items] @ rounded.T).T, right  # quicker than the other way round

        return Approximation(rough, SUMS + (1 + ROUNDING) * lost, share, (1 + ROUNDING) ** 3)

    @cached_property
    def _rounded(self) -> tuple[Tensor, float]:
        rounded = per_row("rounded", self.vectors, lambda rows: _unit(rows).bfloat16())
        lost = per_row("lost", self.vectors, lambda rows: _lengths_lost(_unit(rows)))
        return rounded, float(lost.max())

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Until it ends, user embeddings of the same histories are computed once, by this scorer and by the one
        of :meth:`add_items`: for validation, which asks again and again. Meanwhile nothing may change the scorer, and
        histories hold no new items."""
        self._remembered = {}
        try:
            yield
        finally:
            self._remembered = None

    def user_embeddings(self, histories: Ragged) -> Tensor:
        """``n`` histories -> ``(n, D)``; zero for an empty one."""
        recent = histories.last(self.max_history)
        if self._remembered is None:
            return self._user_embeddings(recent)
        key = recent.values.tobytes(), recent.offsets.tobytes()
        if (found := self._remembered.get(key)) is None:
            found = self._user_embeddings(recent)
            if len(found) + sum(map(len, self._remembered.values())) <= REMEMBERED:
                self._remembered[key] = found
        return found

    @torch.no_grad()
    def _user_embeddings(self, recent: Ragged) -> Tensor:
        users = self.vectors.new_zeros(len(recent), self.vectors.shape[1])
        filled = np.flatnonzero(recent.lengths)
        if len(filled):
            packed = recent if len(filled) == len(recent) else recent.take(filled)
            arrays = packed.values.astype(np.int64), packed.position_of_value, packed.offsets, filled
            items, positions, offsets, places = (torch.from_numpy(array).to(users.device) for array in arrays)
            if self.of_histories is not None and len(items) and int(items.max()) >= self.num_rows:
                users[places] = self._last(self._vectors_of(items, self.of_histories), positions, offsets).float()
                return users
            first = () if self._projection is None else (partial(self._projection, items, positions),)
            users[places] = self._last(F.embedding(items, self.vectors), positions, offsets, *first).float()
        return users

    def _vectors_of(self, items: Tensor, of_histories: Tensor) -> Tensor:
        """``(N, D)`` of item rows ``(N,)``, those behind the catalogue's among them."""
        known = self.num_rows
        vectors = F.embedding(items.clamp(max=known - 1), self.vectors)
        behind = items >= known
        vectors[behind] = of_histories[items[behind] - known]
        return vectors

    @cached_property
    def _projection(self) -> QKVLookup | None:
        sasrec = self.sequence
        pays = isinstance(sasrec, SASRec) and QKVLookup.is_worthwhile(sasrec, self.vectors)
        return QKVLookup(cast(SASRec, sasrec), self.vectors) if pays else None

    @torch.no_grad()
    def add_items(self, h: Tensor, texts: Sequence[str] = ()) -> "VectorScorer":
        vectors = appended(self.vectors, self._vectors_of_new(h))
        wider = VectorScorer(vectors, self.sequence, self.max_history, self.text_projection)
        wider._remembered = self._remembered
        return wider

    @torch.no_grad()
    def with_history_items(self, h: Tensor, texts: Sequence[str] = ()) -> "VectorScorer":
        wider = copy(self)  # with all that is worked out for the catalogue
        wider.of_histories, wider._remembered = self._vectors_of_new(h), None
        return wider

    def _vectors_of_new(self, h: Tensor) -> Tensor:
        if self.text_projection is None:
            raise ArtifactError(
                "this model cannot admit items by their texts: its vectors are learned for each item (ids), or by a "
                "language model that is not kept (lora, adalora, full), and other members of the ensemble do not help; "
                "ssna, tmlp, tmoe, text-knn and text-linear can"
            )
        return vectors_of_new(self.text_projection, h)

    def select_items(self, rows: Tensor) -> "VectorScorer":
        return VectorScorer(self.vectors[rows], self.sequence, self.max_history, self.text_projection)

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        config: Config = {"max_history": self.max_history, "sequence": _describe(self.sequence, SEQUENCES)}
        tensors = {"vectors": self.vectors, **under("sequence.", self.sequence.state_dict())}
        if self.text_projection is not None:
            config["text_projection"] = _describe(self.text_projection, ADAPTERS)
            tensors |= under("text_projection.", self.text_projection.state_dict())
        return config, tensors

    @classmethod
    def from_state(cls, config: Config, tensors: Mapping[str, Tensor]) -> "VectorScorer":
        """The inverse of :meth:`state`."""
        sequence = _rebuild(config["sequence"], SEQUENCES, below("sequence.", tensors))
        described = config.get("text_projection")
        text_projection = _rebuild(described, ADAPTERS, below("text_projection.", tensors)) if described else None
        return cls(tensors["vectors"], sequence, config["max_history"], text_projection)


def _unit(rows: Tensor) -> Tensor:
    return F.normalize(rows, dim=-1)


def _lengths_lost(exact: Tensor) -> Tensor:
    """``(n,)`` the length of what each vector ``(n, D)`` loses by rounding."""
    parts = [(part - part.bfloat16().float()).norm(dim=1) for part in exact.split(AT_ONCE)]
    return torch.cat(parts) if parts else exact.new_zeros(0)


def _lost(exact: Tensor, rounded: Tensor) -> float:
    """The length of what the vector ``(n, D)`` that loses most by rounding loses."""
    return float((exact - rounded.float()).norm(dim=1).max()) if len(exact) else 0.0


def _describe(module: nn.Module, table: Mapping[str, type[nn.Module]]) -> Config:
    kind = next(name for name, cls in table.items() if type(module) is cls)
    return {"kind": kind, **cast(Config, module.config)}


def _rebuild(described: Config, table: Mapping[str, type[nn.Module]], weights: Mapping[str, Tensor]) -> nn.Module:
    arguments = dict(described)
    module = table[arguments.pop("kind")](**arguments)
    module.load_state_dict(weights)
    return module
