"""Rows with holes under a normal distribution: against the formulas, row by row."""

import numpy as np
import pytest

from augsynth.core import normal
from augsynth.core.normal import Numbers, conditional_means, em_step, expected


def holed(n, d, share, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ (np.eye(d) + 0.4 * rng.normal(size=(d, d)))
    return np.where(rng.random((n, d)) < share, np.nan, x)


def plain(x, mean, covariance, weights):
    """The regression of what is missing on what is seen, a row at a time."""
    gaps, total = np.where(np.isnan(x), 0.0, x - mean), np.zeros_like(covariance)
    for gap, row, weight in zip(gaps, x, weights, strict=True):
        m, o = np.isnan(row), ~np.isnan(row)
        gain = covariance[np.ix_(m, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
        gap[m] = gain @ gap[o]
        total[np.ix_(m, m)] += weight * (covariance[np.ix_(m, m)] - gain @ covariance[np.ix_(o, m)])
    return gaps, total


@pytest.mark.parametrize(
    ("n", "d", "share"), [(300, 3, 0.4), (200, 12, 0.2), (40, 70, 0.1), (30, 4, 0.0), (60, 2, 0.8)]
)
def test_expected_rows_and_covariances_against_the_regression_of_each_row(n, d, share):
    x = holed(n, d, share)  # of 3 columns patterns have many rows, of 12 one or a few, of 70 one
    rng = np.random.default_rng(1)
    root, mean, weights = rng.normal(size=(d, d)), rng.normal(size=d), rng.uniform(0.1, 2.0, n)
    covariance = root @ root.T / d + 0.5 * np.eye(d)
    gap, left = expected(Numbers(x), mean, covariance, weights)
    exact, total = plain(x, mean, covariance, weights)
    np.testing.assert_allclose(gap, exact, atol=1e-10)
    np.testing.assert_allclose(left, total, atol=1e-10)
    means = conditional_means(x, mean, np.linalg.inv(covariance))
    np.testing.assert_allclose(means, mean + exact, atol=1e-10)
    assert np.array_equal(means[3:4], conditional_means(x[3:4], mean, np.linalg.inv(covariance)))


def test_small_batches_give_the_same(monkeypatch):
    numbers, covariance = Numbers(holed(200, 6, 0.4)), np.eye(6) + 0.3
    whole = expected(numbers, np.zeros(6), covariance)
    monkeypatch.setattr(normal, "MOST", 100)
    cut = Numbers(holed(200, 6, 0.4))
    assert len(cut.gone) > len(numbers.gone)
    for one, other in zip(expected(cut, np.zeros(6), covariance), whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_patterns_come_in_the_order_of_their_cells():
    for d in (3, 9, 70):
        x = holed(50, d, 0.3)
        numbers = Numbers(x)
        shown, index = np.unique(~np.isnan(x), axis=0, return_inverse=True)
        assert np.array_equal(numbers.shown, shown) and np.array_equal(numbers.index, index.ravel())


def test_steps_climb_to_the_closed_form_of_a_monotone_pattern():
    rng = np.random.default_rng(0)
    a = rng.normal(size=500)
    b = 0.7 * a + rng.normal(size=500)
    x = np.column_stack([a, np.where(a > 0.3, np.nan, b)])
    whole = a <= 0.3
    slope, start = np.polyfit(a[whole], b[whole], 1)  # the factored likelihood (Anderson 1957)
    mean, covariance = np.zeros(2), np.eye(2)
    for _ in range(600):
        mean, covariance = em_step(Numbers(x), mean, covariance)
    np.testing.assert_allclose(mean, [a.mean(), start + slope * a.mean()], atol=1e-8)
    np.testing.assert_allclose(covariance[0], [a.var(), slope * a.var()], atol=1e-8)
