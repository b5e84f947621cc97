"""What a scorer is."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from ssna.core.errors import ArtifactError, option
from ssna.core.ragged import Ragged

Config = dict[str, Any]
ScoreFn = Callable[[slice | Tensor], Tensor]
"""Item rows ``(c,)``, or a slice of them -> their scores ``(n, c)`` fp32, the caller's to write into. Those of row 0
mean nothing."""


class Approximation(NamedTuple):
    """Scores at a fraction of the cost, nearly right.

    Attributes:
        read: a slice of item rows -> their scores ``(n, c)``, floats of any kind, the caller's to write into, and what
            gives the right ones of a few of these: the histories ``(m,)`` and columns ``(m,)`` of some that were
            not written into -> ``(m,)`` fp32.
        error: no score is further from the right one.
    """

    read: Callable[[slice], tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]]
    error: float
    share: float = 0.0
    largest: float = 0.0

    @property
    def worst(self) -> float:
        """No score is further from the right one."""
        return self.error + self.share * self.largest


class Scorer(Protocol):
    """Scores of any kind; equal for one history alone and among others, to rounding."""

    kind: ClassVar[str]
    layers: int
    """The top layers that :meth:`add_items` reads: at most ``a``."""

    @property
    def num_rows(self) -> int:
        """``I + 1``: item rows that have a score, padding among them."""
        ...

    def prepare(self, histories: Ragged) -> ScoreFn:
        """Take ``n`` histories, once; the result gives scores of any items, some at a time.

        An empty history says nothing: every item scores 0, or its popularity where that is all that counts.
        """
        ...

    def approximate(self, histories: Ragged) -> Approximation | None:
        """As :meth:`prepare`, to find the few best with; None where nothing is cheaper than the scores themselves."""
        return None

    def score(self, histories: Ragged) -> Tensor:
        """``n`` histories -> ``(n, I + 1)`` fp32, minus infinity in column 0: for catalogues that are not large."""
        scores = self.prepare(histories)(slice(0, self.num_rows))
        scores[:, 0] = -torch.inf
        return scores

    def add_items(self, h: Tensor, texts: Sequence[str] = ()) -> "Scorer":
        """A scorer of ``n`` more items, put last, from their states ``h (a, n, d)``, top layer first.

        Args:
            texts: ``n``, for a scorer that reads words as well.

        Raises:
            ArtifactError: the scorer cannot give an item a vector from its text.
        """
        ...

    def with_history_items(self, h: Tensor, texts: Sequence[str] = ()) -> "Scorer":
        """A scorer that knows ``n`` more items in histories, by the rows behind its own, for the requests of a moment:
        as :meth:`add_items`, but nothing of the catalogue is copied. Whether these rows have scores is its own affair.
        """
        return self.add_items(h, texts)

    def as_new(self, h: Tensor, texts: Sequence[str] = ()) -> Callable[[Ragged], ScoreFn]:
        """As :meth:`prepare`, of each item as if it were new and known by its text alone.

        Args:
            h: ``(a, I + 1, d)`` states of all items, top layer first, row 0 zero.
            texts: ``I + 1``, as for :meth:`add_items`.
        """
        first, wider = self.num_rows, self.add_items(h, texts)  # a copy of each

        def prepare(histories: Ragged) -> ScoreFn:
            score = wider.prepare(histories)
            return lambda items: score(
                slice(items.start + first, items.stop + first) if isinstance(items, slice) else items + first
            )

        return prepare

    def with_exposure(self, exposure: float) -> "Scorer":
        """A scorer that raises new items by ``exposure``, in its scores.

        Raises:
            ArtifactError: it does not tell new items from others.
        """
        if exposure == 0:
            return self
        raise ArtifactError(
            f"this model has no weights for new items, so {option('new_items')} must be 0; train with "
            "ensemble.new_items=true"
        )

    def select_items(self, rows: Tensor) -> "Scorer":
        """A scorer of the item rows ``(n,)`` alone, in this order; row 0, padding, comes first. Scores stay."""
        ...

    def state(self) -> tuple[Config, dict[str, Tensor]]:
        """What :func:`ssna.scoring.restore` rebuilds the scorer from: JSON values and tensors."""
        ...
