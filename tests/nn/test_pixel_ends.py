"""What is said of pixels: exact masses and densities, means and draws that agree with them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import logistic, norm

from augsynth.encode.image import ImageLayout
from augsynth.nn.pixel_ends import BernoulliPixels, DiscretisedPixels, GaussianPixels, ImageEnds

LOGITS = [-300.0, -20.0, -0.05, -0.02, 0.0, 0.02, 0.04, 3.0, 50.0]


def outputs(values):
    return torch.tensor(values, dtype=torch.float32)[:, None, None, None]


def masses(head, raw, levels):
    """Return the mass of every level, (levels, n)."""
    shares = torch.arange(levels, dtype=torch.float32) / (levels - 1)
    every = [head.log_prob(raw, torch.full((len(raw), 1, 1, 1), float(s))) for s in shares]
    return torch.stack(every).double().exp().flatten(1).numpy()


@pytest.mark.parametrize("levels", [2, 3, 17, 256])
def test_masses_of_the_levels_sum_to_one(levels):
    generator = torch.Generator().manual_seed(0)
    for head, raw in [
        (BernoulliPixels(levels), outputs(LOGITS)),
        (DiscretisedPixels(levels), 4 * torch.randn(50, 2, 1, 1, generator=generator)),
        (DiscretisedPixels(levels, 3), 4 * torch.randn(50, 9, 1, 1, generator=generator)),
    ]:
        np.testing.assert_allclose(masses(head, raw, levels).sum(axis=0), 1.0, atol=5e-6)


def test_two_levels_are_the_bernoulli_distribution():
    raw = outputs(LOGITS)
    made = masses(BernoulliPixels(2), raw, 2)[1]
    np.testing.assert_allclose(made, torch.sigmoid(raw.double()).flatten(), atol=2e-6)


@pytest.mark.parametrize("levels", [2, 17, 0])
def test_bernoulli_means_and_draws_are_those_of_the_masses(levels):
    head, raw = BernoulliPixels(levels), outputs(LOGITS)
    if levels:
        shares = np.arange(levels) / (levels - 1)
        mean = shares @ masses(head, raw, levels)
    else:  # midpoints of 40,000 slices
        shares = (torch.arange(40_000, dtype=torch.float64) + 0.5) / 40_000
        density = head.log_prob(raw.double(), shares.view(1, 1, 1, -1)).exp().mean(-1).flatten()
        np.testing.assert_allclose(density[1:], 1.0, atol=1e-3)
        weighted = shares.view(1, 1, 1, -1) * head.log_prob(raw.double(), shares.view(1, 1, 1, -1)).exp()
        mean = weighted.mean(-1).flatten().numpy()
    np.testing.assert_allclose(head.mean(raw).flatten(), mean, atol=1e-4)
    drawn = head.draw(raw.expand(-1, 1, 100, 100), torch.Generator().manual_seed(0))
    assert drawn.min() >= 0 and drawn.max() <= 1
    # 10,000 draws with a standard deviation of at most a half
    np.testing.assert_allclose(drawn.mean((1, 2, 3)), mean, atol=4 * 0.005)


def test_discretised_masses_are_differences_of_logistic_distribution_functions():
    mean, scale, levels = 0.23, 0.15, 17
    raw = torch.tensor([mean, math.log(scale) + 2.0]).view(1, 2, 1, 1)
    made = masses(DiscretisedPixels(levels), raw, levels)[:, 0]
    borders = 2 * (np.arange(1, levels) - 0.5) / (levels - 1) - 1
    below = np.concatenate([[0.0], logistic.cdf(borders, mean, scale), [1.0]])
    np.testing.assert_allclose(made, np.diff(below), rtol=1e-4)
    drawn = DiscretisedPixels(levels).draw(raw.expand(1, 2, 100, 100), torch.Generator().manual_seed(0))
    counts = np.bincount(np.rint(drawn.flatten().numpy() * (levels - 1)).astype(int), minlength=levels)
    error = np.sqrt(made * (1 - made) / 10_000)
    assert (np.abs(counts / 10_000 - made) < 4.5 * error + 1e-9).all()


def test_a_mixture_is_the_weighted_sum_of_its_parts():
    levels, k = 9, 3
    raw = torch.randn(1, 3 * k, 1, 1, generator=torch.Generator().manual_seed(1))
    whole = masses(DiscretisedPixels(levels, k), raw, levels)[:, 0]
    weights = torch.softmax(raw[0, 2 * k :, 0, 0], 0).numpy()
    parts = [masses(DiscretisedPixels(levels), raw[:, [j, k + j]], levels)[:, 0] for j in range(k)]
    np.testing.assert_allclose(whole, weights @ np.array(parts), rtol=1e-4)
    mean = DiscretisedPixels(levels, k).mean(raw).item()
    assert abs(mean - whole @ np.arange(levels) / (levels - 1)) < 0.02  # of the unrounded numbers


def test_a_far_off_pixel_has_a_finite_slope():
    raw = torch.tensor([-30.0, -9.0]).view(1, 2, 1, 1).requires_grad_()
    value = DiscretisedPixels(256).log_prob(raw, torch.full((1, 1, 1, 1), 0.5))
    (slope,) = torch.autograd.grad(value.sum(), raw)
    assert torch.isfinite(value).all() and torch.isfinite(slope).all() and slope[0, 0] > 0


@pytest.mark.parametrize("variance", [None, 0.09])
def test_gaussian_pixels_are_a_density_of_shares(variance):
    head = GaussianPixels(1, 17, variance)
    spread = math.exp(-2.0) if variance is None else variance
    share, raw = torch.tensor(0.7), outputs([0.1])
    # the share is half of the scale from -1 to 1
    exact = norm.logpdf(0.7, 0.55, math.sqrt(spread) / 2)
    assert head.log_prob(raw, share).item() == pytest.approx(exact, abs=1e-5)
    assert head.mean(raw).item() == pytest.approx(0.55)
    assert len(list(head.parameters())) == (variance is None)


@pytest.mark.parametrize("likelihood", ["bernoulli", "discretised", "gaussian", 0.1])
@pytest.mark.parametrize("levels", [0, 2, 256])
def test_ends_write_what_they_read(likelihood, levels):
    layout = ImageLayout(3, 4, 5, levels)
    ends = ImageEnds(layout, likelihood)
    raw = torch.randn(7, ends.n_outputs, 4, 5, generator=torch.Generator().manual_seed(0))
    for z in (ends.draw(raw, torch.Generator().manual_seed(0)), ends.mode(raw)):
        assert z.shape == (7, 3, 4, 5)
        assert z.dtype == (torch.uint8 if levels else torch.float32)
        assert int(z.max()) <= max(levels - 1, 1) and ends.log_prob(raw, z).shape == (7,)
        assert torch.isfinite(ends.log_prob(raw, z)).all()
