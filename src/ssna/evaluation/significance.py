"""Whether a difference is more than chance: paired t-test, bootstrap intervals, Holm's correction."""

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

CHUNK = 2**22  # columns drawn at once: 32 MiB


def paired_t(differences: ArrayLike) -> float:
    """Two-sided p-value of the paired t-test: do ``(n,)`` differences have mean 0?

    1 where nothing can be told: fewer than two differences, or none but zeros. 0 where all are one other value.
    """
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2 or not values.any():
        return 1.0
    from scipy import stats  # takes a second to load, which a run need not wait for

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # equal differences have no deviation: t is infinite
        return float(stats.ttest_1samp(values, 0.0).pvalue)


def bootstrap(
    differences: NDArray[np.float64], rng: np.random.Generator, resamples: int = 2000
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile 95 % intervals of the means of ``(m, n)`` differences: ``(m,)`` lower and ``(m,)`` upper ends.

    The ``n`` columns are drawn again, so that what belongs to one user stays together. One column bounds nothing. What
    is drawn, and so the interval, is that of :func:`scipy.stats.bootstrap`, which would copy every resample: counting
    how often a column is drawn takes a fourth of the time.
    """
    users = differences.shape[1]
    if users < 2:
        return np.full(len(differences), -np.inf), np.full(len(differences), np.inf)
    at_once = max(CHUNK // users, 1)
    means = []
    for first in range(0, resamples, at_once):
        drawn = rng.integers(users, size=(min(at_once, resamples - first), users))
        places = drawn + users * np.arange(len(drawn))[:, None]
        times = np.bincount(places.ravel(), minlength=places.size).reshape(places.shape)
        means.append(differences @ times.T.astype(np.float64) / users)
    low, high = np.percentile(np.concatenate(means, axis=1), (2.5, 97.5), axis=1)
    return low, high


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """``(m,)`` p-values of one family, adjusted (Holm, 1979): below alpha exactly where Holm's procedure rejects."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
