"""Smoothing kernels: the small densities that a kernel density estimate puts on every row.

Numeric kernels have unit variance, so that a bandwidth is always the kernel's
standard deviation and two kernels of one bandwidth smooth alike. Categorical
kernels keep a level with a large probability and move it with a small one.
Every kernel is a proper density that is drawn from exactly, by its inverse
distribution function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

__all__ = [
    "KERNELS",
    "NumericKernel",
    "OrderedKernel",
    "SeenKernel",
    "UnorderedKernel",
    "level_kernel",
    "log_sum",
    "pick",
]

SMALLEST_UNIFORM = 2.0**-54  # a uniform draw may be 0, where the inverse of the Gaussian has no value


@dataclass(frozen=True)
class NumericKernel:
    """A symmetric density with mean 0 and variance 1.

    Attributes
    ----------
    name : str
        Its name in the constructor.
    unit : float
        scikit-learn's bandwidth at which the kernel has unit variance: the half
        width of a compact kernel, the length of the exponential one.
    compact : bool
        Whether the density is zero outside ``[-unit, unit]``.
    shape : callable
        Log density at ``v = t / unit``, up to ``-log(unit)``; t is in standard deviations.
    distribution, quantile : callable
        The distribution function and its inverse, in units of ``v``.
    """

    name: str
    unit: float
    compact: bool
    shape: Callable[[np.ndarray], np.ndarray]
    distribution: Callable[[np.ndarray], np.ndarray]
    quantile: Callable[[np.ndarray], np.ndarray]

    def log_density(self, t: np.ndarray) -> np.ndarray:
        """Log density at ``t`` standard deviations from the centre."""
        with np.errstate(divide="ignore", over="ignore"):
            v = t / self.unit
            if not self.compact:
                return self.shape(v) - np.log(self.unit)
            outside = np.abs(v) > 1.0
            value = self.shape(np.clip(v, -1.0, 1.0)) - np.log(self.unit)
        value[outside] = -np.inf
        return value

    def cdf(self, t: np.ndarray) -> np.ndarray:
        """Share of the mass below ``t`` standard deviations."""
        v = t / self.unit
        return self.distribution(np.clip(v, -1.0, 1.0) if self.compact else v)

    def ppf(self, u: np.ndarray) -> np.ndarray:
        """Number of standard deviations with a share ``u`` of the mass below it."""
        return self.quantile(np.clip(u, SMALLEST_UNIFORM, 1.0 - 2.0**-53)) * self.unit


def _exponential_cdf(v: np.ndarray) -> np.ndarray:
    tail = 0.5 * np.exp(-np.abs(v))
    return np.where(v < 0, tail, 1.0 - tail)


def _exponential_ppf(u: np.ndarray) -> np.ndarray:
    tail = np.log(2.0 * np.minimum(u, 1.0 - u))
    return np.where(u < 0.5, tail, -tail)


def _linear_cdf(v: np.ndarray) -> np.ndarray:
    tail = 0.5 * (1.0 - np.abs(v)) ** 2
    return np.where(v < 0, tail, 1.0 - tail)


def _linear_ppf(u: np.ndarray) -> np.ndarray:
    tail = 1.0 - np.sqrt(2.0 * np.minimum(u, 1.0 - u))
    return np.where(u < 0.5, -tail, tail)


KERNELS = {
    kernel.name: kernel
    for kernel in (
        NumericKernel(
            "gaussian", 1.0, False, lambda v: -0.5 * v * v - 0.5 * np.log(2.0 * np.pi), ndtr, ndtri
        ),
        NumericKernel(
            "epanechnikov",
            5.0**0.5,
            True,
            lambda v: np.log(0.75 * (1.0 - v * v)),
            lambda v: 0.5 + 0.75 * v - 0.25 * v**3,
            lambda u: 2.0 * np.sin(np.arcsin(2.0 * u - 1.0) / 3.0),
        ),
        NumericKernel("linear", 6.0**0.5, True, lambda v: np.log(1.0 - np.abs(v)), _linear_cdf, _linear_ppf),
        NumericKernel(
            "exponential",
            0.5**0.5,
            False,
            lambda v: -np.abs(v) - np.log(2.0),
            _exponential_cdf,
            _exponential_ppf,
        ),
        NumericKernel(
            "cosine",
            (1.0 - 8.0 / np.pi**2) ** -0.5,
            True,
            # cos(pi/2) is 6e-17 in floating point, and log of a rounded 0 may be a large negative number
            lambda v: np.log(np.pi / 4.0 * np.maximum(np.cos(0.5 * np.pi * v), 0.0)),
            lambda v: 0.5 * (1.0 + np.sin(0.5 * np.pi * v)),
            lambda u: 2.0 / np.pi * np.arcsin(2.0 * u - 1.0),
        ),
        NumericKernel(
            "tophat",
            3.0**0.5,
            True,
            lambda v: np.full_like(v, -np.log(2.0)),
            lambda v: 0.5 * (1.0 + v),
            lambda u: 2.0 * u - 1.0,
        ),
    )
}


@dataclass(frozen=True)
class UnorderedKernel:
    """Keep the level, or with probability ``weight`` draw any of the ``n_levels`` evenly.

    This is the kernel of Aitchison and Aitken with their lambda (the probability
    of a *different* level) equal to ``weight * (n_levels - 1) / n_levels``; at
    weight 0 it is a point mass, at weight 1 uniform.

    References
    ----------
    Aitchison, Aitken (1976), Multivariate binary discrimination by the kernel
    method, doi:10.1093/biomet/63.3.413.
    """

    n_levels: int
    weight: float

    def log_mass(self, level: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Log probability of ``level`` at ``centre``; the two broadcast."""
        other = self.weight / self.n_levels
        with np.errstate(divide="ignore"):
            same, apart = np.log(1.0 - self.weight + other), np.log(other)
        return np.asarray(np.where(np.equal(level, centre), same, apart))

    def draw(self, centre: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Draw one level for every centre from uniform numbers ``u``."""
        if self.weight <= 0.0:
            return centre.copy()
        fresh = np.floor(np.minimum(u / self.weight, 1.0 - 2.0**-53) * self.n_levels)
        return np.where(u < self.weight, np.minimum(fresh, self.n_levels - 1), centre)


@dataclass(frozen=True)
class OrderedKernel:
    """Move by ``d`` steps with a probability proportional to ``weight ** abs(d)``.

    Deviation: Li and Racine leave the kernel unnormalised and Wang and van Ryzin
    normalise it over all integers; here the levels end, and each centre's masses
    are divided by their sum, so that every kernel is a proper distribution.

    References
    ----------
    Li, Racine (2003), Nonparametric estimation of distributions with categorical
    and continuous data, doi:10.1016/S0047-259X(02)00025-8. Wang, van Ryzin (1981),
    A class of smooth estimators for discrete distributions, doi:10.1093/biomet/68.1.301.
    """

    n_levels: int
    weight: float

    def _side(self, steps: np.ndarray) -> np.ndarray:
        """Sum of ``weight ** d`` for d = 1 ... steps."""
        if self.weight >= 1.0:
            return steps
        return self.weight * (1.0 - self.weight**steps) / (1.0 - self.weight)

    def log_mass(self, level: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Log probability of ``level`` at ``centre``; the two broadcast."""
        total = 1.0 + self._side(centre) + self._side(self.n_levels - 1 - centre)
        distance = np.abs(level - centre)
        if self.weight <= 0.0:
            return np.where(distance == 0, 0.0, -np.inf)
        return distance * np.log(self.weight) - np.log(total)

    def draw(self, centre: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Draw one level for every centre from uniform numbers ``u``."""
        if self.weight <= 0.0:
            return centre.copy()
        below, above = self._side(centre), self._side(self.n_levels - 1 - centre)
        at = u * (1.0 + below + above)  # [0, below): down; [below, below + 1): stay; the rest: up
        down, up = at < below, at >= below + 1.0
        inside = np.where(down, at, np.where(up, at - below - 1.0, 0.0))
        if self.weight >= 1.0:
            steps = np.floor(inside) + 1.0
        else:  # the number of steps at which the geometric sum passes ``inside``
            left = np.maximum(1.0 - inside * (1.0 - self.weight) / self.weight, SMALLEST_UNIFORM)
            steps = np.floor(np.log(left) / np.log(self.weight)) + 1.0
        steps = np.clip(steps, 1.0, np.where(down, centre, self.n_levels - 1 - centre))
        return np.where(down, centre - steps, np.where(up, centre + steps, centre))


@dataclass(frozen=True)
class SeenKernel:
    """A kernel on those levels that rows hold: one that was declared but never seen has mass 0.

    Attributes
    ----------
    seen : ndarray
        Codes of these levels, ascending.
    inner : kernel
        On their positions.
    """

    seen: np.ndarray
    inner: UnorderedKernel | OrderedKernel

    def log_mass(self, level: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Log probability of ``level`` at ``centre``; the two broadcast."""
        at, near = np.searchsorted(self.seen, level), np.searchsorted(self.seen, centre)
        known = self.seen[np.minimum(at, len(self.seen) - 1)] == level
        return np.where(known, self.inner.log_mass(at, near), -np.inf)

    def draw(self, centre: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Draw one level for every centre from uniform numbers ``u``."""
        drawn = self.inner.draw(np.searchsorted(self.seen, centre).astype(float), u)
        return self.seen[drawn.astype(np.intp)]


def level_kernel(
    n_levels: int, ordered: bool, weight: float, seen: np.ndarray | None = None
) -> UnorderedKernel | OrderedKernel | SeenKernel:
    """Make the kernel of one categorical column; on the levels ``seen`` only, if these are given."""
    if seen is not None and 0 < len(seen) < n_levels:
        return SeenKernel(seen, (OrderedKernel if ordered else UnorderedKernel)(len(seen), weight))
    return (OrderedKernel if ordered else UnorderedKernel)(n_levels, weight)


def log_sum(terms: np.ndarray) -> np.ndarray:
    """Log of the row sums of exp(terms); minus infinity where every term is."""
    top = terms.max(axis=1)
    with np.errstate(divide="ignore"):
        return np.where(np.isinf(top), 0.0, top) + np.log(
            np.exp(terms - np.where(np.isinf(top), 0.0, top)[:, None]).sum(axis=1)
        )


def pick(terms: np.ndarray, rows: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Draw one centre a row by its weight exp(terms); -1 where every weight is 0."""
    top = terms.max(axis=1, keepdims=True)
    reached = np.cumsum(np.exp(terms - np.where(np.isinf(top), 0.0, top)), axis=1)
    at = (reached <= u[:, None] * reached[:, -1:]).sum(axis=1)
    return np.where(np.isinf(top[:, 0]), -1, rows[np.minimum(at, rows.size - 1)])
