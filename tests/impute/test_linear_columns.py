"""Linear models of one column: closed forms, scikit-learn's fits, posteriors, hostile columns."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from augsynth.encode.layout import Block, Layout
from augsynth.impute.column_model import PredictorView
from augsynth.impute.linear_columns import (
    BayesLinearColumn,
    LogisticColumn,
    MatchedLinearColumn,
    draw_levels,
)
from augsynth.impute.ridge import fit_ridge


def view_of(x):
    """Return the view of numeric predictors x (n, q); the target's own column comes last."""
    z = np.column_stack([x, np.zeros(len(x))])
    return PredictorView.of(z, Layout(tuple(Block(f"x{j}") for j in range(z.shape[1]))), z.shape[1] - 1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------ ridge
def test_ridge_is_least_squares_where_rows_abound(rng):
    x = rng.normal(size=(2000, 3))
    y = x @ [1.0, -2.0, 0.5] + 3.0 + rng.normal(size=2000)
    exact, *_ = np.linalg.lstsq(np.column_stack([np.ones(2000), x]), y, rcond=None)
    fit = fit_ridge(x, y, flat=True)
    assert np.allclose([fit.intercept, *fit.coefficients], exact, atol=2e-3)
    assert fit.sigma == pytest.approx(1.0, abs=0.05)  # se 1/sqrt(4000) = .016
    assert fit.freedom == pytest.approx(2000 - 4, abs=0.1)


def test_evidence_shrinks_what_is_noise(rng):
    x = rng.normal(size=(60, 50))
    y = rng.normal(size=60)
    fit = fit_ridge(x, y)
    assert np.abs(fit.coefficients).max() < 0.15  # least squares: up to about 1
    assert fit.sigma == pytest.approx(1.0, abs=0.3)


def test_drawn_parameters_have_the_posterior_of_rubin(rng):
    n = 40
    x = rng.normal(size=(n, 2))
    y = x @ [1.0, 1.0] + rng.normal(size=n)
    fit = fit_ridge(x, y, flat=True)
    draws = [fit.drawn(rng) for _ in range(4000)]
    slopes = np.array([[intercept, *b] for b, intercept, _ in draws])
    design = np.column_stack([np.ones(n), x])
    # a t distribution: its variance is sigma^2 (X'X)^-1 freedom / (freedom - 2)
    truth = fit.sigma**2 * np.linalg.inv(design.T @ design) * fit.freedom / (fit.freedom - 2)
    scale = np.sqrt(np.outer(np.diag(truth), np.diag(truth)))
    assert np.abs((np.cov(slopes.T) - truth) / scale).max() < 0.12  # se .022; the small ridge adds .03
    assert np.abs(slopes.mean(0) - [fit.intercept, *fit.coefficients]).max() < 0.015
    squares = np.array([sigma**2 for _, _, sigma in draws])
    assert squares.mean() == pytest.approx(fit.sigma**2 * fit.freedom / (fit.freedom - 2), rel=0.03)


def test_bayes_draws_have_mean_and_spread_of_the_model(rng):
    x = rng.normal(size=(3000, 1))
    y = 2.0 * x[:, 0] + 5.0 + 0.7 * rng.normal(size=3000)
    model = BayesLinearColumn(Block("y")).fit(view_of(x), y, rng, drawn=True)
    at = view_of(x)
    drawn = model.draw(at, rng.random((3000, 2)))
    rest = drawn - (2.0 * x[:, 0] + 5.0)
    assert rest.std() == pytest.approx(0.7, abs=0.04)  # se .009, and of sigma .009
    assert np.polyfit(x[:, 0], drawn, 1)[0] == pytest.approx(2.0, abs=0.08)  # two times se .013 and some


def test_matched_draws_are_observed_values_near_the_prediction(rng):
    x = rng.normal(size=(400, 1))
    y = np.round(np.exp(x[:, 0]), 1)
    model = MatchedLinearColumn(Block("y")).fit(view_of(x), y, rng, drawn=True)
    drawn = model.draw(view_of(x), rng.random((400, 2)))
    assert np.isin(drawn, y).all()
    assert np.corrcoef(drawn, y)[0, 1] > 0.9


def test_point_error_is_about_that_on_new_rows(rng):
    x = rng.normal(size=(200, 20))
    b = rng.normal(size=20) / 4
    y = x @ b + rng.normal(size=200)
    model = BayesLinearColumn(Block("y")).fit(view_of(x), y, rng, drawn=False)
    new = rng.normal(size=(4000, 20))
    # the view standardises by its own rows: use the same design for both
    z = np.column_stack([np.vstack([x, new]), np.zeros(4200)])
    both = PredictorView.of(z, Layout(tuple(Block(f"x{j}") for j in range(21))), 20)
    model = BayesLinearColumn(Block("y")).fit(both.take(np.arange(200)), y, rng, drawn=False)
    error = model.expect(both.take(np.arange(200, 4200))) - (new @ b + rng.normal(size=4000))
    assert model.error == pytest.approx(np.sqrt(np.mean(error**2)), rel=0.15)
    assert model.baseline == pytest.approx(y.std(ddof=1))


@pytest.mark.parametrize("model_class", [BayesLinearColumn, MatchedLinearColumn])
@pytest.mark.parametrize(
    "case", ["twin columns", "more columns than rows", "constant", "one row", "two rows", "huge"]
)
def test_hostile_numbers_give_finite_sensible_values(model_class, case, rng):
    x, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    if case == "twin columns":
        x = np.column_stack([x, x])
    elif case == "more columns than rows":
        x = rng.normal(size=(30, 300))
    elif case == "constant":
        x[:], y[:] = 1.0, 4.0
    elif case in ("one row", "two rows"):
        x, y = x[: 1 + (case == "two rows")], y[: 1 + (case == "two rows")]
    elif case == "huge":
        x, y = x * 1e200, y * 1e200
    for drawn in (False, True):
        model = model_class(Block("y")).fit(view_of(x), y, rng, drawn=drawn)
        expected, values = model.expect(view_of(x)), model.draw(view_of(x), rng.random((len(x), 2)))
        assert np.isfinite(expected).all()
        assert np.isfinite(values).all()
        half = 0.5 * np.ptp(y / 2) * 2
        assert (expected <= y.max() + half * (1 + 1e-9)).all()
        if case == "constant":
            assert np.allclose(expected, 4.0)
            assert np.allclose(values, 4.0, atol=1e-6)


def test_means_of_matched_values_stay_in_the_range_observed(rng):
    x = rng.normal(size=(200, 1))
    y = np.maximum(x[:, 0] + 0.1 * rng.normal(size=200), 0.0)  # no value is negative
    model = MatchedLinearColumn(Block("y")).fit(view_of(x), y, rng, drawn=False)
    free = BayesLinearColumn(Block("y")).fit(view_of(x), y, rng, drawn=False).expect(view_of(x))
    expected = model.expect(view_of(x))
    assert free.min() < -0.1 and expected.min() == 0.0 and expected.max() <= y.max()
    assert np.allclose(expected, np.clip(free, 0.0, y.max()))


# ------------------------------------------------------------------ logistic
@pytest.mark.parametrize("n_levels", [2, 4])
def test_probabilities_are_those_of_penalised_logistic_regression(n_levels, rng):
    x = rng.normal(size=(500, 3))
    codes = (x @ rng.normal(size=(3, n_levels)) + rng.gumbel(size=(500, n_levels))).argmax(1).astype(float)
    view = view_of(x)
    model = LogisticColumn(Block("k", n_levels)).fit(view, codes, rng, drawn=False)
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=500).fit(view.design, codes)
    assert np.abs(model.expect(view) - theirs.predict_proba(view.design)).max() < 5e-3


@pytest.mark.parametrize("n_levels", [2, 3])
def test_drawn_logistic_slopes_spread_like_the_information(n_levels, rng):
    n = 800
    x = rng.normal(size=(n, 1))
    logits = np.column_stack([np.zeros(n), *[k * x[:, 0] for k in range(1, n_levels)]])
    codes = (logits + rng.gumbel(size=(n, n_levels))).argmax(1).astype(float)
    view = view_of(x)
    # the log odds of level 1 against 0, at 1 and at 0
    pair = view_of(x).take(np.array([int(np.argmax(view.design)), int(np.argmin(np.abs(view.design)))]))

    def slope():
        p = LogisticColumn(Block("k", n_levels)).fit(view, codes, rng, drawn=True).expect(pair)
        return np.diff(np.log(p[:, 1] / p[:, 0]))[0] / np.diff(pair.design[:, 0])[0]

    drawn = np.array([slope() for _ in range(150)])
    d = np.column_stack([np.ones(n), view.design])
    p = LogisticColumn(Block("k", n_levels)).fit(view, codes, rng, drawn=False).expect(view)
    # information of the slopes against level 0
    blocks = [
        [d.T @ (d * (p[:, a] * ((a == b) - p[:, b]))[:, None]) for b in range(1, n_levels)]
        for a in range(1, n_levels)
    ]
    truth = np.sqrt(np.linalg.inv(np.block(blocks))[1, 1])
    assert drawn.std() == pytest.approx(truth, rel=0.25)  # se 6 %, and the prior


def test_separated_levels_stay_finite(rng):
    x = np.linspace(-1, 1, 40)[:, None]
    codes = (x[:, 0] > 0).astype(float) + (x[:, 0] > 0.5)
    for levels in (codes, np.minimum(codes, 1)):
        model = LogisticColumn(Block("k", 3)).fit(view_of(x), levels, rng, drawn=True)
        p = model.expect(view_of(x))
        assert np.isfinite(p).all()
        assert np.allclose(p.sum(1), 1.0)
        assert (p.argmax(1) == levels)[np.abs(x[:, 0]) > 0.7].all()


def test_unseen_rare_and_very_many_levels(rng):
    x = rng.normal(size=(300, 2))
    codes = rng.integers(0, 200, 300).astype(float)
    model = LogisticColumn(Block("k", 10_000)).fit(view_of(x), codes, rng, drawn=False)
    p = model.expect(view_of(x[:5]))
    assert p.shape == (5, 10_000)
    assert np.allclose(p.sum(1), 1.0)
    assert (p[:, 200:] == 0).all()
    drawn = model.draw(view_of(x), rng.random((300, 2)))
    assert np.isin(drawn, codes).all()
    alone = LogisticColumn(Block("k", 3)).fit(view_of(x), np.full(300, 2.0), rng, drawn=True)
    assert (alone.draw(view_of(x), rng.random((300, 2))) == 2).all()


def test_levels_are_drawn_by_their_probabilities():
    p = np.tile([0.2, 0.0, 0.5, 0.3], (10_000, 1))
    drawn = draw_levels(p, (np.arange(10_000) + 0.5) / 10_000)
    assert np.bincount(drawn.astype(int), minlength=4).tolist() == [2000, 0, 5000, 3000]
    assert draw_levels(np.array([[0.5, 0.5 - 1e-12, 0.0]]), np.array([1 - 1e-16]))[0] == 1


@pytest.mark.parametrize("model_class", [BayesLinearColumn, MatchedLinearColumn, LogisticColumn])
def test_each_row_on_its_own_to_the_last_bit(model_class, rng):
    x = rng.normal(size=(203, 9))
    target = (x[:, 0] > 0) + (x[:, 1] > 0).astype(float)
    block = Block("k", 3 if model_class is LogisticColumn else 0)
    view, u = view_of(x), rng.random((203, 2))
    model = model_class(block).fit(view, target, rng, drawn=True)
    expected, drawn = model.expect(view), model.draw(view, u)
    for rows in ([5], [7, 3], list(range(100, 203))):
        part = view.take(np.array(rows))
        assert np.array_equal(model.expect(part), expected[rows])
        assert np.array_equal(model.draw(part, u[rows]), drawn[rows])
