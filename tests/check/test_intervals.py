"""The corrected interval and Holm's method, against worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from augsynth.check.intervals import corrected_interval, holm, holm_levels


def test_interval_of_a_worked_example():
    # by hand: differences 1, 2, 3, 4, 5 hundredths; mean 3, variance 2.5, five folds, ratio 1/4:
    # error^2 = (1/5 + 1/4) * 2.5 = 1.125; t(4, .975) = 2.776445 -> 3 +- 2.944864
    found = corrected_interval([0.01, 0.02, 0.03, 0.04, 0.05], 0.25)
    assert found.mean == pytest.approx(0.03)
    assert found.error == pytest.approx(math.sqrt(1.125) / 100)
    low, high = found.bounds()
    assert (low, high) == pytest.approx((0.03 - 0.02944864, 0.03 + 0.02944864), abs=1e-7)
    # t = 3 / sqrt(1.125) = 2.828427 with 4 degrees of freedom
    assert found.p_greater == pytest.approx(stats.t.sf(2.8284271, 4))
    assert found.p_less == pytest.approx(1 - found.p_greater)


def test_without_overlap_it_is_the_ordinary_t_interval():
    values = np.array([0.3, -0.1, 0.2, 0.4])
    low, high = corrected_interval(values, 0.0).bounds(0.9)
    reference = stats.t.interval(0.9, 3, loc=values.mean(), scale=stats.sem(values))
    assert (low, high) == pytest.approx(reference)


def test_interval_leaves_zero_out_exactly_where_the_p_value_is_small():
    rng = np.random.default_rng(0)
    for _ in range(50):
        found = corrected_interval(rng.normal(0.6, 1.0, size=10), 0.25)
        low, _ = found.bounds(0.95)
        assert (low > 0) == (found.p_greater < 0.025)


@pytest.mark.parametrize(
    ("values", "p_greater", "bounds"),
    [
        ([0.0] * 25, 1.0, (0.0, 0.0)),  # the very same predictions: no difference at all
        ([0.1] * 25, 0.0, (0.1, 0.1)),
        ([0.1] * 3, 1.0, (0.1, 0.1)),  # three equal coarse scores prove nothing
    ],
)
def test_differences_without_spread(values, p_greater, bounds):
    found = corrected_interval(values, 0.25)
    assert found.p_greater == p_greater
    assert found.bounds() == pytest.approx(bounds)


def test_undefined_scores_are_left_out_and_one_score_gives_no_interval():
    assert corrected_interval([0.1, np.nan, 0.3], 0.25).n == 2
    lonely = corrected_interval([0.1, np.nan], 0.25)
    assert lonely.n == 1 and np.isnan(lonely.bounds()).all() and lonely.p_greater == 1.0
    assert np.isnan(corrected_interval([], 0.25).mean)


def test_holm_against_a_hand_example():
    # sorted .005, .01, .03, .04 times 4, 3, 2, 1 = .02, .03, .06, .04; running maximum .02, .03, .06, .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7]) == pytest.approx([0.7])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])


def test_holm_levels_say_the_same_as_adjusted_values():
    rng = np.random.default_rng(1)
    for _ in range(200):
        p = rng.uniform(0, 0.1, size=rng.integers(1, 7))
        assert ((p <= holm_levels(p, 0.05)) == (holm(p) <= 0.05)).all()


def test_the_corrected_interval_keeps_its_level_under_the_correlation_it_assumes():
    # J differences with variance 1 and pairwise correlation rho = ratio / (1 + ratio): the case of the paper
    rng, ratio, folds, runs = np.random.default_rng(2), 0.25, 25, 4000
    rho = ratio / (1 + ratio)
    shared = rng.normal(size=(runs, 1)) * math.sqrt(rho)
    values = shared + rng.normal(size=(runs, folds)) * math.sqrt(1 - rho)
    inside = np.mean(
        [low <= 0 <= high for low, high in (corrected_interval(v, ratio).bounds() for v in values)]
    )
    # standard error of a share of .95 in 4,000 runs: .0034
    assert abs(inside - 0.95) < 4 * 0.0034
