"""What every scorer promises a server, whose catalogue grows in place."""

import pytest
import torch
from test_scorers import ITEMS, NEW, NEW_TEXTS, SCORERS, WITH_TEXT, new_states, scorer, scorers, scores_of  # noqa: F401

from ssna.compute.blocks import appended, placed
from ssna.scoring import Scorer, restore

WITH_NEW = [[ITEMS + 1, 3, ITEMS + NEW], [5], [], [2, 9, ITEMS + 2], [ITEMS + 1]]


@pytest.fixture(params=SCORERS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def in_blocks(scorer: Scorer) -> Scorer:  # noqa: F811
    config, tensors = scorer.state()
    moved = {name: placed(found) if found.dim() and found.numel() else found for name, found in tensors.items()}
    return restore(scorer.kind, config, moved)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, check_stride=False)


@pytest.mark.parametrize("name", WITH_TEXT)
def test_items_of_histories_alone_count_there_as_added_ones_do(scorer, new_states):  # noqa: F811
    wider = scorer.with_history_items(new_states, NEW_TEXTS)
    expected = scores_of(scorer.add_items(new_states, NEW_TEXTS), WITH_NEW)[:, : ITEMS + 1]
    close(scores_of(wider, WITH_NEW)[:, : ITEMS + 1], expected)
    close(scores_of(wider), scores_of(scorer))


@pytest.mark.parametrize("name", WITH_TEXT)
def test_the_nearly_right_scores_of_such_histories_are_near_the_right_ones(scorer, new_states):  # noqa: F811
    from ssna.core.ragged import Ragged

    wider = scorer.with_history_items(new_states, NEW_TEXTS)
    histories = Ragged.from_rows(WITH_NEW)
    approximation = wider.approximate(histories)
    if approximation is None:
        pytest.skip("nothing is cheaper than its scores")
    rough, _ = approximation.read(slice(1, ITEMS + 1))
    assert (rough.float() - scores_of(wider, WITH_NEW)[:, 1:]).abs().max() <= approximation.error + 1e-5


def test_in_blocks_it_scores_the_same(scorer):  # noqa: F811
    close(scores_of(in_blocks(scorer)), scores_of(scorer))


@pytest.mark.parametrize("name", WITH_TEXT)
def test_in_blocks_added_items_score_as_elsewhere_one_by_one_and_the_scorer_itself_stays(
    scorer,  # noqa: F811
    new_states,  # noqa: F811
):
    first = wider = in_blocks(scorer)
    for row in range(NEW):
        wider = wider.add_items(new_states[:, row : row + 1], NEW_TEXTS[row : row + 1])
        scores_of(wider)
    close(scores_of(wider, WITH_NEW), scores_of(scorer.add_items(new_states, NEW_TEXTS), WITH_NEW))
    close(scores_of(first), scores_of(scorer))


@pytest.mark.parametrize("name", ["ssna", "text-knn"])
def test_in_a_block_vectors_are_appended_without_a_copy(scorer, new_states):  # noqa: F811
    first = in_blocks(scorer)
    wider = first.add_items(new_states, NEW_TEXTS)
    assert wider.vectors.data_ptr() == first.vectors.data_ptr()
    assert wider.directions.data_ptr() == first.directions.data_ptr()
    again = appended(first.vectors, torch.zeros(1, first.vectors.shape[1]))
    assert again.data_ptr() != first.vectors.data_ptr()
