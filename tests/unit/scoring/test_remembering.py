"""User embeddings that are asked for again."""

import numpy as np
import torch

from ssna.core.ragged import Ragged
from ssna.nn.sasrec import RecencyMean
from ssna.scoring import VectorScorer, vectors

HISTORIES = Ragged.from_rows([[1, 2], [3], [], [4, 1, 2]])


class Counted(RecencyMean):
    """Counts how often it is asked."""

    calls = 0

    def last(self, *arguments):
        Counted.calls += 1
        return super().last(*arguments)


def make() -> VectorScorer:
    Counted.calls = 0
    table = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    return VectorScorer(table, Counted(window=2, decay=0.5), max_history=2)


def test_the_same_histories_are_read_once_while_it_lasts_and_again_afterwards():
    scorer = make()
    expected = scorer.user_embeddings(HISTORIES)
    with scorer.remembering():
        found = [scorer.user_embeddings(HISTORIES) for _ in range(3)]
        assert Counted.calls == 2
        other = scorer.user_embeddings(HISTORIES.take(np.array([3, 1])))
        assert Counted.calls == 3
        as_long = Ragged(HISTORIES.values[::-1].copy(), HISTORIES.offsets)
        assert not torch.equal(scorer.user_embeddings(as_long), expected)
        assert Counted.calls == 4
    for one in found:
        assert torch.equal(one, expected)
    assert torch.equal(other, expected[[3, 1]])
    scorer.user_embeddings(HISTORIES)
    assert Counted.calls == 5


def test_no_more_histories_are_kept_than_it_says(monkeypatch):
    monkeypatch.setattr(vectors, "REMEMBERED", 3)
    scorer = make()
    with scorer.remembering():
        for _ in range(2):
            scorer.user_embeddings(HISTORIES)
            scorer.user_embeddings(HISTORIES.take(slice(0, 2)))
    assert Counted.calls == 3
