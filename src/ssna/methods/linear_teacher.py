"""Linear weights between items as a teacher: logits of a user's next event, as if fitted without that user."""

from dataclasses import replace
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssna.core.ragged import Ints, Ragged
from ssna.data.dataset import Dataset
from ssna.methods.ease import LinearSettings, Regression, user_item_matrix
from ssna.scoring import Scorer
from ssna.text import LayerCache

Scores = NDArray[np.float32]
EVENTS, ITEMS = 1000, 4096  # that the scale is found from
SHARPEST = 2.0**14


class LinearTeacher:
    """EASE or CEASE, fitted without one user at a time.

    Linear weights have learned their training users by heart: what they give one of these as the next item says little
    of what they give a stranger. Without a user's events ``x`` the inverse ``P`` of the regression would be
    ``P + P x (P x)^T / (1 - x^T P x)`` (Sherman and Morrison, 1950), so that scores as of a stranger cost no more.

    Args:
        inverse: ``(n, n)``, ``P`` of the regression.
        regression: of EASE or CEASE.
        train: all training histories of the data set.
    """

    def __init__(self, inverse: Tensor, regression: Regression, train: Ragged) -> None:
        self.regression, self.train, self.settings = regression, train, regression.settings
        self.inverse, chosen = inverse.numpy(), regression.chosen
        self.place = np.full(regression.items + 1, -1)
        self.place[chosen] = np.arange(len(chosen))
        self.owned = user_item_matrix(train, regression.items)[:, chosen]  # (users, n)
        self.scale = 1.0
        self.scale = self._scale()

    @classmethod
    def fit(cls, settings: LinearSettings, data: Dataset, cache: LayerCache | None, dim: int) -> "LinearTeacher":
        """As the method of ``settings`` is fitted."""
        regression = Regression.of(settings, data, cache, dim)
        return cls(regression.inverse(), regression, data.train)

    def logits(self, events: Ints, items: Ints) -> Scores:
        """What follows on some events, as logits.

        Args:
            events: ``(R,)`` places in ``train.values``; the history up to there, and with it, is known.
            items: ``(C,)`` distinct rows of the catalogue.

        Returns:
            ``(R, C)``; 0 for items without weights.
        """
        users, user = np.unique(self.train.row_of_value[events], return_inverse=True)
        history, owned, there = self._histories(events), self.owned[users], self.place[items] >= 0
        columns = self.place[items[there]]
        z = owned @ self.inverse  # (users, n): P x
        least = 1 / (1 + owned.sum(axis=1) / self.settings.ridge)  # what rounding may not fall below
        left = np.maximum(1 - owned.multiply(z).sum(axis=1), least)[user]
        pull = history.multiply(z[user]).sum(axis=1) / left
        z = z[:, columns][user]
        products = (history @ self.inverse)[:, columns] + pull[:, None] * z
        diagonal = self.inverse.diagonal()[columns] + z**2 / left[:, None]
        scores = np.zeros((len(events), len(items)), np.float32)
        scores[:, there] = self.scale * (history[:, columns].toarray() - products / diagonal)
        return scores

    @cached_property
    def scorer(self) -> Scorer:
        """What the method of these settings gives as the member of an ensemble."""
        return self.regression.scorer(torch.from_numpy(self.inverse), admits=True)

    def release(self) -> None:
        """Free the inverse: there will be no more logits. The scorer stays."""
        _ = self.scorer
        self.inverse = np.zeros((0, 0), np.float32)
        self.regression = replace(self.regression, gram=torch.zeros(0, 0))

    def _histories(self, events: Ints) -> sparse.csr_array:
        """``(R, n)`` the latest items up to each event, weighted by how far back they are."""
        known = np.minimum(self.train.position_of_value[events] + 1, self.settings.window)
        row = np.repeat(np.arange(len(events)), known)
        back = np.arange(len(row)) - np.repeat(np.cumsum(known) - known, known)
        place = self.place[self.train.values[events[row] - back]]
        there = place >= 0
        weights = (self.settings.decay ** back[there]).astype(np.float32)
        shape = (len(events), len(self.inverse))
        return sparse.csr_array(sparse.coo_array((weights, (row[there], place[there])), shape=shape))

    def _scale(self) -> float:
        """The one under which the next events of a part of the users are the likeliest; scores are no logits yet."""
        before = np.flatnonzero(self.train.position_of_value < self.train.lengths[self.train.row_of_value] - 1)
        if not len(before):
            return 1.0
        events = before[np.linspace(0, len(before) - 1, min(EVENTS, len(before))).astype(np.int64)]
        following = np.unique(self.train.values[events + 1])
        others = np.setdiff1d(np.arange(1, len(self.place)), following)
        drawn = others[np.linspace(0, len(others) - 1, min(ITEMS, len(others))).astype(np.int64)]
        scores = torch.from_numpy(self.logits(events, np.concatenate([following, drawn]))).double()
        labels = torch.from_numpy(np.searchsorted(following, self.train.values[events + 1]))[:, None]
        counts = scores.new_ones(scores.shape[1])  # items that each of them stands for
        counts[len(following) :] = len(others) / max(len(drawn), 1)
        reached = scores.gather(1, labels).mean()

        def excess(scale: float) -> float:
            """How far the expected score is above the reached one: rises with the scale."""
            likely = (scale * scores + counts.log()).softmax(dim=1)
            return float((likely * scores).sum(dim=1).mean() - reached)

        low, high = 0.0, 1.0
        while excess(high) < 0 and high < SHARPEST:
            low, high = high, 2 * high
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (middle, high) if excess(middle) < 0 else (low, middle)
        return high
