"""The optimizer, its learning rate and the precision of products."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssna.methods.ids import Ids
from ssna.nn.sasrec import SASRec
from ssna.training.settings import TrainingSettings
from ssna.training.trainer import Model, _optimizer, autocast, learning_rate


@given(warmup=st.floats(0, 0.99), schedule=st.sampled_from(["constant", "cosine"]), total=st.integers(1, 60))
def test_the_learning_rate_never_exceeds_the_one_set_and_never_falls_below_zero(warmup, schedule, total):
    rates = learning_rates(TrainingSettings(warmup_ratio=warmup, lr_schedule=schedule, learning_rate=1.0), total)
    assert all(0 <= rate <= 1 for rate in rates)


def learning_rates(settings: TrainingSettings, total: int) -> list[float]:
    return [learning_rate(settings, total, step) for step in range(total)]


def test_the_cosine_schedule_rises_in_a_line_and_falls_along_half_a_cosine():
    rates = learning_rates(TrainingSettings(warmup_ratio=0.25, lr_schedule="cosine", learning_rate=1.0), 8)
    half_cosine = [0.5 * (1 + np.cos(np.pi * step / 6)) for step in range(6)]
    assert rates == pytest.approx([0.5, 1.0, *half_cosine])


def test_the_constant_schedule_keeps_the_learning_rate():
    assert learning_rates(TrainingSettings(learning_rate=0.1), 5) == [0.1] * 5


def test_weight_decay_leaves_out_vectors_such_as_biases():
    model = Model(Ids(5, 8), SASRec(8, 4, 1, 1, 8, 0.0))
    optimizer = _optimizer(model, TrainingSettings(weight_decay=0.1))
    decayed = {group["weight_decay"]: {p.ndim for p in group["params"]} for group in optimizer.param_groups}
    assert decayed == {0.1: {2}, 0.0: {1}}


def test_frozen_parameters_are_not_given_to_the_optimizer():
    model = Model(Ids(5, 8), SASRec(8, 4, 1, 1, 8, 0.0))
    model.encoder.requires_grad_(False)
    optimizer = _optimizer(model, TrainingSettings())
    given_ids = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert given_ids == {id(p) for p in model.sequence.parameters()}


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_matrix_products_have_the_precision_asked_for(precision, dtype):
    with autocast(precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
