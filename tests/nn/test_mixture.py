"""Latent mixtures: densities, draws, and the number of components."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from augsynth.nn.mixture import Mixture, fit_mixture
from augsynth.nn.prior import LatentPrior


def test_density_and_draws_of_a_known_mixture():
    factors = np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.3, 0.0], [0.0, 2.0]]])
    mixture = Mixture(np.array([0.3, 0.7]), np.array([[0.0, 0.0], [4.0, -1.0]]), factors)
    x = np.random.default_rng(0).normal(size=(50, 2)) * 3
    expected = sum(
        w * stats.multivariate_normal(m, f @ f.T).pdf(x)
        for w, m, f in zip(mixture.weights, mixture.means, factors, strict=True)
    )
    np.testing.assert_allclose(np.exp(mixture.log_prob(x)), expected)
    rng = np.random.default_rng(1)
    drawn = mixture.draw(rng.random(20_000), rng.normal(size=(20_000, 2)))
    mean = mixture.weights @ mixture.means
    error = 4 * drawn.std(axis=0) / np.sqrt(20_000)
    assert (np.abs(drawn.mean(axis=0) - mean) < error).all()


def test_fit_finds_three_clusters_and_their_density():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    x = centres[rng.integers(3, size=3000)] + rng.normal(size=(3000, 2))
    fresh = centres[rng.integers(3, size=3000)] + rng.normal(size=(3000, 2))
    made = fit_mixture(x, rng)
    truth = Mixture(np.full(3, 1 / 3), centres, np.stack([np.eye(2)] * 3))
    assert 3 <= len(made.weights) <= 8
    # Relative entropy to the truth, by 3,000 fresh rows (standard error about .002).
    assert abs((truth.log_prob(fresh) - made.log_prob(fresh)).mean()) < 0.02


def test_one_gaussian_is_the_sample_mean_and_covariance():
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([1.0, 2.0], [[2.0, 0.6], [0.6, 1.0]], size=4000)
    made = fit_mixture(x, rng, most=1)
    np.testing.assert_allclose(made.means[0], x.mean(axis=0))
    np.testing.assert_allclose(made.factors[0] @ made.factors[0].T, np.cov(x.T), rtol=0.01)


def test_several_draws_a_row_do_not_pass_for_more_rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 2))
    draws = rows + 0.01 * rng.normal(size=(30, 120, 2))
    assert len(fit_mixture(draws, rng).weights) <= 4  # 3,600 tight heaps of 30 would take all there are


def test_very_short_samples_work():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5):
        made = fit_mixture(rng.normal(size=(n, 8)), rng)
        assert len(made.weights) == 1 and np.isfinite(made.factors).all()


def test_cells_have_their_own_mixture_or_share_one():
    rng = np.random.default_rng(0)
    c = np.repeat([0, 1, 2], [200, 200, 3])
    codes = rng.normal(size=(403, 2)) + np.where(c == 0, 10.0, -10.0)[:, None]
    families = {(0,): codes[None, c == 0], (1, 2): codes[None, c != 0]}
    prior = LatentPrior.fitted(families, [(0,), (1, 2), (1, 2)], rng)
    assert len(prior.mixtures) == 2 and prior.mixture_of.tolist() == [0, 1, 1]
    drawn = prior.draw(torch.tensor([0] * 50 + [2] * 50), torch.Generator().manual_seed(0)).numpy()
    assert (drawn[:50] > 0).all() and (drawn[50:] < 0).all()
    assert (prior.log_prob(codes[:5], np.zeros(5, int)) > prior.log_prob(codes[:5], np.ones(5, int))).all()
    normal = LatentPrior.normal(2, 3)
    x = rng.normal(size=(4, 2))
    np.testing.assert_allclose(normal.log_prob(x, c[:4]), stats.norm.logpdf(x).sum(axis=1))
