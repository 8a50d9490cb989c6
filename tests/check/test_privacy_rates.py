"""Exact tests, areas and hit rates against worked examples; the shadow attack."""

import numpy as np
import pytest
from scipy import stats
from sklearn.frozen import FrozenEstimator

from augsynth.check.intervals import wilson
from augsynth.check.permutation import stratified_p_value, worded
from augsynth.check.privacy import auc_interval, hit_rate, shadow_attack, singling_out_risk
from augsynth.check.privacy.flips import flip_sum_p_value, flipped
from augsynth.check.privacy.predicates import met, multivariate, univariate
from augsynth.check.privacy.twins import count_twins
from augsynth.core.errors import DataError, LeakError, ParameterError
from augsynth.encode.layout import Block, Layout
from augsynth.registry import build


def test_delong_by_hand():
    """Variance of the placements: V10 = (1, 1/3, 2/3), V01 = (2/3, 1, 1/3)."""
    area, low, high = auc_interval(np.array([9.0, 3.0, 5.0]), np.array([4.0, 1.0, 6.0]))
    assert area == pytest.approx(2 / 3)
    error = np.sqrt((1 / 9) / 3 + (1 / 9) / 3)
    assert low == pytest.approx(max(0.0, 2 / 3 - 1.959964 * error))
    assert high == pytest.approx(min(1.0, 2 / 3 + 1.959964 * error))


def test_delong_covers():
    """Normal scores one standard deviation apart: AUC = Phi(1 / sqrt 2); 300 runs, standard error 1.3 %."""
    rng, truth, inside = np.random.default_rng(0), stats.norm.cdf(1 / np.sqrt(2)), 0
    for _ in range(300):
        _, low, high = auc_interval(rng.normal(size=150) + 1.0, rng.normal(size=100))
        inside += low <= truth <= high
    assert 0.91 <= inside / 300 <= 0.985


def test_hit_rate_is_clopper_pearson():
    members, others = np.arange(100.0), np.arange(100.0) - 90.0
    found = hit_rate(members, others, 0.01)  # one other (9) may lie at the limit: members above 8
    assert found.rate == 0.91 and found.false_alarms == 0.01
    assert found.low == pytest.approx(stats.beta.ppf(0.025, 91, 10))
    assert found.high == pytest.approx(stats.beta.ppf(0.975, 92, 9))


def test_flip_sums_agree_with_enumeration():
    rng = np.random.default_rng(1)
    terms = rng.integers(-4, 6, size=10)
    signs = 1 - 2 * ((np.arange(2**10)[:, None] >> np.arange(10)) & 1)
    sums = signs @ np.abs(terms)
    assert flip_sum_p_value(terms) == pytest.approx(np.mean(sums >= terms.sum()))
    assert flip_sum_p_value(np.ones(200, dtype=int)) == pytest.approx(2.0**-200)
    assert flip_sum_p_value(np.zeros(3, dtype=int)) == 1.0


def test_flips_swap_whole_pairs():
    labels = flipped(6, 50, np.random.default_rng(0))
    assert (labels[:, :6] != labels[:, 6:]).all()
    assert abs(labels[:, :6].mean() - 0.5) < 0.15


def test_strata_agree_with_fisher_and_with_convolution():
    fisher = stats.fisher_exact([[7, 13], [2, 28]], alternative="greater").pvalue
    assert stratified_p_value([7], [20], [9], [50]) == pytest.approx(fisher)
    first, second = stats.hypergeom(10, 4, 5), stats.hypergeom(8, 3, 4)
    both = sum(first.pmf(i) * second.pmf(j) for i in range(5) for j in range(4) if i + j >= 5)
    assert stratified_p_value([3, 2], [5, 4], [4, 3], [10, 8]) == pytest.approx(both)
    many = stratified_p_value([2600], [5000], [5000], [10_000])
    assert many == pytest.approx(stats.norm.sf(99.5 / np.sqrt(5000 * 0.25 * 5000 / 9999)), rel=1e-6)


def test_wilson_agrees_with_scipy():
    expected = stats.binomtest(13, 40).proportion_ci(0.95, "wilson")
    assert wilson(13 / 40, 40) == pytest.approx((expected.low, expected.high))
    assert np.isnan(wilson(0.5, 0)).all()


def test_level_of_the_twin_test_on_coarse_rows():
    """100 runs of rows among which half have a twin; 5 expected at most, standard error 2.2."""
    chances = 1.0 / np.arange(1, 2001)
    chances /= chances.sum()
    alarms = 0
    for run in range(100):
        rng = np.random.default_rng([run, 5])
        made, train, holdout = rng.choice(2000, size=(3, 400), p=chances)
        alarms += count_twins(made, train, holdout).p_value <= 0.05
    assert alarms <= 9


def test_predicates_hold_for_one_new_row_and_no_column_dominates():
    rng = np.random.default_rng(0)
    z = np.column_stack([rng.normal(size=300), rng.normal(size=300), rng.integers(5, size=300)])
    layout = Layout((Block("a"), Block("b"), Block("c", n_levels=5)))
    one = univariate(z, layout, 100, rng)
    counts = np.bincount(one.columns[:, 0], minlength=3)
    assert counts[0] == counts[1] and counts[2] == 0 and len(one) <= 100
    several = multivariate(z, layout, 100, rng)
    for each in (one, several):
        asked, _ = met(each, z)
        assert (np.bincount(asked, minlength=len(each)) == 1).all()


def test_risk_of_singling_out():
    assert np.isnan(singling_out_risk(0, 0, 0)).all()
    assert singling_out_risk(50, 50, 100)[0] == 0.0
    risk, low, high = singling_out_risk(500, 0, 1000)
    assert risk == 0.5 and 0.46 < low < 0.48 and 0.52 < high < 0.54


def test_shadow_attack_tells_a_copier_from_a_fit():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(240, 5)), np.arange(240) % 2
    copier = build("generator", {"kind": "bootstrap"})
    found = shadow_attack(copier, X, y, n_pairs=2, random_state=1)
    assert found.auc > 0.75 and found.p_value < 1e-6 and found.low > 0.6
    assert found.fits == 4 and len(found.records) == 240 and "give" in str(found)
    honest = shadow_attack(build("generator", {"kind": "independent"}), X, y, n_pairs=2, random_state=1)
    assert honest.low < 0.55 < found.auc
    again = shadow_attack(copier, X, y, n_pairs=2, random_state=1)
    assert again.auc == found.auc and again.p_value == found.p_value


def test_shadow_attack_refuses():
    X, copier = np.zeros((30, 2)), build("generator", {"kind": "bootstrap"})
    with pytest.raises(DataError, match="40 records"):
        shadow_attack(copier, X)
    with pytest.raises(ParameterError):
        shadow_attack(copier, X, n_pairs=1)
    with pytest.raises(LeakError):
        shadow_attack(FrozenEstimator(copier.fit(np.random.default_rng(0).normal(size=(50, 2)))), X)


def test_sentences_claim_only_what_their_p_value_supports():
    ends = [worded("A share", ": rows were copied", p, ": no sign") for p in (1e-5, 0.004, 0.04, 0.2, np.nan)]
    assert ends[0] == "A share: rows were copied."
    assert ends[1] == "A share; a figure which chance alone makes in 4 of 1,000 cases."
    assert ends[2] == "A share; a figure which chance alone makes in 4 of 100 cases."
    assert ends[3] == ends[4] == "A share: no sign."
    located = worded("Off", "; worst: a", 0.004, claimed=0.01)
    assert located == "Off; worst: a; a figure which chance alone makes in 4 of 1,000 cases."
