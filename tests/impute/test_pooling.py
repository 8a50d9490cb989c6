"""Rubin's rules against arithmetic written out, limits, and simulations with a known truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from augsynth.core.errors import DataError, ParameterError
from augsynth.impute.pooling import pool, pool_models

# The first five of ten imputations of a fitness table of 31 rows, as printed in the documentation
# of SAS (PROC MIANALYZE, "Reading means and standard errors"): mean oxygen intake and its error.
OXYGEN = [47.0120, 47.2407, 47.4995, 47.1485, 47.0042]
ERRORS = [0.95984, 0.93540, 1.00766, 0.95439, 0.96528]


def test_a_published_example_worked_by_hand():
    pooled = pool(OXYGEN, np.square(ERRORS), dof_complete=30)
    assert pooled.estimate == pytest.approx((47.0120 + 47.2407 + 47.4995 + 47.1485 + 47.0042) / 5)
    # deviations from 47.18098: -.16898, .05972, .31852, -.03248, -.17678
    assert pooled.between == pytest.approx(
        (0.028554 + 0.003566 + 0.101455 + 0.001055 + 0.031251) / 4, rel=1e-4
    )
    assert pooled.within == pytest.approx(
        (0.921293 + 0.874973 + 1.015379 + 0.910860 + 0.931765) / 5, rel=1e-5
    )
    assert pooled.total == pytest.approx(0.930854 + 1.2 * 0.041470, rel=1e-5)
    assert pooled.relative_increase == pytest.approx(0.049764 / 0.930854, rel=1e-4)  # .05346
    # lambda = .049764 / .980618 = .050748; old = 4 / lambda^2 = 1553.2; observed = 31 / 33 x 30 x .949252 = 26.752
    assert pooled.dof == pytest.approx(1 / (1 / 1553.2 + 1 / 26.752), rel=1e-4)
    assert pooled.dof == pytest.approx(26.298, abs=2e-3)
    assert pooled.missing_information == pytest.approx((0.053461 + 2 / (1553.2 + 3)) / 1.053461, rel=1e-4)
    assert pooled.standard_error == pytest.approx(0.980618**0.5, rel=1e-5)
    reach = stats.t.ppf(0.975, 26.298) * 0.980618**0.5
    assert (pooled.low, pooled.high) == pytest.approx((47.18098 - reach, 47.18098 + reach), rel=1e-6)
    assert pooled.statistic == pytest.approx(47.18098 / 0.980618**0.5, rel=1e-5)


def test_old_degrees_of_freedom_of_infinite_data():
    # q = 1, 2, 3 and u = 1/2: B = 1, T = 1/2 + 4/3 = 11/6, r = 8/3, lambda = 8/11, nu = 2 (11/8)^2 = 121/32
    pooled = pool([1, 2, 3], [0.5, 0.5, 0.5])
    assert pooled.total == pytest.approx(11 / 6)
    assert pooled.relative_increase == pytest.approx(8 / 3)
    assert pooled.dof == pytest.approx(121 / 32)
    assert pooled.missing_information == pytest.approx((8 / 3 + 2 / (121 / 32 + 3)) / (11 / 3))
    assert pooled.p_value == pytest.approx(2 * stats.t.sf(2 / (11 / 6) ** 0.5, 121 / 32))


def test_nothing_missing_gives_the_complete_answer():
    pooled = pool([1.5, 1.5, 1.5], [0.25, 0.25, 0.25])
    assert (pooled.between, pooled.relative_increase, pooled.missing_information) == (0, 0, 0)
    assert np.isinf(pooled.dof) and pooled.standard_error == 0.5
    assert pooled.high == pytest.approx(1.5 + 0.5 * stats.norm.ppf(0.975))
    small = pool([1.5, 1.5], [0.25, 0.25], n_rows=11)
    assert small.dof == pytest.approx(11 / 13 * 10)  # Barnard and Rubin's, a little below 10
    assert pool([1.5, 1.5], [0.25, 0.25], dof_complete=1e9).dof == pytest.approx(1e9, rel=1e-6)


def test_many_imputations_leave_only_what_is_missing():
    rng = np.random.default_rng(0)
    q = rng.normal(0, 1, 20_000)
    q = (q - q.mean()) / q.std(ddof=1)  # B = 1 exactly
    pooled = pool(q, np.ones_like(q))
    assert pooled.total == pytest.approx(2, rel=1e-4)
    assert pooled.missing_information == pytest.approx(0.5, rel=1e-3)
    assert pooled.dof == pytest.approx(4 * (len(q) - 1), rel=1e-3)


def test_no_variance_within():
    pooled = pool([1.0, 2.0, 4.0], [0.0, 0.0, 0.0], dof_complete=50)
    assert pooled.dof == 2 and np.isinf(pooled.relative_increase) and pooled.missing_information == 1
    assert pooled.total == pytest.approx(4 / 3 * np.var([1, 2, 4], ddof=1))
    sure = pool([0.0, 0.0], [0.0, 0.0])
    assert sure.standard_error == 0 and np.isnan(sure.statistic) and (sure.low, sure.high) == (0, 0)


def test_vectors_covariances_and_names():
    q = np.array([[1.0, 4.0], [2.0, 4.0], [3.0, 7.0]])
    u = np.array([[0.5, 1.0], [0.5, 2.0], [0.5, 3.0]])
    both = pool(pd.DataFrame(q, columns=["age", "dose"]), u, dof_complete=20)
    for j, name in enumerate(both.names):
        one = pool(q[:, j], u[:, j], dof_complete=20)
        row = both.to_frame().loc[name]
        for column in row.index:
            assert row[column] == pytest.approx(getattr(one, column)), column
    full = np.array([np.diag(row) for row in u])
    full[:, 0, 1] = full[:, 1, 0] = 0.1
    again = pool([pd.Series(row, index=["age", "dose"]) for row in q], full, dof_complete=20)
    pd.testing.assert_frame_equal(again.to_frame(), both.to_frame())
    assert again.between_covariance == pytest.approx(np.cov(q.T))
    assert "age" in str(again) and "3 completed tables" in str(again)
    assert both.within_covariance is None
    assert pool(q, u, n_rows=22).dof_complete == 20
    wide = pool(np.random.default_rng(0).normal(size=(3, 10_000)), np.ones((3, 10_000)))
    assert wide.total.shape == (10_000,)


def test_joint_test_worked_by_hand():
    q = np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 2.0]])  # means 2 and 1; B all ones
    u = np.array([np.diag([2.0, 1.0])] * 3)
    test = pool(q, u, names=["a", "b"]).test()
    # r = (4/3)(1/2 + 1)/2 = 1; D = (4/2 + 1/1)/(2 x 2) = 3/4; t = 2 x 2 = 4, not above 4:
    # nu = t (1 + 1/k)(1 + 1/r)^2 / 2 = 4 x 1.5 x 4 / 2 = 12
    assert test.statistic == pytest.approx(0.75)
    assert test.dof == (2, pytest.approx(12))
    assert test.p_value == pytest.approx(stats.f.sf(0.75, 2, 12))
    q4 = np.vstack([q, [[2.0, 1.0]]])  # m = 4: B = 2/3, r = (5/4)(2/3)(3/4) = 5/8, t = 6
    test = pool(q4, np.array([np.diag([2.0, 1.0])] * 4)).test()
    assert test.statistic == pytest.approx(3 / (2 * 13 / 8))
    assert test.dof == (2, pytest.approx(4 + 2 * (1 + (1 - 2 / 6) / (5 / 8)) ** 2))
    assert pool(q4, np.array([np.diag([2.0, 1.0])] * 4)).test(value=[2.0, 1.0]).statistic == 0


def test_joint_test_of_one_is_the_t_test_and_units_do_not_matter():
    q = np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 2.5]])
    u = np.array([[[2.0, 0.3], [0.3, 1.0]]] * 3)
    pooled = pool(q, u, names=["a", "b"], dof_complete=15)
    one = pooled.test(["b"])
    assert one.statistic == pytest.approx(pooled.statistic[1] ** 2)
    assert one.p_value == pytest.approx(pooled.p_value[1])
    units = np.array([1e-6, 1e6])
    scaled = pool(q * units, u * np.outer(units, units), names=["a", "b"], dof_complete=15)
    assert scaled.test().statistic == pytest.approx(pooled.test().statistic)
    assert scaled.test().dof[1] == pytest.approx(pooled.test().dof[1])


def test_scores_are_pooled_where_they_are_normal():
    shares, n = np.array([0.96, 0.98, 0.99]), 200
    u = shares * (1 - shares) / n
    pooled = pool(shares, u, transform="logit")
    plain = pool(shares, u)
    assert plain.high > 1 > pooled.high and pooled.low > 0
    odds = np.log(shares / (1 - shares))
    assert pooled.estimate == pytest.approx(1 / (1 + np.exp(-odds.mean())))
    assert pooled.within == pytest.approx((1 / (n * shares * (1 - shares))).mean())  # delta method
    z = pool([0.5, 0.6], np.full(2, (1 - 0.25) ** 2 / 97), transform="fisher")
    assert z.estimate == pytest.approx(np.tanh(np.arctanh([0.5, 0.6]).mean()))
    ratio = pool([2.0, 8.0], [0.04, 0.64], transform="log")
    assert ratio.estimate == pytest.approx(4) and ratio.standard_error == pytest.approx(4 * ratio.total**0.5)
    with pytest.raises(DataError, match="between 0 and 1"):
        pool([0.5, 1.0], [0.1, 0.0], transform="logit")


class _Fit:
    def __init__(self, params, covariance):
        self.params, self._covariance, self.df_resid = params, covariance, 17.0

    def cov_params(self):
        return self._covariance


def test_models_with_parameters_and_covariance():
    fits = [_Fit(pd.Series([1.0 + i, 2.0], index=["const", "x"]), np.eye(2)) for i in range(3)]
    pooled = pool_models(fits)
    assert pooled.names == ["const", "x"] and pooled.dof_complete == 17
    assert pooled.estimate == pytest.approx([2, 2])
    with pytest.raises(ParameterError, match="params and cov_params"):
        pool_models([object(), object()])


@pytest.mark.parametrize(
    ("q", "u", "options", "word"),
    [
        ([1.0], [1.0], {}, "at least 2 tables; given 1 table"),
        ([[1.0, 2.0]], [[1.0, 2.0]], {}, "at least 2 tables"),
        ([], [], {}, "from every table"),
        (3.0, 1.0, {}, "from every table"),
        ([1.0, np.nan], [1.0, 1.0], {}, "estimates must be finite; given NaN or inf from table 1"),
        ([1.0, 2.0], [1.0, np.inf], {}, "variances must be finite"),
        ([1.0, 2.0], [1.0, -1.0], {}, "not be negative; given -1.0"),
        ([1.0, 2.0], [1.0, 1.0, 1.0], {}, "shape of the estimates"),
        ([[1.0, 2.0], [1.0, 2.0]], np.ones((2, 2, 3)), {}, r"covariances \(2, 2, 2\)"),
        ([[1.0, 2.0], [1.0, 2.0]], [[[1, 2], [0, 1]]] * 2, {}, "symmetric"),
        ([[1.0, 2.0], [1.0]], [1.0, 1.0], {}, "as many from every table"),
        (["a", "b"], [1.0, 1.0], {}, "must be numbers"),
        (np.ones((2, 2, 2)), np.ones((2, 2, 2)), {}, r"shape \(m,\) or \(m, k\)"),
        ([1.0, 2.0], [1.0, 1.0], {"level": 95}, "level"),
        ([1.0, 2.0], [1.0, 1.0], {"n_rows": 1}, "n_rows"),
        ([1.0, 2.0], [1.0, 1.0], {"dof_complete": 0}, "dof_complete"),
        ([1.0, 2.0], [1.0, 1.0], {"names": ["a", "b"]}, "names must be 1"),
        ([1.0, 2.0], [1.0, 1.0], {"transform": "cube"}, "transform"),
    ],
)
def test_bad_input_gets_a_sentence(q, u, options, word):
    with pytest.raises((DataError, ParameterError), match=word) as caught:
        pool(q, u, **options)
    assert str(caught.value).startswith("pool: ")


def test_bad_tests_get_a_sentence():
    pooled = pool([[1.0, 2.0], [1.0, 3.0]], [[1.0, 1.0]] * 2, names=["a", "b"])
    with pytest.raises(ParameterError, match="covariances"):
        pooled.test()
    pooled = pool([[1.0, 2.0], [1.0, 3.0]], [np.ones((2, 2))] * 2, names=["a", "b"])
    for which in (["c"], [], ["a", "a"]):
        with pytest.raises(ParameterError, match="each once"):
            pooled.test(which)
    with pytest.raises(DataError, match="rank 1 of 2"):
        pooled.test()


def _completed(rng, n, seen, m):
    """Yield means and squared errors of n normal values of which only the first are seen, imputed properly."""
    y = rng.normal(size=seen)
    q, u = np.empty(m), np.empty(m)
    for j in range(m):
        sigma = np.sqrt((seen - 1) * y.var(ddof=1) / rng.chisquare(seen - 1))
        centre = y.mean() + sigma / np.sqrt(seen) * rng.normal()
        whole = np.concatenate([y, centre + sigma * rng.normal(size=n - seen)])
        q[j], u[j] = whole.mean(), whole.var(ddof=1) / n
    return q, u


def test_intervals_cover_the_truth_in_small_tables():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(1500):
        pooled = pool(*_completed(rng, 20, 12, 5), n_rows=20)
        covered.append(pooled.low <= 0 <= pooled.high)
    # standard error sqrt(.95 x .05 / 1500) = .0056; three of them
    assert np.mean(covered) == pytest.approx(0.95, abs=0.017)


def _regressions(rng, n, seen, m, k=3):
    """Return slopes and covariances of y on k columns that do not matter; y imputed properly where unseen."""
    X = np.column_stack([np.ones(n), rng.normal(size=(n, k))])
    y = rng.normal(size=n)
    inverse = np.linalg.inv(X[:seen].T @ X[:seen])
    b = inverse @ X[:seen].T @ y[:seen]
    rss = float(((y[:seen] - X[:seen] @ b) ** 2).sum())
    whole = np.linalg.inv(X.T @ X)
    q, u = [], []
    for _ in range(m):
        sigma = np.sqrt(rss / rng.chisquare(seen - k - 1))
        drawn = b + sigma * np.linalg.cholesky(inverse) @ rng.normal(size=k + 1)
        y[seen:] = X[seen:] @ drawn + sigma * rng.normal(size=n - seen)
        fit = whole @ X.T @ y
        q.append(fit[1:])
        u.append(whole[1:, 1:] * ((y - X @ fit) ** 2).sum() / (n - k - 1))
    return q, u


@pytest.mark.parametrize(("n", "seen"), [(30, 20), (300, 200)])
def test_the_joint_test_keeps_its_level(n, seen):
    rng = np.random.default_rng(2)
    runs = 800
    p = [pool(*_regressions(rng, n, seen, 5), dof_complete=n - 4).test().p_value for _ in range(runs)]
    # standard error sqrt(.05 x .95 / 800) = .0077; the F reference is an approximation
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.024)


def test_variances_are_matched_by_name():
    q = pd.DataFrame([[1, 2], [3, 4.0]], columns=["u", "v"])
    u = pd.DataFrame([[0.01, 9], [0.01, 9]], columns=["v", "u"])
    pooled = pool(q, u)
    assert pooled.names == ["u", "v"] and pooled.within.tolist() == [9, 0.01]
    rows = pool([q.loc[0], q.loc[1]], [u.loc[0], u.loc[1]])
    assert rows.within.tolist() == [9, 0.01]
    cov = pd.DataFrame([[0.01, 0.1], [0.1, 9]], index=["v", "u"], columns=["v", "u"])
    both = pool(q, [cov, cov])
    assert both.within_covariance.tolist() == [[9, 0.1], [0.1, 0.01]]
    # plain numbers are taken as they come
    assert pool(q, u.to_numpy()).within.tolist() == [0.01, 9]
    assert pool(q, pd.DataFrame(u.to_numpy())).within.tolist() == [0.01, 9]
    with pytest.raises(DataError, match="variances must have the names of the estimates; given 'w', 'u' for"):
        pool(q, u.rename(columns={"v": "w"}))
