"""The one function that ranks: per-history wishes, the popularity fallback, ties, and only allowed items scored."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna.core.errors import SsnaError
from ssna.core.ragged import Ragged
from ssna.recommender.ranking import RankRequest, best_rows, check_k, rank
from ssna.scoring import PopularityScorer, Scorer

pytestmark = pytest.mark.slow

ITEMS = 9
SCORES = [0, 5, 4, 4, 2, 2, 2, 1, 1, 9]
COUNTS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 8])
SCORER = PopularityScorer(torch.tensor(SCORES))  # any history gets these scores; those of COUNTS are the fallback's


def expected(history: list[int], k: int, exclude_seen: bool, allow: list[int] | None, deny: list[int]) -> list[int]:
    scores = SCORES if history else COUNTS.tolist()
    out = {*deny, *(history if exclude_seen else ())}
    left = [row for row in range(1, ITEMS + 1) if row not in out and (allow is None or row in allow)]
    return sorted(left, key=lambda row: (-scores[row], row))[:k]


rows = st.lists(st.integers(1, ITEMS), max_size=5)
wishes = st.tuples(
    rows, st.integers(1, 12), st.booleans(), st.none() | st.lists(st.integers(0, ITEMS), max_size=6), rows
)


def request_of(asked: list[tuple]) -> RankRequest:
    histories, k, exclude_seen, allow, deny = zip(*asked, strict=True)
    return RankRequest(
        Ragged.from_rows(histories), np.array(k), np.array(exclude_seen),
        tuple(None if each is None else np.array(each, dtype=np.int64) for each in allow), Ragged.from_rows(deny),
    )  # fmt: skip


@given(asked=st.lists(wishes, min_size=1, max_size=6), hidden=st.lists(st.integers(1, ITEMS), max_size=2))
def test_each_history_gets_what_it_asks_for_and_of_equal_scores_the_lower_row(asked, hidden):
    found, scores = rank(SCORER, COUNTS, request_of(asked), np.array(hidden, dtype=np.int64))
    assert len(found) == len(asked)
    for (history, k, exclude_seen, allow, deny), best, values in zip(asked, found, scores, strict=True):
        wanted = expected(history, k, exclude_seen, allow, [*deny, *hidden])
        assert best.tolist() == wanted + [0] * (len(best) - len(wanted))
        assert values[: len(wanted)].tolist() == [(SCORES if history else COUNTS)[row] for row in wanted]
        assert np.isneginf(values[len(wanted) :]).all()


def test_no_histories_get_no_rows():
    nobody = RankRequest.uniform(Ragged.from_rows([]), 3)
    assert rank(SCORER, COUNTS, nobody)[0].shape == (0, 0)


class Counting(PopularityScorer):
    """Counts the scores that it gives."""

    given = 0

    def prepare(self, histories):
        score = super().prepare(histories)

        def counted(items):
            found = score(items)
            self.given += found.numel()
            return found

        return counted


def test_only_allowed_items_are_scored():
    scorer = Counting(torch.arange(10_001))
    request = RankRequest.uniform(Ragged.from_rows([[1], [2]]), 3, allow=np.array([7, 9_000, 5]))
    assert rank(scorer, np.zeros(10_001, dtype=np.int64), request)[0].tolist() == [[9_000, 7, 5]] * 2
    assert scorer.given == 2 * 4  # padding among them


def test_histories_that_allow_different_items_are_read_together():
    prepared = []

    class Watched(PopularityScorer):
        def prepare(self, histories):
            prepared.append(len(histories))
            return super().prepare(histories)

    lists = tuple(np.array(rows) for rows in ([4, 5], [2], [5, 9]))
    request = replace(RankRequest.uniform(Ragged.from_rows([[1], [2], [3]]), 3), allow=lists)
    found, _ = rank(Watched(torch.tensor(SCORES)), COUNTS, request)
    assert prepared == [3]
    assert found.tolist() == [[4, 5, 0], [0, 0, 0], [9, 5, 0]]  # the second allows what it has seen, and no more


def test_the_fallback_says_which_histories_popularity_ranks():
    request = RankRequest.uniform(Ragged.from_rows([[1], [], [2]]), 3)
    assert request.fallback.tolist() == [False, True, False]


def test_best_rows_take_the_lower_of_equal_scores_and_none_of_minus_infinity():
    scores = torch.tensor([-torch.inf, 1.0, 3.0, 1.0, -torch.inf, 3.0])
    assert best_rows(scores, 3) == ([2, 5, 1], [3.0, 3.0, 1.0])
    assert best_rows(scores, 99)[0] == [2, 5, 1, 3]


@pytest.mark.parametrize("k", [0, -1])
def test_a_k_below_one_is_an_error_in_words(k):
    with pytest.raises(SsnaError, match=f"k is {k}"):
        check_k(k)


def test_ranking_the_allowed_items_gives_the_scores_of_the_whole_ranking(recommenders):
    for recommender in recommenders.values():
        scorer: Scorer = recommender.scorer
        histories = Ragged.from_rows([[1, 2, 3], [9], [5, 5]])
        whole, scores = rank(scorer, recommender.counts, RankRequest.uniform(histories, 20))
        few, few_scores = rank(
            scorer, recommender.counts, RankRequest.uniform(histories, 20, allow=np.array([4, 11, 18, 7]))
        )
        for row in range(3):
            known = dict(zip(whole[row].tolist(), scores[row].tolist(), strict=True))
            assert set(few[row][few[row] > 0].tolist()) == {4, 7, 11, 18}
            for item, score in zip(few[row].tolist(), few_scores[row].tolist(), strict=True):
                assert item == 0 or score == pytest.approx(known[item], abs=1e-5)
