"""Which items may be among the best, by scores that are off by a share of themselves."""

import pytest
import torch

from ssna.scoring.candidates import candidates
from ssna.scoring.scorer import Approximation


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    ("last", "scores", "expected"),
    [
        (1.5, [1.25, 0.875, 4.0, 1.0], [0, 2, 3]),  # half as much again may be right: 1.5, but not 1.3125
        (-1.0, [-1.875, -2.25, 0.5, -8.0], [0, 2]),  # so may -0.9375, but not -1.125
    ],
)
def test_a_score_that_may_be_off_by_a_share_of_itself_reaches_as_far_as_that(dtype, last, scores, expected):
    given = Approximation(lambda rows: None, error=1e-3, share=0.5)
    found = candidates(torch.tensor([scores], dtype=dtype), torch.tensor([last]), 1, given, limit=4)
    assert sorted(found.columns.tolist()) == expected
