"""Tests against closed forms and step-by-step procedures."""

from math import atan, cos, pi, sin, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ssna.evaluation import significance
from ssna.evaluation.significance import bootstrap, holm, paired_t

p_values = st.lists(st.floats(0, 1), max_size=12)


def test_paired_t_is_the_closed_form_at_three_degrees_of_freedom() -> None:
    differences = [1.0, 2.0, 3.0, 4.0]  # mean 2.5, variance 5 / 3
    theta = atan(2.5 / sqrt(5 / 3 / 4) / sqrt(3))
    assert paired_t(differences) == pytest.approx(1 - 2 / pi * (theta + sin(theta) * cos(theta)))


def test_paired_t_is_the_test_of_two_paired_samples() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.1, 1, 50), rng.normal(0, 1, 50)
    assert paired_t(ours - theirs) == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)


@pytest.mark.parametrize("differences", [[], [0.3], [0.0, 0.0, 0.0]])
def test_paired_t_is_1_where_nothing_can_be_told(differences: list[float]) -> None:
    assert paired_t(differences) == 1.0


@pytest.mark.filterwarnings("error")
def test_equal_differences_are_certain_and_give_no_warning() -> None:
    assert paired_t([0.25, 0.25, 0.25]) < 1e-12


def test_holm_is_the_hand_computed_example() -> None:
    # sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, the last raised to the one before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_1() -> None:
    assert holm([0.6, 0.5, 0.9]).tolist() == [1.0, 1.0, 1.0]


@given(p_values)
def test_holm_is_below_alpha_exactly_where_the_procedure_rejects(p: list[float]) -> None:
    alpha, rejected = 0.05, set()
    for step, which in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[which] * (len(p) - step) >= alpha:
            break
        rejected.add(which)
    assert set(np.flatnonzero(holm(p) < alpha)) == rejected


def test_an_interval_is_close_to_the_normal_one_where_there_are_many_users() -> None:
    differences = np.random.default_rng(0).normal([[0.0], [3.0]], [[1.0], [2.0]], (2, 4000))
    low, high = bootstrap(differences, np.random.default_rng(1))
    error = differences.std(axis=1) / sqrt(4000)
    assert low == pytest.approx(differences.mean(axis=1) - 1.96 * error, abs=0.2 * error.max())
    assert high == pytest.approx(differences.mean(axis=1) + 1.96 * error, abs=0.2 * error.max())


def test_what_belongs_to_one_user_is_drawn_together() -> None:
    row = np.random.default_rng(0).normal(size=30)
    low, high = bootstrap(np.stack([row, row, -row]), np.random.default_rng(1))
    assert low[0] == pytest.approx(low[1])
    assert low[0] == pytest.approx(-high[2])


def test_the_same_generator_gives_the_same_interval_however_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(size=(2, 30))
    whole = bootstrap(differences, np.random.default_rng(1), resamples=200)
    monkeypatch.setattr(significance, "CHUNK", 60 * 7)
    np.testing.assert_allclose(bootstrap(differences, np.random.default_rng(1), resamples=200), whole, rtol=1e-12)


def test_an_interval_is_the_one_of_scipy() -> None:
    differences = np.random.default_rng(0).normal(size=(3, 40))
    expected = stats.bootstrap(
        (differences,), np.mean, axis=-1, n_resamples=300, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    found = bootstrap(differences, np.random.default_rng(1), resamples=300)
    np.testing.assert_allclose(found, (expected.low, expected.high), rtol=1e-12)


def test_one_user_bounds_nothing() -> None:
    assert np.isinf(bootstrap(np.ones((2, 1)), np.random.default_rng(0))).all()
