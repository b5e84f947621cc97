import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ssna.core.ragged import Ragged
from ssna.methods.ssna import SSNASettings, over_states
from ssna.training.batches import autoregressive, collate

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import admission
import performance
from operations import Shape, operations
from side import alternate, ratio, slope

SHAPE = Shape(layers=3, width=48, num_experts=4, dim=32, num_layers=2, ffn_dim=24)


def batch_of(users: int, length: int):
    rows = np.random.default_rng(0).permutation(users * length).reshape(users, length) + 1
    histories = Ragged.from_rows(list(rows))
    segments = autoregressive(histories, length)
    return collate(histories, segments, np.arange(users), users * length, 0, np.random.default_rng(0))


def test_the_page_of_performance_is_the_one_that_the_kept_results_give():
    hint = "results changed: run `python benchmarks/performance.py` and commit docs/performance.md"
    assert performance.PAGE.read_text() == performance.render(), hint


def test_the_formula_counts_what_torch_counts_where_nothing_is_padded():
    batch = batch_of(16, 16)  # 256 distinct items, a multiple of what rows are padded to
    encoder = over_states(
        torch.randn(3, 257, SHAPE.width), SHAPE.dim, SSNASettings(layers=3, num_experts=SHAPE.num_experts)
    )
    with FlopCounterMode(display=False) as counter:
        encoder(batch.candidates.items).sum().backward()
    parts = operations(batch, SHAPE)
    assert counter.get_total_flops() == pytest.approx(parts["adapters"] + parts["GRU"], rel=0.02)


def test_the_formula_of_the_sequence_model_and_the_loss_by_hand():
    parts = operations(batch_of(3, 5), SHAPE)  # three sequences of four inputs, each of which predicts
    D, F = SHAPE.dim, SHAPE.ffn_dim
    maps = 12 * 2 * (4 * D * D + 2 * D * F)
    attention = 3 * (1 + 2 + 3 + 4) * 2 * 2 * D
    assert parts["sequence model"] == 3 * SHAPE.num_layers * (maps + attention)
    assert parts["loss"] == 3 * 2 * 12 * 12 * D


def test_a_slope_is_the_power_of_growth():
    assert slope([10, 100, 1000], [3, 30, 300]) == pytest.approx(1)
    assert slope([10, 100, 1000], [7, 7, 7]) == pytest.approx(0)


def test_rounds_alternate_and_a_ratio_is_the_median_over_rounds():
    order: list[str] = []
    values = {"ours": iter([1.0, 2.0, 4.0]), "theirs": iter([10.0, 10.0, 12.0])}
    rounds = alternate({name: lambda name=name: order.append(name) or next(values[name]) for name in values}, 3)
    assert order == ["ours", "theirs"] * 3
    assert ratio(rounds, "theirs", "ours") == 5.0


def test_admission_is_said_to_change_nothing_where_it_changes_nothing_and_something_where_it_does():
    from ssna.data.dataset import IdMap
    from ssna.recommender import Recommender
    from ssna.scoring import PopularityScorer

    def recommender(*popularity: int) -> Recommender:
        count = len(popularity)
        ids, texts = IdMap(tuple("abcdefgh"[:count])), ("", *"stuvwxyz"[:count])
        return Recommender(PopularityScorer(torch.tensor([0, *popularity])), ids, texts, np.zeros(count + 1, np.int64))

    before, histories = recommender(5, 4, 3), Ragged.from_rows([[1], [2, 3]])
    same = admission.old_items(before, recommender(5, 4, 3, 9), histories)
    assert same == {"largest_difference": 0.0, "ranks_changed": 0}
    other = admission.old_items(before, recommender(4, 5, 3, 9), histories)
    assert (other["largest_difference"], other["ranks_changed"]) == (1.0, 4)
    texts = admission.new_texts(before, 7, np.random.default_rng(0))
    assert sorted(texts.values()) == sorted("stustu" + texts["new 6"])
