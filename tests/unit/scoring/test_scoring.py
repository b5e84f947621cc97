import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from ssna.core.errors import ArtifactError
from ssna.core.ragged import Ragged
from ssna.nn.sasrec import RecencyMean, SASRec
from ssna.scoring import (
    Ensemble,
    Member,
    NeighbourScorer,
    PopularityScorer,
    RepeatConsumptionScorer,
    VectorScorer,
    restore,
    topk,
)
from ssna.scoring.topk import top

HISTORIES = Ragged.from_rows([[1, 2], [3], [4, 4, 1]])


def popularity(*counts: int) -> PopularityScorer:
    return PopularityScorer(torch.tensor([0, *counts]))


def test_the_top_items_come_best_first_with_their_scores():
    rows, scores = top(popularity(1, 4, 2, 3), HISTORIES, 2)
    assert (rows.tolist(), scores.tolist()) == ([[2, 4]] * 3, [[4, 3]] * 3)


def test_excluded_items_leave_the_top():
    rows, _ = top(popularity(1, 4, 2, 3), HISTORIES, 2, exclude=HISTORIES)
    assert rows.tolist() == [[4, 3], [2, 4], [2, 3]]


def test_where_fewer_items_are_left_than_asked_for_row_zero_fills_up():
    rows, scores = top(popularity(1, 2), Ragged.from_rows([[1]]), 2, exclude=Ragged.from_rows([[1]]))
    assert (rows.tolist(), scores.tolist()) == ([[2, 0]], [[2, -np.inf]])


def test_the_top_does_not_depend_on_the_size_of_a_chunk(monkeypatch):
    whole = top(popularity(1, 4, 2, 3), HISTORIES, 2, exclude=HISTORIES)
    monkeypatch.setattr(topk, "CHUNK", 1)
    np.testing.assert_array_equal(top(popularity(1, 4, 2, 3), HISTORIES, 2, exclude=HISTORIES), whole)


@pytest.mark.parametrize("tile", [1, 2, 9])
def test_of_equal_items_those_of_lower_rows_make_the_list(monkeypatch, tile):
    monkeypatch.setattr(topk, "TILE", tile)
    rows, _ = top(popularity(1, 2, 2, 1, 2, 2, 1, 2), HISTORIES, 4, exclude=Ragged.from_rows([[3], [], [2, 8]]))
    assert rows.tolist() == [[2, 5, 6, 8], [2, 3, 5, 6], [3, 5, 6, 1]]


@pytest.mark.parametrize("tile", [300, 8192])
def test_of_many_equal_items_the_lowest_rows_make_the_list(monkeypatch, tile):
    monkeypatch.setattr(topk, "TILE", tile)
    counts = np.random.default_rng(0).integers(0, 3, 1000)
    rows, _ = top(popularity(*counts.tolist()), HISTORIES, 400)
    assert rows.tolist() == [(1 + np.argsort(-counts, kind="stable")[:400]).tolist()] * 3


@pytest.mark.parametrize("tile", [2, 9])
def test_excluded_items_leave_every_list(monkeypatch, tile):
    monkeypatch.setattr(topk, "TILE", tile)
    excluded = torch.tensor([False, True, False, True, False])
    rows, scores = top(popularity(9, 2, 8, 4), HISTORIES, 3, excluded=excluded)
    assert (rows.tolist(), scores.tolist()) == ([[4, 2, 0]] * 3, [[4, 2, -np.inf]] * 3)


def test_the_top_of_no_histories_is_empty():
    rows, scores = top(popularity(1, 4, 2), Ragged.from_rows([]), 2)
    assert (rows.shape, scores.shape) == ((0, 2), (0, 2))


def test_an_ensemble_divides_each_member_by_its_scale_and_weighs_it():
    ensemble = Ensemble([Member(popularity(1, 4), 0.25, 2.0), Member(popularity(3, 1), 0.75, 0.5)])
    expected = [1 / 2 * 0.25 + 3 / 0.5 * 0.75, 4 / 2 * 0.25 + 1 / 0.5 * 0.75]
    assert ensemble.score(HISTORIES)[0, 1:].tolist() == pytest.approx(expected)


def test_an_ensemble_leaves_the_scores_of_its_members_alone():
    member = popularity(1, 4)
    Ensemble([Member(member, 0.5, 2.0)]).score(HISTORIES)
    assert member.score(HISTORIES)[0].tolist() == [-np.inf, 1, 4]


def test_an_ensemble_reads_as_many_layers_as_the_deepest_of_its_members():
    deep = popularity(1)
    deep.layers = 3
    assert Ensemble([Member(popularity(1), 0.5, 1.0), Member(deep, 0.5, 1.0)]).layers == 3


def test_an_item_that_stands_twice_in_a_history_votes_twice():
    similarity = sparse.csr_array(np.diag([0, 1, 1, 1, 1]).astype(np.float32))
    scores = NeighbourScorer(similarity, window=3, decay=0.5).score(HISTORIES)
    assert scores[2, 1:].tolist() == pytest.approx([1, 0, 0, 0.5 + 0.25])


def test_a_vector_scorer_reads_no_more_than_max_history_items():
    torch.manual_seed(0)
    vectors = torch.cat([torch.zeros(1, 3), torch.randn(4, 3)])
    scorer = VectorScorer(vectors, RecencyMean(window=9, decay=1.0), max_history=2)
    assert torch.equal(scorer.score(Ragged.from_rows([[1, 2, 3, 4]])), scorer.score(Ragged.from_rows([[3, 4]])))


@pytest.mark.parametrize(
    ("kind", "config", "tensors"),
    [
        ("magic", {}, {}),
        ("popularity", {}, {}),
        ("neighbour", {"window": 3}, {}),
        ("vector", {"max_history": 3, "sequence": {"kind": "magic"}}, {"vectors": torch.zeros(2, 2)}),
        ("vector", {"max_history": 3, "sequence": {"kind": "sasrec", "dim": 3}}, {"vectors": torch.zeros(2, 2)}),
        ("blend", {"parts": [{"kind": "popularity"}]}, {}),
        ("blend", {"parts": []}, {}),
        ("blend", {}, {}),
    ],
)
def test_a_description_that_fits_no_scorer_is_an_artifact_error_in_one_line(kind, config, tensors):
    with pytest.raises(ArtifactError) as caught:
        restore(kind, config, tensors)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_than_described_are_an_artifact_error():
    config = {"dim": 4, "max_length": 3, "num_layers": 1, "num_heads": 1, "ffn_dim": 4, "dropout": 0.0}
    sequence = SASRec(**config)
    described, tensors = VectorScorer(torch.zeros(3, 4), sequence, 3).state()
    tensors["sequence.position.weight"] = torch.zeros(2, 4)
    with pytest.raises(ArtifactError, match="damaged"):
        restore("vector", described, tensors)


def test_a_scorer_without_a_text_part_says_why_and_who_has_one():
    vectors = VectorScorer(torch.zeros(3, 4), RecencyMean(window=2, decay=1.0), max_history=2)
    with_neighbours = Ensemble([Member(popularity(1, 2), 0.5, 1.0), Member(vectors, 0.5, 1.0)])
    for scorer in (vectors, with_neighbours):
        with pytest.raises(
            ArtifactError, match=r"learned for each item \(ids\).*ssna, tmlp, tmoe, text-knn and text-linear can"
        ):
            scorer.add_items(torch.zeros(1, 1, 4))


def test_repeat_consumption_scores_only_the_latest_items_of_a_history():
    scores = RepeatConsumptionScorer(9, 3).score(Ragged.from_rows([[1, 2, 3, 4, 5], [7, 7], []]))
    assert [np.flatnonzero(row.numpy() > 0).tolist() for row in scores] == [[3, 4, 5], [7], []]
