"""Noise schedules of diffusion models: how much noise there is at what time, by name."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from augsynth.core.parameters import check_option

__all__ = ["SCHEDULES", "CosineSchedule", "EDMSchedule", "LinearSchedule", "Schedule", "schedule"]

LOW, HIGH = 1e-3, 160.0  # noise ratios that a network is ever shown, data having variance one


class Schedule(ABC):
    """Noise over time: a row at time ``t`` in [0, 1] is ``alpha(t) * row + sigma(t) * noise``.

    Rows have variance one. A model only needs the *noise ratio* ``sigma / alpha``:
    dividing a noisy row by ``alpha`` turns every schedule into "the row plus noise of
    that ratio". Schedules then differ in the ratios that are trained on most, and in
    those that a sampler stops at.
    """

    name: ClassVar[str]

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Return the factor of the row at times ``t`` in [0, 1]."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Return the standard deviation of the noise at times ``t`` in [0, 1]."""

    def ratio(self, t: Tensor) -> Tensor:
        """Return the noise ratio at times ``t``, at most ``HIGH``."""
        return (self.sigma(t) / self.alpha(t).clamp(min=1e-6)).clamp(max=HIGH)

    def trained(self, share: Tensor) -> Tensor:
        """Return the noise ratio below which this share (0 to 1) of the training rows lies."""
        return self.ratio(share).clamp(min=LOW)

    def grid(self, n_steps: int) -> Tensor:
        """Return the noise ratios (n_steps + 1,) of a sampler: falling, the last one zero."""
        return self.ratio(torch.linspace(1.0, 0.0, n_steps + 1, dtype=torch.float64))


@dataclass(frozen=True)
class LinearSchedule(Schedule):
    """Variance-preserving, the rate of noise rising linearly from ``slow`` to ``fast``.

    The limit of many steps of Ho et al., whose thousand rates run from 1e-4 to 0.02.

    References
    ----------
    J. Ho, A. Jain, P. Abbeel, "Denoising Diffusion Probabilistic Models", 2020,
    arXiv:2006.11239. Y. Song et al., "Score-Based Generative Modeling through
    Stochastic Differential Equations", 2021, arXiv:2011.13456.

    Examples
    --------
    >>> t = torch.tensor([0.0, 1.0])
    >>> LinearSchedule().alpha(t).round(decimals=4).tolist()
    [1.0, 0.006599999964237213]
    """

    name: ClassVar[str] = "linear"
    slow: float = 0.1
    fast: float = 20.0

    def _log_alpha(self, t: Tensor) -> Tensor:
        return -0.25 * (self.fast - self.slow) * t**2 - 0.5 * self.slow * t

    def alpha(self, t: Tensor) -> Tensor:
        """Return the factor of the row."""
        return self._log_alpha(t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        """Return the standard deviation of the noise."""
        return torch.sqrt(-torch.expm1(2.0 * self._log_alpha(t)))


@dataclass(frozen=True)
class CosineSchedule(Schedule):
    """Variance-preserving, the share of the row falling like a squared cosine.

    References
    ----------
    A. Nichol, P. Dhariwal, "Improved Denoising Diffusion Probabilistic Models", 2021, arXiv:2102.09672.

    Examples
    --------
    >>> round(CosineSchedule().alpha(torch.tensor(0.5)).item(), 3)
    0.703
    """

    name: ClassVar[str] = "cosine"
    offset: float = 0.008

    def _angle(self, t: Tensor) -> Tensor:
        return (t + self.offset) / (1.0 + self.offset) * (0.5 * math.pi)

    def alpha(self, t: Tensor) -> Tensor:
        """Return the factor of the row."""
        start = math.cos(self.offset / (1.0 + self.offset) * 0.5 * math.pi)
        return (torch.cos(self._angle(t)) / start).clamp(0.0, 1.0)

    def sigma(self, t: Tensor) -> Tensor:
        """Return the standard deviation of the noise."""
        return torch.sqrt(1.0 - self.alpha(t) ** 2)


@dataclass(frozen=True)
class EDMSchedule(Schedule):
    """Noise added to the row as it is; log-normal in training, a power of time in sampling.

    Attributes
    ----------
    low, high : float
        Least and most noise of a sampler, in standard deviations of the data.
    rho : float
        The larger, the more of the steps are spent at little noise.
    mean, deviation : float
        Of the natural logarithm of the noise in training.

    Notes
    -----
    Deviation: the paper's data have a standard deviation of 0.5, here it is one, so
    its noises (0.002 to 80, logarithms around -1.2) are doubled.

    References
    ----------
    T. Karras et al., "Elucidating the Design Space of Diffusion-Based Generative
    Models", 2022, arXiv:2206.00364.

    Examples
    --------
    >>> EDMSchedule().grid(3).round(decimals=3).tolist()
    [160.0, 5.03, 0.004, 0.0]
    """

    name: ClassVar[str] = "edm"
    low: float = 0.004
    high: float = HIGH
    rho: float = 7.0
    mean: float = -1.2 + math.log(2.0)
    deviation: float = 1.2

    @classmethod
    def sized(cls, n_numbers: int) -> EDMSchedule:
        """Return the schedule for rows of so many numbers.

        Its most noise drowns even what all numbers of a row have in common; small rows
        need less than the published one, and so fewer steps.

        Examples
        --------
        >>> EDMSchedule.sized(64).high, EDMSchedule.sized(64 * 64).high
        (40.0, 160.0)
        """
        return cls(low=0.01, high=min(HIGH, 5.0 * math.sqrt(n_numbers)))

    def alpha(self, t: Tensor) -> Tensor:
        """Return one: rows are not shrunk."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """Return the standard deviation of the noise: ``low`` at 0, ``high`` at 1."""
        first, last = self.low ** (1 / self.rho), self.high ** (1 / self.rho)
        return (first + t * (last - first)) ** self.rho

    def trained(self, share: Tensor) -> Tensor:
        """Return the noise ratio below which this share (0 to 1) of the training rows lies."""
        inner = share.clamp(1e-6, 1.0 - 1e-6)
        return torch.exp(self.mean + self.deviation * torch.special.ndtri(inner)).clamp(LOW, HIGH)

    def grid(self, n_steps: int) -> Tensor:
        """Return the noise ratios (n_steps + 1,) of a sampler: ``high`` to ``low``, then zero."""
        times = torch.linspace(1.0, 0.0, n_steps, dtype=torch.float64)
        return torch.cat([self.ratio(times), times.new_zeros(1)])


SCHEDULES: dict[str, type[Schedule]] = {s.name: s for s in (LinearSchedule, CosineSchedule, EDMSchedule)}


def schedule(name: str, n_numbers: int | None = None, *, where: str = "schedule") -> Schedule:
    """Return the schedule of a name ("linear", "cosine" or "edm"), for rows of so many numbers.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> schedule("linear")
    LinearSchedule(slow=0.1, fast=20.0)
    """
    check_option(where, "schedule", name, tuple(SCHEDULES))
    return EDMSchedule.sized(n_numbers) if name == "edm" and n_numbers else SCHEDULES[name]()
