"""Normal scores: one-to-one, normal, and with the right Jacobian."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from augsynth.core.errors import ParameterError
from augsynth.encode.layout import Block, Layout
from augsynth.encode.scores import NormalScores

NUMBER = Layout((Block("a"),))


def fit(column, **kwargs):
    return NormalScores(**kwargs).fit(np.asarray(column, float)[:, None], NUMBER)


def test_scores_are_standard_normal_and_invertible_everywhere():
    x = np.random.default_rng(0).gamma(0.5, size=5000)
    scores = fit(x)
    s = scores.encode(x[:, None])
    assert stats.kstest(s[:, 0], "norm").statistic < 0.01
    np.testing.assert_allclose(scores.decode(s)[:, 0], x, rtol=1e-9, atol=1e-12)
    far = np.array([[-50.0], [0.3], [1e4]])
    np.testing.assert_allclose(scores.decode(scores.encode(far)), far, rtol=1e-9)
    assert scores.decode(np.array([[9.0], [-9.0]]), clip=True).ravel().tolist() == [x.max(), x.min()]


def test_the_jacobian_is_the_slope():
    x = np.random.default_rng(1).normal(size=2000) ** 3
    scores = fit(x)
    at = np.quantile(x, [0.013, 0.21, 0.5003, 0.77, 0.991])[:, None]
    h = 1e-7
    slope = (scores.encode(at + h) - scores.encode(at - h))[:, 0] / (2 * h)
    np.testing.assert_allclose(scores.log_jacobian(at), np.log(slope), rtol=1e-3)


def test_the_density_carried_over_integrates_to_one():
    x = np.random.default_rng(2).exponential(size=1000)
    scores = fit(x)
    grid = np.linspace(x.min() - 20, x.max() + 60, 800_001)[:, None]
    density = np.exp(stats.norm.logpdf(scores.encode(grid)[:, 0]) + scores.log_jacobian(grid))
    assert abs(np.trapezoid(density, grid[:, 0]) - 1.0) < 2e-3


def test_atoms_come_back_exactly_from_their_stretch():
    rng = np.random.default_rng(3)
    x = np.concatenate([np.zeros(600), rng.exponential(size=400)])
    scores = fit(x)
    s = rng.normal(size=(20_000, 1))
    share = (scores.decode(s, clip=True) == 0).mean()
    assert abs(share - 0.6) < 4 * np.sqrt(0.24 / 20_000)
    assert (scores.decode(scores.encode(x[:, None]))[:, 0] == x).mean() > 0.6


def test_missing_cells_constant_parts_and_categories():
    layout = Layout((Block("a", missing=True), Block("b", n_levels=2), Block("c")))
    z = np.array([[1.0, 0.0, 5.0], [np.nan, 1.0, 5.0], [2.0, 1.0, 5.0]])
    scores = NormalScores().fit(z, layout)
    s = scores.encode(z)
    assert np.isnan(s[1, 0]) and s[:, 1].tolist() == [0, 1, 1]
    np.testing.assert_allclose(scores.decode(s), z)
    assert np.isfinite(scores.log_jacobian(z)).all()
    with pytest.raises(ParameterError, match="n_knots"):
        NormalScores(1)
