"""Kernels are densities of unit variance, and their draws are draws from them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.neighbors import KernelDensity

from augsynth.generate.kernels import KERNELS, OrderedKernel, UnorderedKernel, level_kernel


@pytest.fixture(params=sorted(KERNELS))
def kernel(request):
    return KERNELS[request.param]


def moment(kernel, power):
    """Integral of t ** power over the density, split at its kink and edges."""
    reach = kernel.unit if kernel.compact else 40.0
    density = lambda t: float(np.exp(kernel.log_density(np.array([t]))[0])) * t**power  # noqa: E731
    return sum(integrate.quad(density, a, b, epsabs=1e-12)[0] for a, b in ((-reach, 0.0), (0.0, reach)))


def test_integrates_to_one_with_mean_zero_and_variance_one(kernel):
    assert moment(kernel, 0) == pytest.approx(1.0, abs=1e-7)
    assert moment(kernel, 1) == pytest.approx(0.0, abs=1e-7)
    assert moment(kernel, 2) == pytest.approx(1.0, abs=1e-6)


def test_distribution_is_the_integral_of_the_density(kernel):
    t = np.linspace(-1.2, 1.2, 7)
    slope = (kernel.cdf(t + 1e-5) - kernel.cdf(t - 1e-5)) / 2e-5
    np.testing.assert_allclose(slope, np.exp(kernel.log_density(t)), rtol=1e-4)
    u = np.array([1e-12, 0.001, 0.3, 0.5, 0.77, 0.999])
    np.testing.assert_allclose(kernel.cdf(kernel.ppf(u)), u, rtol=1e-6, atol=1e-14)


def test_draws_follow_the_distribution(kernel):
    drawn = kernel.ppf(np.random.default_rng(3).random(20_000))
    # Kolmogorov-Smirnov: the 0.1 % point for n draws is 1.95 / sqrt(n).
    assert stats.kstest(drawn, kernel.cdf).statistic < 1.95 / np.sqrt(drawn.size)
    assert np.isfinite(kernel.ppf(np.array([0.0, 1.0]))).all()


def test_equals_scikit_learn_at_its_unit(kernel):
    rows, at = np.array([[0.0], [0.4], [3.0]]), np.linspace(-2, 5, 29)[:, None]
    width = 0.7
    peer = KernelDensity(kernel=kernel.name, bandwidth=width * kernel.unit).fit(rows).score_samples(at)
    with np.errstate(divide="ignore"):
        ours = np.log(np.exp(kernel.log_density((at - rows.T) / width)).mean(axis=1) / width)
    near = np.isfinite(ours)
    np.testing.assert_allclose(ours[near], peer[near], atol=1e-6)
    assert (peer[~near] < -30).all()  # scikit-learn's zero is a very small number


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.2, 0.9, 1.0])
def test_levels_sum_to_one_and_draws_follow_them(ordered, weight):
    kernel = level_kernel(6, ordered, weight)
    levels, centre = np.arange(6.0), np.repeat([0.0, 2.0, 5.0], 20_000)
    mass = np.exp(kernel.log_mass(levels[None, :], np.array([0.0, 2.0, 5.0])[:, None]))
    np.testing.assert_allclose(mass.sum(axis=1), 1.0, rtol=1e-12)
    drawn = kernel.draw(centre, np.random.default_rng(0).random(centre.size)).reshape(3, -1)
    shares = np.stack([np.bincount(row.astype(int), minlength=6) for row in drawn]) / drawn.shape[1]
    # Standard error of a share is sqrt(p (1 - p) / n) <= 0.0036; 18 shares, 4.5 errors.
    assert (np.abs(shares - mass) <= 4.5 * np.sqrt(mass * (1 - mass) / drawn.shape[1]) + 1e-12).all()


def test_unordered_kernel_is_aitchison_aitken():
    # Their kernel: 1 - lambda at the level itself, lambda / (c - 1) elsewhere.
    n_levels, weight = 5, 0.3
    lam = weight * (n_levels - 1) / n_levels
    kernel = UnorderedKernel(n_levels, weight)
    assert np.exp(kernel.log_mass(np.array(2), np.array(2))) == pytest.approx(1 - lam)
    assert np.exp(kernel.log_mass(np.array(1), np.array(2))) == pytest.approx(lam / (n_levels - 1))


def test_ordered_kernel_decays_by_its_weight_a_step():
    mass = np.exp(OrderedKernel(5, 0.4).log_mass(np.arange(5.0), np.array(1.0)))
    np.testing.assert_allclose(mass / mass[1], [0.4, 1.0, 0.4, 0.16, 0.064])
