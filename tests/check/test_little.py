"""Little's test: its level, its power, what it says, and the EM under it."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from augsynth.check.imputers import little, normal_em
from augsynth.check.imputers.little import little_mcar
from augsynth.check.imputers.normal_em import fit_normal
from augsynth.core import normal
from augsynth.core.errors import DataError
from augsynth.impute.amputation import ampute


def related(n, p=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)) @ (np.eye(p) + 0.5 * rng.normal(size=(p, p)))


def test_em_of_a_monotone_pattern_is_the_closed_form():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    y = 0.7 * x + rng.normal(size=400)
    z = np.column_stack([x, np.where(x > 0.3, np.nan, y)])
    whole = ~np.isnan(z[:, 1])
    slope, start = np.polyfit(x[whole], y[whole], 1)  # factored likelihood: Anderson 1957
    rest = np.var(y[whole] - start - slope * x[whole])
    fit = fit_normal(z, tol=1e-10, max_iter=5000)
    assert np.allclose(fit.mean, [x.mean(), start + slope * x.mean()], atol=1e-5)
    expected = [[x.var(), slope * x.var()], [slope * x.var(), rest + slope**2 * x.var()]]
    assert np.allclose(fit.covariance, expected, atol=1e-5)
    assert np.abs(fit.scores.sum(axis=0)).max() < 1e-4


def test_statistic_of_two_patterns_is_littles_formula():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(200, 2)) + [0, 1]
    z[:80, 1] = np.nan
    found = little_mcar(z)
    scaled = np.column_stack([(c - np.nanmean(c)) / np.nanstd(c) for c in z.T])
    fit = fit_normal(scaled, tol=1e-12, max_iter=10_000)
    covariance = fit.covariance * len(z) / (len(z) - 1)
    one = scaled[:80, 0].mean() - fit.mean[0]
    two = scaled[80:].mean(axis=0) - fit.mean
    expected = 80 * one**2 / covariance[0, 0] + 120 * two @ np.linalg.solve(covariance, two)
    assert found.statistic == pytest.approx(expected, rel=1e-3)
    assert found.df == 1 + 2 - 2 and found.patterns == 2
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1))


@pytest.mark.parametrize("patterns", [None, [[0], [1, 2]]])
def test_level_under_mcar(patterns):
    p = np.array(
        [
            little_mcar(ampute(related(200, seed=s), "MCAR", 0.2, patterns=patterns, random_state=s)).p_value
            for s in range(200)
        ]
    )
    # 200 tests at 5 %: standard error 1.5 %, so between 0.4 and 9.6 % at three of them
    assert 0.004 <= (p < 0.05).mean() <= 0.096
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_power_under_mar_and_what_is_said():
    names = list("abcd")
    rejected = 0
    for seed in range(20):
        frame = pd.DataFrame(related(300, seed=seed), columns=names)
        found = little_mcar(ampute(frame, "MAR", 0.25, patterns=[["a"]], random_state=seed, strength=2))
        rejected += found.verdict == "rejects MCAR"
    assert rejected >= 19
    text = str(found)
    assert "MNAR" in text and "no test on these data can" in text
    assert "where a is missing" in text
    assert found.to_frame()["missing"].eq("a").all()
    json.dumps(found.to_dict(), allow_nan=False)


def test_complete_rows_are_nothing_to_test():
    found = little_mcar(related(50))
    assert found.verdict == "nothing to test" and np.isnan(found.p_value)
    assert "No cell is missing: there is nothing to compare." in str(found)
    json.dumps(found.to_dict(), allow_nan=False)
    column_less = np.column_stack([related(50), np.full(50, np.nan)])
    assert "The same cells are missing in every row" in str(little_mcar(column_less))


def test_no_evidence_is_no_proof():
    text = str(little_mcar(ampute(related(300), "MCAR", 0.2, random_state=1)))
    assert "no evidence against MCAR" in text and "no proof" in text


def test_categories_count_by_their_holes_only():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    frame = pd.DataFrame({"x": x, "job": np.where(x > 1, None, rng.choice(["a", "b"], 400)), "w": x * 0 + 1})
    found = little_mcar(frame)
    assert found.columns == ["x"] and found.left_out == ["job", "w"]
    assert found.verdict == "rejects MCAR" and "only their holes count" in str(found)


def test_pools_are_cut_by_patterns():
    X = ampute(related(150, p=8), "MCAR", 0.4, random_state=0)
    found = little_mcar(X)
    assert found.patterns > 100 and found.pools <= 15
    assert found.df <= found.pools * 8 - 8
    big = little_mcar(np.repeat(X, 3, axis=0), max_rows=200, random_state=0)
    assert big.rows == 200 and "A sample of 200 of 450 rows" in str(big)


def test_hostile_columns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    frame = pd.DataFrame(
        {
            "huge": x * 1e140,
            "twin": x,
            "same": x,
            "day": pd.date_range("2020", periods=200).where(rng.random(200) > 0.2),
            "skew": np.exp(3 * rng.normal(size=200)),
            "nullable": pd.array(rng.integers(0, 5, 200), dtype="Int64"),
        }
    )
    frame.loc[rng.random(200) < 0.2, "twin"] = np.nan
    frame.loc[5] = pd.NA
    found = little_mcar(frame)
    assert np.isfinite(found.statistic) and found.df > 0
    assert "strongly skewed" in str(found) and "without any value" in str(found)
    with pytest.raises(DataError, match="numeric column that varies"):
        little_mcar(pd.DataFrame({"a": ["x", None]}))
    with pytest.raises(DataError, match="at least 6 rows"):
        little_mcar(ampute(related(5), "MCAR", 0.2, random_state=0))
    with pytest.raises(DataError, match="finite"):
        little_mcar(np.array([[1.0, np.inf], [2.0, np.nan], [1.0, 2.0], [4.0, 2.0]]))


def test_batches_are_the_same_as_all_at_once_and_wide_tables_are_cut(monkeypatch):
    rng = np.random.default_rng(11)
    z = rng.normal(size=(200, 5))
    z[rng.random(z.shape) < 0.3] = np.nan
    z = z[~np.isnan(z).all(axis=1)]
    whole, test = fit_normal(z), little_mcar(z)
    direct = np.zeros((5, 5))
    for row in z[:40]:
        at = np.ix_(*[np.flatnonzero(~np.isnan(row))] * 2)
        direct[at] += np.linalg.inv(whole.covariance[at])
    np.testing.assert_allclose(whole.information(np.arange(40)), direct)
    for module in (normal, normal_em):
        monkeypatch.setattr(module, "MOST", 75)  # three matrices at once
    parts = fit_normal(z)
    np.testing.assert_allclose(parts.scores, whole.scores, atol=1e-9)
    np.testing.assert_allclose(parts.covariance, whole.covariance, atol=1e-9)
    monkeypatch.setattr(little, "_MOST_COLUMNS", 3)
    cut = little_mcar(z)
    assert len(cut.columns) == 3 and len(cut.left_out) == 2 and cut.df < test.df
    assert "Of 5 numeric columns the 3 with the most values" in str(cut)
