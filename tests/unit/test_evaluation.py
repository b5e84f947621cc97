import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna import scoring
from ssna.data.dataset import Split
from ssna.errors import TrainingError
from ssna.evaluation import Evaluation, evaluate, ranks
from ssna.evaluation.ranking import POLICIES
from ssna.ragged import Ragged

ITEMS = 9
MISS = ITEMS + 1


class TableScorer:
    """Scores that depend on the history alone, with many ties."""

    kind, layers = "table", 0

    def __init__(self, seed: int = 0, levels: int = 4) -> None:
        self.table = np.random.default_rng(seed).integers(0, levels, (7, ITEMS + 1)).astype(np.float32)

    def of(self, history: np.ndarray) -> np.ndarray:
        return self.table[int(history.sum()) % len(self.table)]

    def score(self, histories: Ragged) -> torch.Tensor:
        scores = np.stack([self.of(history) for history in histories])
        scores[:, 0] = -np.inf
        return torch.from_numpy(scores)


class FixedScorer:
    """The same scores for everybody."""

    kind, layers = "fixed", 0

    def __init__(self, scores: list[float]) -> None:
        self.scores = torch.tensor([-torch.inf, *scores])

    def score(self, histories: Ragged) -> torch.Tensor:
        return self.scores.repeat(len(histories), 1)


def split_of(seen: list[list[int]], targets: list[int], max_history: int = 3) -> Split:
    uncut = Ragged.from_rows(seen)
    return Split("test", np.arange(len(uncut)), uncut.last(max_history), uncut, np.array(targets, dtype=np.int64))


questions = st.lists(
    st.tuples(st.lists(st.integers(1, ITEMS), min_size=1, max_size=7), st.integers(1, ITEMS)), min_size=1, max_size=8
)


def naive_rank(scores: np.ndarray, target: int, gone: set[int]) -> int:
    if target in gone:
        return MISS
    return 1 + sum(
        item != target and item not in gone and scores[item] >= scores[target] for item in range(1, ITEMS + 1)
    )


@given(questions, st.integers(0, 99))
def test_ranks_are_those_of_a_naive_ranking_under_both_policies(rows, seed):
    split, scorer = split_of([seen for seen, _ in rows], [target for _, target in rows]), TableScorer(seed)
    found = evaluate(scorer, split).ranks
    for user, (seen, target) in enumerate(rows):
        scores = scorer.of(split.histories[user])
        assert found["include_seen"][user] == naive_rank(scores, target, set())
        assert found["exclude_seen"][user] == naive_rank(scores, target, set(seen))


@given(questions, st.sets(st.integers(1, ITEMS), min_size=1), st.integers(0, 99))
def test_a_ranking_among_some_items_leaves_the_others_out(rows, among, seed):
    split, scorer = split_of([seen for seen, _ in rows], [target for _, target in rows]), TableScorer(seed)
    found = evaluate(scorer, split, np.array(sorted(among))).ranks
    others = set(range(1, ITEMS + 1)) - among
    for user, (seen, target) in enumerate(rows):
        scores = scorer.of(split.histories[user])
        assert found["include_seen"][user] == naive_rank(scores, target, others)
        assert found["exclude_seen"][user] == naive_rank(scores, target, others | set(seen))


@given(questions, st.integers(0, 99))
def test_lists_hold_the_best_items_best_first_and_zeros_behind_them(rows, seed):
    split, scorer = split_of([seen for seen, _ in rows], [target for _, target in rows]), TableScorer(seed)
    lists = evaluate(scorer, split).lists["exclude_seen"]
    for user, (seen, _) in enumerate(rows):
        left = set(range(1, ITEMS + 1)) - set(seen)
        scores, listed = scorer.of(split.histories[user]), lists[user].tolist()
        assert set(listed[: len(left)]) == left
        assert listed[len(left) :] == [0] * (ITEMS - len(left))
        assert np.all(np.diff(scores[listed[: len(left)]]) <= 0)


@given(questions, st.integers(1, 4))
def test_the_size_of_a_chunk_changes_nothing(rows, size):
    split, scorer = split_of([seen for seen, _ in rows], [target for _, target in rows]), TableScorer()
    whole = evaluate(scorer, split)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "CHUNK", size)
        in_chunks = evaluate(scorer, split)
        validation = ranks(scorer, split)
    for policy in POLICIES:
        np.testing.assert_array_equal(in_chunks.ranks[policy], whole.ranks[policy])
        np.testing.assert_array_equal(in_chunks.lists[policy], whole.lists[policy])
    np.testing.assert_array_equal(validation, whole.ranks["exclude_seen"])


def test_ties_count_against_the_target():
    assert evaluate(FixedScorer([1.0] * ITEMS), split_of([[1]], [5])).ranks["include_seen"].tolist() == [ITEMS]


def test_seen_items_make_way_for_the_target():
    scorer = FixedScorer([9.0, 8, 7, 6, 5, 4, 3, 2, 1])
    assert evaluate(scorer, split_of([[1, 2, 3]], [4])).ranks["exclude_seen"].tolist() == [1]


def test_items_seen_longer_ago_than_max_history_leave_the_ranking_too():
    scorer = FixedScorer([9.0, 8, 7, 6, 5, 4, 3, 2, 1])
    assert evaluate(scorer, split_of([[1, 2, 3, 8, 9]], [4], max_history=2)).ranks["exclude_seen"].tolist() == [1]


def test_a_target_seen_longer_ago_than_max_history_is_a_miss():
    scorer = FixedScorer([9.0, 8, 7, 6, 5, 4, 3, 2, 1])
    split = split_of([[1, 7, 8, 9]], [1], max_history=2)
    assert evaluate(scorer, split).ranks["exclude_seen"].tolist() == [MISS]


def test_a_target_that_was_seen_is_found_when_seen_items_stay():
    scorer = FixedScorer([9.0, 8, 7, 6, 5, 4, 3, 2, 1])
    assert evaluate(scorer, split_of([[1]], [1])).ranks["include_seen"].tolist() == [1]


def test_padding_never_stands_in_front_of_a_target():
    scorer = FixedScorer([-5.0] * 8 + [-9.0])
    assert evaluate(scorer, split_of([[1]], [9])).ranks["include_seen"].tolist() == [ITEMS]


@pytest.mark.parametrize("rank", [evaluate, ranks])
def test_a_score_that_is_no_number_stops_the_evaluation(rank):
    with pytest.raises(TrainingError, match="not a number"):
        rank(FixedScorer([1.0] * 8 + [float("nan")]), split_of([[1]], [2]))


@pytest.mark.parametrize("rank", [0, ITEMS + 2])
def test_a_rank_outside_the_catalogue_is_refused(rank):
    with pytest.raises(ValueError, match="from 1 to items"):
        Evaluation(np.array([1]), {"exclude_seen": np.array([rank])}, {}, ITEMS)


def test_metrics_are_given_under_both_policies():
    found = evaluate(FixedScorer([9.0, 8, 7, 6, 5, 4, 3, 2, 1]), split_of([[1], [2]], [2, 2])).metrics((1, 2))
    assert found == {
        "exclude_seen": pytest.approx({"R@1": 0.5, "N@1": 0.5, "R@2": 0.5, "N@2": 0.5}),
        "include_seen": pytest.approx({"R@1": 0.0, "N@1": 0.0, "R@2": 1.0, "N@2": 1 / np.log2(3)}),
    }


def test_a_data_set_asks_for_the_last_event_but_one_and_for_the_last(make_data):
    data = make_data([[1, 2, 3, 4, 5], [6, 7, 8]], max_history=2)
    assert (data.valid.targets.tolist(), data.test.targets.tolist()) == ([4, 7], [5, 8])
    assert [row.tolist() for row in data.test.histories] == [[3, 4], [6, 7]]
    assert [row.tolist() for row in data.test.seen] == [[1, 2, 3, 4], [6, 7]]
    assert [row.tolist() for row in data.valid.histories] == [[2, 3], [6]]
    assert [row.tolist() for row in data.train] == [[1, 2, 3], [6]]


def test_a_target_that_left_is_a_miss_even_where_the_catalogue_is_shorter_than_the_list():
    ranks = {policy: np.array([1, 4]) for policy in ("exclude_seen", "include_seen")}
    lists = {policy: np.zeros((2, 3), dtype=np.int32) for policy in ranks}
    metrics = Evaluation(np.array([1, 2]), ranks, lists, items=3).metrics((10, 50))
    assert metrics["exclude_seen"]["R@50"] == 0.5
    assert metrics["exclude_seen"]["N@50"] == 0.5
