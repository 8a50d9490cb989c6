"""Denoising, scores and the sampler where the truth is known: Gaussians and mixtures of them."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from augsynth.nn import denoiser
from augsynth.nn.randomness import keyed_generator
from augsynth.nn.schedules import schedule

MEANS, SPREAD, SHARES = torch.tensor([-1.2, 0.8], dtype=torch.float64), 0.3, (0.4, 0.6)


def exact(x, ratio):
    """The mean of the clean number given the noisy one, for the mixture above."""
    variance = SPREAD**2 + ratio**2
    off = x[..., None] - MEANS
    weight = torch.softmax(-0.5 * off**2 / variance[..., None] + torch.tensor(SHARES).log(), dim=-1)
    own = MEANS + off * (SPREAD**2 / variance)[..., None]
    return (weight * own).sum(-1)


def log_density(x, ratio):
    variance = SPREAD**2 + ratio**2
    parts = -0.5 * (x[..., None] - MEANS) ** 2 / variance[..., None] + torch.tensor(SHARES).log()
    return torch.logsumexp(parts, dim=-1) - 0.5 * torch.log(2 * math.pi * variance)


def test_the_exact_guess_is_the_score_by_autograd():
    x = torch.linspace(-3, 3, 50, dtype=torch.float64, requires_grad=True)
    ratio = torch.linspace(0.1, 5.0, 50, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(log_density(x, ratio).sum(), x)
    made = denoiser.score(exact(x, ratio), x, ratio)
    assert torch.allclose(made, gradient)


@pytest.mark.parametrize("ratio", [0.01, 0.5, 3.0, 100.0])
def test_preconditioning_gives_inputs_and_targets_of_variance_one(ratio):
    generator = keyed_generator(0)
    n = 100_000
    x = torch.randn(n, 1, generator=generator)
    seen = []

    def network(shown, level):
        seen.append(shown)
        assert torch.allclose(level, torch.full((n,), math.log(ratio)))
        return torch.zeros_like(shown)

    loss = denoiser.denoising_loss(network, x, torch.full((n,), ratio), generator)
    # Standard error of a variance of n normal numbers: sqrt(2 / n) = 0.0045.
    assert seen[0].var().item() == pytest.approx(1.0, abs=0.02)
    assert loss.mean().item() == pytest.approx(1.0, abs=0.02)


def test_no_error_means_an_exact_guess():
    generator = keyed_generator(1)
    x, ratio = torch.randn(8, 3, generator=generator), torch.linspace(0.1, 9.0, 8)
    kept = {}

    def network(shown, level):
        kept["shown"] = shown
        return torch.zeros_like(shown)

    denoiser.denoising_loss(network, x, ratio, keyed_generator(2))
    a, b, c = (s[:, None] for s in denoiser.scales(ratio))
    noisy = kept["shown"] / b
    answer = (x - a * noisy) / c
    assert torch.allclose(denoiser.denoised(lambda *_: answer, noisy, ratio), x, atol=1e-4)
    loss = denoiser.denoising_loss(lambda *_: answer, x, ratio, keyed_generator(2))
    assert loss.max() < 1e-8


@pytest.mark.parametrize("name", ["edm", "cosine", "linear"])
@pytest.mark.parametrize(("n_steps", "most"), [(18, 0.05), (60, 0.01)])
def test_the_sampler_carries_quantiles_to_quantiles(name, n_steps, most):
    ratios = schedule(name, 64).grid(n_steps)
    share = (np.arange(999) + 1) / 1000
    first = float(ratios[0])
    middle = sum(s * float(m) for s, m in zip(SHARES, MEANS, strict=True))
    start = torch.as_tensor(norm.ppf(share)) * math.sqrt(1.0 + first**2) + middle
    made = denoiser.solve(exact, start, ratios).numpy()
    # In one dimension the path keeps the order, so that every quantile has one right place.
    cdf = sum(s * norm.cdf(made, float(m), SPREAD) for s, m in zip(SHARES, MEANS, strict=True))
    assert np.abs(cdf - share).max() < most
    truth = sum(s * (float(m) ** 2 + SPREAD**2) for s, m in zip(SHARES, MEANS, strict=True)) - middle**2
    assert made.mean() == pytest.approx(middle, abs=most)
    assert made.var() == pytest.approx(truth, abs=2 * most)


def test_a_gaussian_comes_out_with_its_variance():
    def guess(x, ratio):
        return x * 0.25 / (0.25 + ratio[:, None] ** 2)

    x = torch.randn(4000, 1, generator=keyed_generator(0), dtype=torch.float64)
    ratios = schedule("edm", 64).grid(40)
    made = denoiser.solve(guess, x * torch.sqrt(0.25 + ratios[0] ** 2), ratios)
    assert torch.allclose(made, 0.5 * x, rtol=0.01)


@pytest.mark.parametrize("name", ["edm", "cosine", "linear"])
def test_long_grids_may_stay_at_their_largest_noise(name):
    ratios = schedule(name).grid(300)
    start = torch.ones(1, 1, dtype=torch.float64) * torch.sqrt(1.0 + ratios[0] ** 2)
    made = denoiser.solve(lambda x, ratio: x / (1.0 + ratio[:, None] ** 2), start, ratios)
    assert float(made) == pytest.approx(1.0, abs=1e-3)


def test_noise_levels_of_a_batch_cover_every_stratum():
    share = denoiser.stratified(100, keyed_generator(0), torch.device("cpu"))
    assert torch.equal((share * 100).floor(), torch.arange(100.0))


def test_guidance_zero_is_the_conditional_guess():
    told, untold = torch.ones(2), torch.zeros(2)
    assert torch.equal(denoiser.guided(told, untold, 0.0), told)
    assert torch.equal(denoiser.guided(told, untold, 1.0), 2 * told)
