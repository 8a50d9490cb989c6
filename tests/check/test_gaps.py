"""Intervals of gaps between groups: worked examples, coverage, edges."""

import warnings

import numpy as np
import pytest
from scipy import stats

from augsynth.check.bias import gap_interval, mean_gap_interval
from augsynth.check.bias.inversion import Sample, holds, interval_of, shrunken
from augsynth.core.errors import DataError, ParameterError


def test_two_groups_agree_with_the_worked_interval():
    # Agresti and Caffo's interval by hand: (41 / 52 - 26 / 52) +- 1.96 sqrt(.7885 .2115 / 52 + .5 .5 / 52)
    found = gap_interval([40, 25], [50, 50], groups=["a", "b"])
    centre, error = 15 / 52, np.sqrt((41 / 52 * 11 / 52 + 0.25) / 52)
    pair = found.pairs.iloc[0]
    reach = stats.norm.ppf(0.975) * error
    assert pair["difference"] == pytest.approx(-0.3, abs=1e-12)
    assert [pair["low"], pair["high"]] == pytest.approx([-centre - reach, -centre + reach], abs=1e-6)
    assert found.gap == pytest.approx(0.3) and (found.lowest, found.highest) == ("b", "a")
    # the interval of the gap by another road (test inversion) ends nearby
    assert [found.low, found.high] == pytest.approx([centre - reach, centre + reach], abs=0.03)
    assert found.ratio == pytest.approx(0.625) and found.ratio_low < 0.625 < found.ratio_high < 1


def test_many_groups_use_the_studentised_range():
    found = gap_interval(np.full(6, 30), np.full(6, 100))
    error = np.sqrt(2 * (31 / 102) * (71 / 102) / 102)
    reach = stats.studentized_range.ppf(0.95, 6, np.inf) / np.sqrt(2) * error
    assert len(found.pairs) == 15
    np.testing.assert_allclose(found.pairs["high"], reach, rtol=1e-9)
    assert found.gap == 0 and found.low == 0 and found.high > 0 and found.ratio == 1


def test_p_value_and_lower_end_tell_the_same():
    rng = np.random.default_rng(1)
    for _ in range(15):
        found = gap_interval(rng.binomial(80, [0.4, 0.5, 0.6, 0.5]), np.full(4, 80))
        assert (found.low > 0) == (found.p_value <= 0.05) == (found.ratio_high < 1) == found.shown
        assert found.low <= found.gap <= found.high and found.ratio_low <= found.ratio <= found.ratio_high


def test_p_value_of_two_groups_is_that_of_the_score_test():
    found = gap_interval([520, 450], [1000, 1000])
    z = 0.07 / np.sqrt(0.485 * 0.515 * 2 / 1000)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(z), abs=0.004)
    gross = gap_interval([900, 100], [1000, 1000])
    assert gross.p_value < 1e-12


@pytest.mark.parametrize(("g", "rates"), [(2, 0.0), (5, 0.0), (2, 0.15), (5, 0.15)])
def test_coverage(g, rates):
    # 200 runs: the standard error of a coverage of .95 is .015, so .90 is 3.3 of them below
    rng = np.random.default_rng(g)
    p, n = 0.3 + rates * np.linspace(0, 1, g), np.full((1, g), 90.0)
    held = 0
    for seed in range(200):
        x = rng.binomial(90, p)[None]
        held += holds(Sample(x / n, n, 0 * n, n_draws=400, seed=seed), rates)
    assert held / 200 >= 0.90


def test_coverage_of_the_larger_of_two_gaps():
    rng = np.random.default_rng(3)
    n, p, held = np.full((2, 3), 100.0), np.array([[0.3, 0.4, 0.5], [0.2, 0.2, 0.1]]), 0
    for seed in range(200):
        x = rng.binomial(100, p)
        held += holds(Sample(x / n, n, 0 * n, n_draws=400, seed=seed), 0.2)
    assert held / 200 >= 0.90


def test_coverage_of_means():
    rng = np.random.default_rng(4)
    n, held = np.full((1, 4), 12.0), 0
    for seed in range(200):
        rows = rng.normal([0, 0, 0, 1.0], 1.0, size=(12, 4))
        sample = Sample(
            rows.mean(axis=0)[None], n, rows.std(axis=0, ddof=1)[None] / np.sqrt(12), "mean", 400, seed
        )
        held += holds(sample, 1.0)
    assert held / 200 >= 0.90


def test_holds_says_what_the_interval_says():
    n = np.full((1, 4), 120.0)
    sample = Sample(np.array([[0.3, 0.42, 0.35, 0.5]]), n, 0 * n, n_draws=1000)
    _, low, high, _ = interval_of(sample, 0.05)
    assert not holds(sample, low - 0.02) and holds(sample, low + 0.01)
    assert holds(sample, high - 0.01) and not holds(sample, high + 0.02)
    assert holds(sample, 0.2) and not holds(sample, 0.0)


def test_groups_without_rows_are_left_out_and_one_group_has_no_gap():
    found = gap_interval([30, 0, 50], [100, 0, 100], groups=["a", "b", "c"])
    assert found.gap == pytest.approx(0.2) and len(found.pairs) == 1
    assert np.isnan(found.groups.set_index("group").loc["b", "value"])
    alone = gap_interval([3], [10])
    assert all(np.isnan(each) for each in (alone.gap, alone.low, alone.high, alone.p_value, alone.ratio))
    assert alone.pairs.empty and not alone.shown


def test_extreme_rates_keep_open_what_is_unknown():
    never = gap_interval([0, 0], [30, 30])
    assert never.gap == 0 and never.low == 0 and 0.05 < never.high < 0.2 and np.isnan(never.ratio)
    always = gap_interval([30, 30], [30, 30])
    assert 0.05 < always.high < 0.2 and always.ratio == 1
    single = gap_interval([1, 0], [1, 1])  # one row a group: nothing is shown
    assert single.low == 0 and single.high == pytest.approx(1, abs=0.05)


def test_means_that_do_not_vary_and_thin_groups():
    found = mean_gap_interval([1.0, 1.0], [0.0, 0.0], [5, 5])
    assert found.gap == 0 and found.low == 0
    assert np.isnan(mean_gap_interval([1.0, 2.0], [1.0, np.nan], [5, 1]).gap)
    two = mean_gap_interval([0.0, 1.0], [1.0, 1.0], [5, 5])  # t with few rows is wider than normal
    assert two.high - two.low > 2 * 1.96 * np.sqrt(0.4) * 0.8


def test_two_means_agree_with_welch():
    found = mean_gap_interval([10.0, 12.0], [3.0, 4.0], [40, 50])
    error = np.sqrt(9 / 40 + 16 / 50)
    freedom = error**4 / ((9 / 40) ** 2 / 39 + (16 / 50) ** 2 / 49)
    reach = stats.t.ppf(0.975, freedom) * error
    pair = found.pairs.iloc[0]
    assert [pair["low"], pair["high"]] == pytest.approx([2 - reach, 2 + reach], abs=1e-6)


def test_many_groups_cost_little_and_hundreds_work():
    rng = np.random.default_rng(0)
    n = rng.integers(20, 500, 150)
    found = gap_interval(rng.binomial(n, 0.3), n)
    assert found.low <= found.gap <= found.high and len(found.pairs) == 150 * 149 // 2


def test_shrinkage_takes_out_noise_and_leaves_signal():
    rng = np.random.default_rng(2)
    noise = shrunken(rng.normal(0, 1, 20), np.ones(20))
    assert np.ptp(noise) < 1.5
    signal = np.array([0.0, 10.0, 20.0])
    np.testing.assert_allclose(shrunken(signal, np.ones(3)), signal, atol=0.6)


def test_same_numbers_every_time_and_global_generator_untouched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    a, b = (gap_interval([30, 45, 40], [90, 90, 90]) for _ in range(2))
    assert (a.low, a.high, a.ratio_low) == (b.low, b.high, b.ratio_low)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_bad_input_gets_one_sentence():
    with pytest.raises(DataError, match="successes must lie between 0 and counts; given '5 of 4'"):
        gap_interval([5, 1], [4, 4])
    with pytest.raises(DataError, match="one shape"):
        gap_interval([1, 2], [4, 4, 4])
    with pytest.raises(DataError, match="between 0 and counts"):
        gap_interval([np.nan, 1], [4, 4])
    with pytest.raises(ParameterError, match="alpha"):
        gap_interval([1, 1], [4, 4], alpha=0)
    with pytest.raises(DataError, match="group names"):
        gap_interval([1, 1], [4, 4], groups=["a"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gap_interval([0.5, 2.25], [4.5, 4.25])  # effective counts need not be whole


def test_far_tails_of_means_know_how_few_rows_there_are():
    found = mean_gap_interval([0.0, 5.0], [1.0, 1.0], [5, 5])
    exact = stats.ttest_ind_from_stats(0.0, 1.0, 5, 5.0, 1.0, 5, equal_var=False).pvalue
    assert exact < found.p_value < 0.01


def test_intervals_follow_alpha_beyond_the_draws():
    alphas = (0.05, 0.01, 0.002, 1e-4, 1e-6, 1e-9)
    rates = [gap_interval([50, 90, 70], [150, 150, 150], alpha=alpha) for alpha in alphas]
    means = [mean_gap_interval([0.1, 0.5, 0.2], [1, 1, 1], [400, 400, 400], alpha=alpha) for alpha in alphas]
    for found in (rates, means):
        assert (np.diff([each.high for each in found]) > 0.01).all()
        assert all(a.low > b.low or b.low == 0 for a, b in zip(found, found[1:], strict=False))
        assert all(
            (each.low > 0) == (each.p_value <= alpha) for each, alpha in zip(found, alphas, strict=True)
        )
