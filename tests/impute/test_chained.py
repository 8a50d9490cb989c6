"""Chained equations: closed forms of normal tables, draws with the right spread, rows on their own, hostile tables."""

import numpy as np
import pandas as pd
import pytest

from augsynth.core.errors import AugsynthWarning, ParameterError
from augsynth.impute import chain
from augsynth.impute.chain import is_monotone
from augsynth.impute.chained import ChainedImputer
from augsynth.impute.convergence import split_r_hat

COVARIANCE = np.array([[1.0, 0.6, 0.3], [0.6, 1.0, 0.5], [0.3, 0.5, 1.0]])


def normal_rows(rng, n):
    return rng.multivariate_normal(np.zeros(3), COVARIANCE, n)


def with_holes(x, share, rng):
    holes = rng.random(x.shape) < share
    holes[holes.all(1), 0] = False
    return np.where(holes, np.nan, x), holes


def conditional_means(holed):
    out = holed.copy()
    for row, done in zip(holed, out, strict=True):
        gone, seen = np.isnan(row), ~np.isnan(row)
        inner = COVARIANCE[np.ix_(seen, seen)]
        done[gone] = COVARIANCE[np.ix_(gone, seen)] @ np.linalg.solve(inner, row[seen])
    return out


def mixed_table(rng, n=120):
    a = rng.normal(size=n)
    table = pd.DataFrame(
        {
            "a": a,
            "b": np.round(2 * a + rng.normal(size=n)),
            "kind": pd.Categorical(np.where(a + 0.5 * rng.normal(size=n) > 0, "up", "down")),
            "town": pd.Categorical(rng.choice(["x", "y", "z"], n)),
            "own": rng.normal(size=n),  # no two rows alike: equal rows get draws of their own
        }
    )
    for name in ("a", "b", "kind"):
        table.loc[rng.random(n) < 0.25, name] = np.nan
    return table


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------ the point completion
@pytest.mark.parametrize("method", ["pmm", "bayes"])
def test_point_completion_of_normal_rows_is_the_conditional_mean(method, rng):
    holed, holes = with_holes(normal_rows(rng, 3000), 0.4, rng)
    filled = ChainedImputer(method, random_state=0).fit_transform(holed)
    error = (filled - conditional_means(holed))[holes]
    assert np.sqrt(np.mean(error**2)) < 0.05  # slopes have a standard error of about .02 each


def test_many_holes_never_make_it_worse_than_the_mean(rng):
    x = rng.normal(size=(150, 12)) + rng.normal(size=(150, 1)) * 0.3
    holed, holes = with_holes(x, 0.6, rng)
    filled = ChainedImputer("pmm", random_state=0).fit_transform(holed)
    means = np.broadcast_to(np.nanmean(holed, axis=0), x.shape)
    assert np.mean((filled - x)[holes] ** 2) < 1.02 * np.mean((means - x)[holes] ** 2)


def test_columns_complete_in_fit_are_filled_later(rng):
    x = normal_rows(rng, 400)
    imputer = ChainedImputer("pmm", random_state=0).fit(x)
    assert imputer.transform([[np.nan, 2.0, 0.0]])[0, 0] == pytest.approx(0.6 * 2, abs=0.4)
    imputer = ChainedImputer("bayes", random_state=0).fit(x)
    drawn = imputer.impute(np.tile([[np.nan, 2.0, 0.0]], (200, 1)), m=1)[0][:, 0]
    assert drawn.mean() == pytest.approx(1.2, abs=0.4)  # se of the mean .06, of the slopes .1
    assert drawn.std() == pytest.approx(0.8, abs=0.15)  # se .04


# ------------------------------------------------------------------ draws
@pytest.mark.parametrize("method", ["pmm", "bayes"])
def test_draws_keep_means_spreads_and_correlations(method, rng):
    x = normal_rows(rng, 2000)
    holed, _ = with_holes(x, 0.3, rng)
    drawn = np.concatenate(ChainedImputer(method, random_state=0).fit(holed).impute(holed, m=2))
    assert np.abs(drawn.mean(0)).max() < 0.12  # se of a mean .03
    assert np.abs(np.cov(drawn.T) - COVARIANCE).max() < 0.12  # se of a variance .04


def test_draws_vary_between_completions_as_much_as_the_theory_says(rng):
    # one incomplete column: the share of the variance of its mean that lies between completions
    n, m = 400, 60
    x = normal_rows(rng, n)
    x[: n // 2, 0] = np.nan
    means = [d[:, 0].mean() for d in ChainedImputer("bayes", random_state=0).fit(x).impute(x, m)]
    rest = 1 - COVARIANCE[0, 1:] @ np.linalg.solve(COVARIANCE[1:, 1:], COVARIANCE[1:, 0])
    k = n // 2
    # half the rows drawn with noise, around a regression that is known up to rest / k
    truth = 0.25 * (rest / k + rest / k)
    assert np.var(means, ddof=1) == pytest.approx(truth, rel=0.6)  # se of a variance of 60: 18 %


def test_matched_draws_are_observed_values(rng):
    table = mixed_table(rng)
    for drawn in ChainedImputer("pmm", random_state=0).fit(table).impute(table, m=2):
        assert drawn.notna().all().all()
        for name in table:
            assert drawn[name].isin(table[name].dropna()).all()


def test_a_nested_pattern_takes_one_pass_given_the_columns_before(rng):
    x = normal_rows(rng, 1500)
    x[:900, 2] = np.nan
    x[:500, 1] = np.nan
    imputer = ChainedImputer("bayes", random_state=0).fit(x)
    assert imputer.monotone_
    drawn = np.concatenate(imputer.impute(x, m=3))
    assert np.abs(np.cov(drawn.T) - COVARIANCE).max() < 0.15
    # a row that breaks the pattern goes through the rounds, and changes no other
    odd = np.array([[np.nan, 1.0, np.nan]])
    both = imputer.impute(np.vstack([x[:20], odd]), m=1, random_state=3)[0]
    assert np.array_equal(both[:20], imputer.impute(x[:20], m=1, random_state=3)[0])


def test_monotone_means_nested():
    assert is_monotone(np.array([[0, 0, 1], [0, 1, 1], [0, 0, 0]], dtype=bool))
    assert not is_monotone(np.array([[0, 1, 0], [0, 0, 0]], dtype=bool))


# ------------------------------------------------------------------ rows on their own
@pytest.mark.parametrize("method", ["pmm", "bayes"])
def test_rows_of_a_subset_get_what_they_get_among_all(method, rng):
    table = mixed_table(rng)
    imputer = ChainedImputer(method, random_state=0).fit(table)
    order = rng.permutation(len(table))[:50]
    part = table.iloc[order]
    pd.testing.assert_frame_equal(imputer.transform(part), imputer.transform(table).iloc[order])
    # all training rows: drawn in the chain itself; some of them: they ride on it
    whole = imputer.impute(table, m=2, random_state=5)
    for mine, theirs in zip(imputer.impute(part, m=2, random_state=5), whole, strict=True):
        pd.testing.assert_frame_equal(mine, theirs.iloc[order])


def test_riders_come_in_blocks(rng, monkeypatch):
    table = mixed_table(rng)
    imputer = ChainedImputer("pmm", n_rounds=2, random_state=0).fit(table)
    whole = imputer.impute(table.iloc[:50], m=1, random_state=1)[0]
    monkeypatch.setattr(chain, "_RIDERS", 17)
    pd.testing.assert_frame_equal(imputer.impute(table.iloc[:50], m=1, random_state=1)[0], whole)


def test_riders_do_not_touch_the_chain(rng):
    table = mixed_table(rng)
    imputer = ChainedImputer("pmm", random_state=0).fit(table)
    extra = table.iloc[:35].copy()  # the last rows are new, and miss what no training row does
    extra.loc[30:, "own"] = np.nan
    extra.loc[30:, "b"] = 99.0
    with_extra = imputer.impute(extra, m=1, random_state=1)[0].iloc[:30]
    pd.testing.assert_frame_equal(with_extra, imputer.impute(table.iloc[:30], m=1, random_state=1)[0])


def test_target_informs_and_may_be_withheld(rng):
    x = normal_rows(rng, 1000)
    y, table = x[:, 0].copy(), pd.DataFrame(x[:, 1:], columns=["b", "c"])
    truth = table["b"].copy()
    table.loc[:299, "b"] = np.nan
    imputer = ChainedImputer("pmm", use_target=True, random_state=0).fit(table, y)
    told = np.mean((imputer.fill(table, y)["b"] - truth)[:300] ** 2)
    untold = np.mean((imputer.transform(table)["b"] - truth)[:300] ** 2)
    assert told < 0.9 * untold
    drawn = imputer.impute(table, m=1, y=y)[0]
    assert np.corrcoef(drawn["b"][:300], y[:300])[0, 1] == pytest.approx(0.6, abs=0.15)  # se .04


# ------------------------------------------------------------------ traces
def test_trace_and_its_r_hat(rng):
    table = mixed_table(rng)
    imputer = ChainedImputer("pmm", random_state=0).fit(table)
    trace = imputer.trace(m=3, n_rounds=25, random_state=0)
    assert len(trace) == 3 * 25 * 3
    assert set(trace["column"]) == {"a", "b", "kind"}
    assert trace.loc[trace["column"] == "kind", "mean"].between(0, 1).all()
    found = split_r_hat(trace)
    assert (found["mean"] < 1.25).all()
    pd.testing.assert_frame_equal(trace, imputer.trace(m=3, n_rounds=25, random_state=0))


def test_r_hat_sees_chains_that_disagree():
    rounds = np.tile(np.arange(20), 2)
    trace = pd.DataFrame({"chain": np.repeat([0, 1], 20), "round": rounds, "column": "a"})
    trace["mean"], trace["sd"] = trace["chain"] * 5.0 + np.sin(rounds), 1.0
    found = split_r_hat(trace).loc["a"]
    assert found["mean"] > 3
    assert np.isnan(found["sd"])


# ------------------------------------------------------------------ parameters and hostile tables
def test_methods_by_column(rng):
    table = mixed_table(rng)
    imputer = ChainedImputer({"a": "bayes", "b": "pmm", "kind": "pmm", "town": "pmm", "own": "pmm"}).fit(
        table
    )
    assert imputer.methods_ == {"a": "bayes", "b": "pmm", "kind": "pmm", "town": "pmm", "own": "pmm"}
    with pytest.raises(ParameterError, match="keys of method must be columns; given 'c'"):
        ChainedImputer({"c": "pmm"}).fit(table)
    with pytest.raises(ParameterError, match="every value of method"):
        ChainedImputer({"a": "magic"}).fit(table)
    with pytest.raises(ParameterError, match="method must be"):
        ChainedImputer("magic").fit(table)
    for bad in ({"n_rounds": 0}, {"n_donors": 0}, {"max_rows": 1}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            ChainedImputer("pmm", **bad).fit(table)


def test_max_rows_keeps_cells_of_every_column(rng):
    x = normal_rows(rng, 2000)
    x[5:, 1] = np.nan
    x[::3, 0] = np.nan
    imputer = ChainedImputer("pmm", max_rows=50, random_state=0).fit(x)
    assert 50 <= len(imputer.chain_.z) <= 55
    assert (~np.isnan(imputer.chain_.z)).any(axis=0).all()
    assert not np.isnan(imputer.transform(x)).any()
    assert not np.isnan(imputer.impute(x, m=1)[0]).any()


@pytest.mark.filterwarnings("ignore::augsynth.core.errors.AugsynthWarning")
@pytest.mark.parametrize("method", ["pmm", "bayes"])
@pytest.mark.parametrize(
    "case", ["twins", "wide", "one value", "two rows", "separated", "huge", "full row missing"]
)
def test_hostile_tables(method, case, rng):
    x = rng.normal(size=(40, 3))
    if case == "twins":
        x = np.column_stack([x, x[:, 0], 2 * x[:, 1]])
    elif case == "wide":
        x = rng.normal(size=(15, 30))
    elif case == "two rows":
        x = x[:2]
    elif case == "separated":
        x[:, 2] = x[:, 0] > 0
    elif case == "huge":
        x *= 1e140
    holed, _ = with_holes(x, 0.2, rng)
    if case == "two rows":
        holed = np.array([[1.0, np.nan, 3.0], [2.0, 5.0, np.nan]])
    elif case == "one value":
        holed[1:, 1] = np.nan
    elif case == "full row missing":
        holed[3] = np.nan
    frame = pd.DataFrame(holed).add_prefix("c")
    if case == "separated":
        frame["c2"] = pd.Categorical(frame["c2"].map({0.0: "no", 1.0: "yes"}))
    imputer = ChainedImputer(method, n_rounds=4, random_state=0).fit(frame)
    for filled in (imputer.transform(frame), *imputer.impute(frame, m=2)):
        assert filled.notna().all().all()
        numbers = filled.select_dtypes("number").to_numpy()
        assert np.isfinite(numbers).all()
        assert np.abs(numbers).max() <= 20 * np.nanmax(np.abs(x))


def test_says_so_when_there_is_nothing_to_learn(rng):
    x, _ = with_holes(rng.normal(size=(400, 4)), 0.3, rng)
    x[:, 1] = np.where(np.isnan(x[:, 1]), np.nan, rng.normal(size=400))
    imputer = ChainedImputer("pmm", random_state=0)
    try:
        imputer.fit(x)
    except AugsynthWarning as warning:  # the tests turn warnings into errors
        assert "mean" in str(warning)
