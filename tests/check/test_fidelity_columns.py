"""Columns and pairs: figures by formula, planted defects, what is left alone."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from augsynth.check.fidelity import associations, column_distances, tail_shares
from augsynth.check.fidelity.marginals import Marginals
from augsynth.check.fidelity.novelty import NewCategories
from augsynth.check.fidelity.pairs import Pairs
from augsynth.check.fidelity.tails import Tails
from augsynth.check.fidelity.trend import Trend
from augsynth.check.gathering import gather

RNG = np.random.default_rng


def table(n, rng):
    """Return 16 columns: a curve, a strong pair, plain noise, categories, gaps."""
    x = rng.normal(size=n)
    columns = {"x": x, "curve": x**2 + 0.3 * rng.normal(size=n), "pair": 0.9 * x + 0.44 * rng.normal(size=n)}
    columns |= {f"noise{k}": rng.normal(size=n) for k in range(9)}
    columns["wage"] = rng.exponential(size=n)
    columns["gaps"] = np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n))
    columns["town"] = rng.choice(list("abcdef"), n, p=[0.4, 0.25, 0.2, 0.1, 0.04, 0.01])
    columns["kind"] = np.where(x + rng.normal(size=n) > 0, "yes", "no")
    return pd.DataFrame(columns), (x + rng.normal(size=n) > 0.5).astype(int)


def evidence(defect=lambda X: X, n=1200, seed=0):
    rng = RNG(seed)
    (X, y), (X_new, y_new), held = table(2 * n, rng), table(n, rng), table(n, rng)
    return gather(X, y, defect(X_new), y_new, holdout=held)


def found(check, **changes):
    return check.run(evidence(lambda X: X.assign(**changes)), RNG(1))


@pytest.fixture(scope="module")
def fair():
    return evidence(seed=5)


@pytest.mark.parametrize(
    "check", [Marginals(), Tails(), NewCategories(), Pairs(), Trend()], ids=lambda c: c.name
)
def test_honest_rows_pass_and_lie_near_their_null_value(fair, check):
    got = check.run(fair, RNG(0))
    assert got.p_value > 0.02
    assert got.low <= got.null <= got.high or abs(got.value - got.null) < 0.3 * got.null
    assert got.value == pytest.approx(check.value(fair, RNG(0)), rel=1e-5)
    assert got.sentence.endswith(".")


def test_column_distances_are_the_ks_and_the_total_variation_distance():
    rng = RNG(0)
    x, y = rng.normal(size=80), rng.normal(size=130).round(1)
    c, d = rng.integers(0, 4, 80), rng.integers(1, 6, 130)
    x[:5], y[-3:] = np.nan, np.nan
    ours = column_distances(np.column_stack([x, c]), np.column_stack([y, d]), categorical=[1])
    assert ours[0] == pytest.approx(stats.ks_2samp(x[5:], y[:-3]).statistic, abs=1e-12)
    shares = [np.bincount(each, minlength=6) / len(each) for each in (c, d)]
    assert ours[1] == pytest.approx(0.5 * np.abs(shares[0] - shares[1]).sum(), abs=1e-12)


def test_tail_shares_count_rows_beyond_real_quantiles():
    real = np.arange(1000.0)[:, None]
    assert tail_shares(real, real)[0].tolist() == [0.01, 0.01, 0.01, 0.01]
    assert tail_shares(real / 2 + 250, real)[0].tolist() == [0.0, 0.01, 0.0, 0.01]


def test_one_broken_column_among_sixteen_is_found_and_named():
    got = found(Marginals(), noise3=RNG(9).normal(size=1200) + 0.3)
    assert got.p_value < 5e-4
    assert got.details["columns"]["column"][0] == "noise3"
    assert (got.details["columns"]["p_holm"] <= 0.05).sum() == 1
    assert "noise3" in got.sentence


def test_too_few_gaps_are_found():
    got = found(Marginals(), gaps=RNG(9).normal(size=1200))
    assert got.p_value < 5e-4
    assert got.details["columns"]["column"][0] == "gaps"
    assert "missing in 0.0% of new" in got.sentence


@pytest.mark.parametrize("how", ["cut", "longer", "narrow"])
def test_tails_that_are_off_are_found(how):
    wage = RNG(9).exponential(size=1200)
    made = {
        "cut": {"wage": wage.clip(max=np.quantile(wage, 0.97))},
        "longer": {"wage": np.where(wage > np.quantile(wage, 0.95), wage + 6.0, wage)},
        "narrow": {"noise0": 0.8 * RNG(3).normal(size=1200)},
    }[how]
    got = found(Tails(), **made)
    assert got.p_value < 2.5e-3
    assert got.details["columns"]["column"][0] == next(iter(made))


def test_dropped_and_new_levels_are_found():
    base = evidence().made.X["town"]
    dropped = found(NewCategories(), town=base.replace("e", "a"))
    assert dropped.p_value < 5e-4
    assert "lack 'e' of town" in dropped.sentence
    novel = found(NewCategories(), town=base.where(np.arange(1200) % 40 > 0, "z"))
    assert novel.p_value < 5e-4
    assert novel.value == pytest.approx(0.025, abs=0.02)
    assert "town" in novel.sentence


def test_numbers_out_of_range_are_found():
    got = found(NewCategories(), noise1=np.where(np.arange(1200) % 40, RNG(9).normal(size=1200), 99.0))
    assert got.p_value < 5e-4
    assert "noise1" in got.sentence


# ---- pairs
def test_association_of_normal_columns_is_their_correlation():
    rng = RNG(0)
    x = rng.normal(size=20_000)
    y = 0.6 * x + 0.8 * rng.normal(size=20_000)
    got = associations(np.column_stack([x, y, -y, rng.integers(0, 5, 20_000)]), categorical=[3])
    assert got[0, 1] == pytest.approx(0.6, abs=0.04)  # eight classes lose some of it
    assert got[0, 2] == -got[0, 1]
    assert abs(got[:3, 3]).max() < 0.03


def test_cramers_v_by_hand():
    codes = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [40, 10, 20, 30], axis=0).astype(float)
    n, chi2 = 100, stats.chi2_contingency([[40, 10], [20, 30]], correction=False).statistic
    phi = chi2 / n - 1 / (n - 1)
    free = 2 - 1 / (n - 1) - 1
    assert associations(codes, categorical=[0, 1])[0, 1] == pytest.approx(np.sqrt(phi / free), abs=1e-6)


def test_a_destroyed_correlation_is_found_by_pairs():
    mixed = RNG(9).permutation(evidence().made.X["pair"].to_numpy())
    got = found(Pairs(), pair=mixed)
    assert got.p_value < 1e-6
    worst = got.details["pairs"].iloc[0]
    assert {worst["first"], worst["second"]} == {"x", "pair"}
    matrix = got.details["matrix_difference"]
    assert matrix.shape == (17, 17)
    assert np.array_equal(matrix, matrix.T)
    assert abs(matrix[0, 2]) > 0.7


def test_a_destroyed_curve_without_correlation_is_found_by_trend():
    mixed = RNG(9).permutation(evidence().made.X["curve"].to_numpy())
    got = found(Trend(), curve=mixed)
    assert got.p_value < 1e-6
    assert "curve" in (got.details["worst_of"], got.details["worst_given"])
    assert got.value > got.null


def test_a_lost_spread_is_found_by_trend():
    def even(X):
        return X.assign(noise0=X["noise0"] * 1.0)

    rng = RNG(3)
    real = pd.DataFrame({"a": rng.normal(size=3000)})
    real["b"] = rng.normal(size=3000) * np.exp(0.5 * real["a"])
    new = even(real[:1000].assign(noise0=0.0)).drop(columns="noise0")
    new["b"] = rng.permutation(new["b"].to_numpy())
    got = Trend().run(gather(real[1000:2000], None, new, None, holdout=(real[2000:], None)), RNG(0))
    assert got.p_value < 1e-3
    assert "spread of b given a" in got.sentence


def test_independent_columns_pass_marginals_and_fail_pairs():
    rng = RNG(4)
    made = evidence().made.X
    mixed = {name: rng.permutation(made[name].to_numpy()) for name in ("x", "pair", "curve", "kind")}
    assert found(Marginals(), **mixed).p_value > 0.01
    assert found(Pairs(), **mixed).p_value < 1e-6


def test_coarse_tables_without_anything_new_pass():
    def draw(seed):
        return pd.DataFrame({c: RNG(seed + j).integers(3, size=300).astype(str) for j, c in enumerate("abc")})

    coarse = gather(draw(0), None, draw(10), None, holdout=(draw(20), None))
    assert NewCategories().run(coarse, RNG(0)).p_value == 1.0
