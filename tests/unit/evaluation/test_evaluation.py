import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna.core.errors import TrainingError
from ssna.core.ragged import Ragged
from ssna.data.dataset import Split
from ssna.evaluation import Evaluation, evaluate, ranks
from ssna.evaluation.ranking import POLICIES
from ssna.nn.sasrec import RecencyMean
from ssna.scoring import ScoreFn, VectorScorer, topk

ITEMS = 9
MISS = ITEMS + 1


class TableScorer:
    """Scores that depend on the history alone, with many ties."""

    kind, layers, num_rows = "table", 0, ITEMS + 1

    def __init__(self, seed: int = 0, levels: int = 4) -> None:
        self.table = np.random.default_rng(seed).integers(0, levels, (7, ITEMS + 1)).astype(np.float32)

    def of(self, history: np.ndarray) -> np.ndarray:
        return self.table[int(history.sum()) % len(self.table)]

    def prepare(self, histories: Ragged) -> ScoreFn:
        scores = torch.from_numpy(np.stack([self.of(history) for history in histories]))
        return lambda items: scores[:, items].clone()


class FixedScorer:
    """The same scores for everybody."""

    kind, layers, num_rows = "fixed", 0, ITEMS + 1

    def __init__(self, scores: list[float]) -> None:
        self.scores = torch.tensor([-torch.inf, *scores])

    def prepare(self, histories: Ragged) -> ScoreFn:
        return lambda items: self.scores[items].repeat(len(histories), 1)


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


@given(questions, st.integers(1, 4), st.integers(1, ITEMS + 2))
def test_neither_the_size_of_a_chunk_nor_that_of_a_tile_changes_anything(rows, chunk, tile):
    split, scorer = split_of([seen for seen, _ in rows], [target for _, target in rows]), TableScorer()
    whole = evaluate(scorer, split)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topk, "CHUNK", chunk)
        patch.setattr(topk, "TILE", tile)
        in_chunks = evaluate(scorer, split)
        validation = ranks(scorer, split)
    for policy in POLICIES:
        np.testing.assert_array_equal(in_chunks.ranks[policy], whole.ranks[policy])
        np.testing.assert_array_equal(in_chunks.lists[policy], whole.lists[policy])
    np.testing.assert_array_equal(validation, whole.ranks["exclude_seen"])


def vector_scorer(rows: int, users: int = 40) -> tuple[VectorScorer, Split]:
    """Every item stands in the catalogue twice, as items of equal texts do; and questions to rank it for."""
    rng = np.random.default_rng(3)
    half = torch.from_numpy(rng.normal(size=(rows // 2, 64)).astype(np.float32))
    vectors = torch.cat([torch.zeros(1, 64), half, half.roll(7, 0)])[:rows]
    seen = [rng.integers(1, rows, 5).tolist() for _ in range(users)]
    scorer = VectorScorer(vectors, RecencyMean(window=3, decay=0.5), max_history=3)
    return scorer, split_of(seen, rng.integers(1, rows, users).tolist())


@pytest.mark.parametrize("tile", [64, 333, 1000])
def test_ranks_and_lists_of_vectors_are_the_same_in_tiles_of_any_size_where_items_are_equal_too(monkeypatch, tile):
    scorer, split = vector_scorer(1999)
    whole = evaluate(scorer, split)
    monkeypatch.setattr(topk, "TILE", tile)
    in_tiles = evaluate(scorer, split)
    for policy in POLICIES:
        np.testing.assert_array_equal(in_tiles.ranks[policy], whole.ranks[policy])
        np.testing.assert_array_equal(in_tiles.lists[policy], whole.lists[policy])


def test_ranks_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(topk, "TILE", 512)
    scorer, split = vector_scorer(1999)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(evaluate(scorer, split).ranks["exclude_seen"])
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("rank", [evaluate, ranks])
def test_no_more_scores_are_held_at_once_than_a_tile_has(monkeypatch, rank):
    monkeypatch.setattr(topk, "TILE", 100)
    scorer, split = vector_scorer(1999)
    widths: list[int] = []

    class RecordingScorer(VectorScorer):
        def prepare(self, histories: Ragged) -> ScoreFn:
            inner = super().prepare(histories)

            def read(items: slice | torch.Tensor) -> torch.Tensor:
                scores = inner(items)
                widths.append(scores.shape[1])
                return scores

            return read

    rank(RecordingScorer(scorer.vectors, scorer.sequence, scorer.max_history), split)
    assert max(widths) == 100


class RoundedScorer(FixedScorer):
    """Scores single items a little higher than among others, as another kernel of a product may."""

    def prepare(self, histories: Ragged) -> ScoreFn:
        read = super().prepare(histories)
        more = torch.tensor(9.0)
        return lambda items: read(items) if isinstance(items, slice) else torch.nextafter(read(items), more)


def test_a_target_is_counted_itself_whatever_the_rounding_of_its_tile(monkeypatch):
    monkeypatch.setattr(topk, "TILE", 4)
    scorer = RoundedScorer([1.0] * 4 + [2.0] + [1.0] * 4)
    assert evaluate(scorer, split_of([[1]], [5])).ranks["include_seen"].tolist() == [1]


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
