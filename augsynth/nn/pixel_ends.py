"""The two ends of a network for images: what it reads, and what its output says of every pixel."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.encode.image import ImageLayout
from augsynth.nn.pixels import Pixels

__all__ = ["BernoulliPixels", "DiscretisedPixels", "GaussianPixels", "ImageEnds"]

FINE = 256  # levels that continuous pixels are cut into by the discretised likelihood
FLAT = 0.03  # logits of smaller size: the closed forms divide zero by zero there


class BernoulliPixels(nn.Module):
    """Pixels between black and white, each with one logit: masses proportional to ``exp(logit * share)``.

    The share of white of a pixel runs over its levels: with two of them this is the
    Bernoulli distribution, with more a truncated geometric one, with continuous
    pixels the continuous Bernoulli density of [0, 1].

    Parameters
    ----------
    levels : int
        Number of levels; 0 for continuous pixels.

    References
    ----------
    G. Loaiza-Ganem, J. P. Cunningham, "The continuous Bernoulli", 2019, arXiv:1907.06845.

    Examples
    --------
    >>> BernoulliPixels(2).mean(torch.zeros(1, 1, 1, 1)).item()
    0.5
    """

    n_each = 1

    def __init__(self, levels: int):
        super().__init__()
        self.levels = levels

    def log_prob(self, raw: Tensor, share: Tensor) -> Tensor:
        """Return the log mass (density, if continuous) of shares of white in [0, 1], pixel by pixel."""
        return raw * share - self._log_total(raw)

    def mean(self, raw: Tensor) -> Tensor:
        """Return the mean share of white."""
        size = -raw.abs().clamp(min=FLAT)
        if self.levels:
            one = size / (self.levels - 1)
            whole = one * self.levels
            dark = self.levels * whole.exp() / torch.expm1(whole) - one.exp() / torch.expm1(one)
            dark, spread = dark / (self.levels - 1), (self.levels + 1) / (12 * (self.levels - 1))
        else:
            dark, spread = size.exp() / torch.expm1(size) - 1 / size, 1 / 12
        mean = torch.where(raw > 0, 1 - dark, dark)
        return torch.where(raw.abs() < FLAT, 0.5 + spread * raw, mean)

    def draw(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Draw shares of white."""
        uniform = torch.rand(raw.shape, generator=generator, device=generator.device).to(raw.device)
        size = -raw.abs().clamp(min=1e-3)
        steps = self.levels - 1 if self.levels else 1
        one = size / steps
        whole = one * self.levels if self.levels else size
        at = torch.log1p(uniform * torch.expm1(whole)) / one  # in steps from the likelier end
        dark = at.floor().clamp(0, steps) / steps if self.levels else at.clamp(0.0, 1.0)
        return torch.where(raw > 0, 1 - dark, dark)

    def _log_total(self, raw: Tensor) -> Tensor:
        size = -raw.abs().clamp(min=FLAT)
        if self.levels:
            one = size / (self.levels - 1)
            total = torch.log(torch.expm1(one * self.levels) / torch.expm1(one))
            flat, spread = math.log(self.levels), (self.levels + 1) / (12 * (self.levels - 1))
        else:
            total = torch.log(torch.expm1(size) / size)
            flat, spread = 0.0, 1 / 12
        near = flat + 0.5 * raw + 0.5 * spread * raw**2
        return torch.where(raw.abs() < FLAT, near, raw.clamp(min=0) + total)


class GaussianPixels(nn.Module):
    """Pixels around a mean, with one variance a channel: a density of numbers in [0, 1].

    Parameters
    ----------
    channels : int
    levels : int
        Number of levels: the standard deviation stays above a quarter of their distance.
    variance : float, optional
        Fixed variance, on the scale [-1, 1] of what the network reads; learned by default.

    References
    ----------
    O. Rybkin, K. Daniilidis, S. Levine, "Simple and Effective VAE Training with
    Calibrated Decoders", 2021, arXiv:2006.13202.
    """

    n_each = 1

    def __init__(self, channels: int, levels: int, variance: float | None = None):
        super().__init__()
        self.least = 2 * math.log(0.5 / (max(levels, FINE if levels == 0 else 2) - 1))
        self.fixed = None if variance is None else math.log(variance)
        if variance is None:
            self.log_variance = nn.Parameter(torch.full((channels, 1, 1), -2.0))

    def _spread(self, raw: Tensor) -> Tensor:
        if self.fixed is not None:
            return raw.new_tensor(self.fixed)
        return self.log_variance.clamp(min=self.least)

    def log_prob(self, raw: Tensor, share: Tensor) -> Tensor:
        """Return the log-density of shares of white in [0, 1], pixel by pixel."""
        spread = self._spread(raw)
        off = 2.0 * share - 1.0 - raw
        # A step of the share is half a step of the scale on which the variance is told.
        return -0.5 * (off**2 * torch.exp(-spread) + spread + math.log(2 * math.pi)) + math.log(2.0)

    def mean(self, raw: Tensor) -> Tensor:
        """Return the mean share of white."""
        return (0.5 * (raw + 1.0)).clamp(0.0, 1.0)

    def draw(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Draw shares of white, clipped to [0, 1]."""
        normal = torch.randn(raw.shape, generator=generator, device=generator.device).to(raw.device)
        return self.mean(raw + normal * torch.exp(0.5 * self._spread(raw)))


class DiscretisedPixels(nn.Module):
    """Levels with the exact masses that a mixture of logistic distributions has between their borders.

    Parameters
    ----------
    levels : int
        Number of levels; 0 cuts [0, 1] into 256 bins, in which the density is flat.
    components : int, default=1
        Logistic distributions a pixel.

    Notes
    -----
    Deviation: the channels of a pixel are independent given the network's output.

    References
    ----------
    T. Salimans et al., "PixelCNN++", 2017, arXiv:1701.05517.
    """

    def __init__(self, levels: int, components: int = 1):
        super().__init__()
        self.continuous, self.levels, self.components = levels == 0, levels or FINE, components
        self.n_each = 2 if components == 1 else 3 * components

    def _parts(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split (n, n_each * c, h, w) into log weights, means and log scales, each (n, k, c, h, w)."""
        parts = raw.unflatten(1, (self.n_each, -1))
        k = self.components
        weight = torch.log_softmax(parts[:, 2 * k :], dim=1) if k > 1 else torch.zeros_like(parts[:, :1])
        return weight, parts[:, :k], (parts[:, k : 2 * k] - 2.0).clamp(-7.0, 3.0)

    def log_prob(self, raw: Tensor, share: Tensor) -> Tensor:
        """Return the log mass (density, if continuous) of shares of white in [0, 1], pixel by pixel."""
        weight, mean, scale = self._parts(raw)
        top = self.levels - 1
        level = torch.round(share * top)[:, None] if not self.continuous else self._bin(share)[:, None]
        off, per = 2.0 * level / top - 1.0 - mean, torch.exp(-scale)
        upper, lower = per * (off + 1.0 / top), per * (off - 1.0 / top)
        # s(u) - s(l) = s(u) s(-l) (1 - exp(l - u)), without the cancellation
        inside = torch.log(-torch.expm1(-2.0 / top * per))
        below, above = F.logsigmoid(upper), F.logsigmoid(-lower)
        last = torch.where(level == top, above, below + above + inside)
        mass = torch.logsumexp(weight + torch.where(level == 0, below, last), dim=1)
        return mass + math.log(self.levels) if self.continuous else mass

    def _bin(self, share: Tensor) -> Tensor:
        return (share * self.levels).floor().clamp(0, self.levels - 1)

    def mean(self, raw: Tensor) -> Tensor:
        """Return the mean share of white, of the logistic numbers before they are rounded to levels."""
        weight, mean, scale = self._parts(raw)
        per = torch.exp(-scale)  # the mean of a clipped number is an integral of its distribution function
        below = F.softplus(per * (1.0 - mean)) - F.softplus(per * (-1.0 - mean))
        return (weight.exp() * (1.0 - 0.5 * scale.exp() * below)).sum(1)

    def draw(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Draw shares of white, on the levels."""
        weight, mean, scale = self._parts(raw)
        shape = (2, *mean.shape[:1], *mean.shape[2:])
        uniform = torch.rand(shape, generator=generator, device=generator.device).to(raw.device)
        pick = (uniform[0][:, None] > weight.exp().cumsum(1)[:, :-1]).sum(1, keepdim=True)
        mean, scale = mean.gather(1, pick)[:, 0], scale.gather(1, pick)[:, 0]
        u = uniform[1].clamp(1e-6, 1.0 - 1e-6)
        drawn = mean + torch.exp(scale) * (torch.log(u) - torch.log1p(-u))
        top = self.levels - 1
        return torch.round((0.5 * (drawn + 1.0)).clamp(0.0, 1.0) * top) / top


class ImageEnds(nn.Module):
    """Read coded images, and read a network's output as a distribution of images.

    Parameters
    ----------
    layout : ImageLayout
    likelihood : {"bernoulli", "gaussian", "discretised"} or float
        What a pixel is, given the output; a number is the fixed variance of a Gaussian.
    noisy : bool, default=True
        Whether :meth:`draw` draws from the likelihood or gives its mean.
    """

    def __init__(self, layout: ImageLayout, likelihood: str | float, *, noisy: bool = True):
        super().__init__()
        self.layout, self.noisy = layout, noisy
        self.pixels = Pixels(layout.levels)
        self.head: BernoulliPixels | GaussianPixels | DiscretisedPixels
        if likelihood == "bernoulli":
            self.head = BernoulliPixels(layout.levels)
        elif likelihood == "discretised":
            self.head = DiscretisedPixels(layout.levels)
        else:
            variance = None if isinstance(likelihood, str) else float(likelihood)
            self.head = GaussianPixels(layout.channels, layout.levels, variance)
        self.n_outputs = self.head.n_each * layout.channels

    def read(self, z: Tensor) -> Tensor:
        """Map coded images (n, c, h, w) to numbers in [-1, 1]."""
        return self.pixels.read(z)

    def log_prob(self, raw: Tensor, z: Tensor) -> Tensor:
        """Return the log-probability of coded images under the outputs, (n,), in nats.

        Masses of levels for "bernoulli" and "discretised"; for continuous pixels, and
        for "gaussian" throughout, densities of shares of white in [0, 1].
        """
        return self.head.log_prob(raw.float(), 0.5 * (self.read(z) + 1.0)).flatten(1).sum(1)

    def draw(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Draw coded images (n, c, h, w) from the outputs (n, n_outputs, h, w)."""
        return self._write(self.head.draw(raw, generator)) if self.noisy else self.mode(raw)

    def mode(self, raw: Tensor) -> Tensor:
        """Return the mean of every pixel, coded."""
        return self._write(self.head.mean(raw))

    def _write(self, share: Tensor) -> Tensor:
        return self.pixels.write(2.0 * share - 1.0)
