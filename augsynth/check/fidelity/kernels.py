"""Energy distance and maximum mean discrepancy: how far two clouds of rows are apart."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from augsynth.check.evidence import Evidence
from augsynth.check.fidelity.exchange import (
    N_PERMUTATIONS,
    Exchange,
    PairedCheck,
    as_samples,
    reach,
    whole,
)
from augsynth.check.finding import Finding
from augsynth.check.permutation import tail_p_value, worded
from augsynth.check.reference import tells_reference
from augsynth.check.samples import as_numbers
from augsynth.core.errors import ParameterError, sentence

__all__ = ["MMD", "Energy", "energy_distance", "maximum_mean_discrepancy"]

MOST = 2_000  # rows a side: cost grows with the square
_FACTORS = (0.25, 0.5, 1.0, 2.0)  # bandwidths, in medians of the distances


def energy_distance(a: Any, b: Any, *, unbiased: bool = True) -> float:
    r"""Tell how far new rows are from real ones; 0 if and only if their distributions are equal.

    .. math:: D^2 = 2 E|X - Y| - E|X - X'| - E|Y - Y'|

    Parameters
    ----------
    a, b : array-like (n, d), (m, d)
        New and real rows in coordinates whose Euclidean distance makes sense.
    unbiased : bool, default=True
        Leave out the distance of each row to itself, so that the expected value is 0 for
        equal distributions and may be negative for samples of them. False: the plain form,
        never negative, whose square root scipy calls energy distance (one column).

    Returns
    -------
    float
        In the units of the coordinates. Cost and memory: n m, (n + m)^2 / 2 distances.

    References
    ----------
    Szekely and Rizzo (2013), Energy statistics, doi:10.1016/j.jspi.2013.03.018.

    Examples
    --------
    >>> energy_distance([[0.0], [1.0]], [[0.0], [1.0]], unbiased=False)
    0.0
    >>> energy_distance([[0.0], [0.0]], [[3.0], [3.0]])
    6.0
    """
    first, second = as_samples(a, b, "energy_distance")
    return 0.0 - 2.0 * _contrast(*(_mean(f(*xy)) for f, xy in _blocks(first, second, unbiased, cdist)))


def maximum_mean_discrepancy(
    a: Any, b: Any, *, bandwidths: float | Sequence[float] | None = None, unbiased: bool = True
) -> float:
    r"""Tell how far new rows are from real ones, squared, through Gaussian kernels of several widths.

    .. math:: E k(X, X') + E k(Y, Y') - 2 E k(X, Y), \quad k(x, y) = \exp(-|x - y|^2 / (2 s^2))

    averaged over the bandwidths s.

    Parameters
    ----------
    a, b : array-like (n, d), (m, d)
    bandwidths : float or sequence of float, optional
        Default: a quarter, a half, once and twice the median distance of the pooled rows.
    unbiased : bool, default=True
        Leave out the kernel of each row with itself; the value may then be negative.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schoelkopf, Smola (2012), A kernel two-sample test,
    JMLR 13, 723-773.

    Examples
    --------
    >>> round(maximum_mean_discrepancy([[0.0], [0.0]], [[1.0], [1.0]], bandwidths=1.0), 4)
    0.7869
    """
    first, second = as_samples(a, b, "maximum_mean_discrepancy")
    if bandwidths is None:
        widths = _bandwidths(
            cdist(*(np.vstack([first, second])[:: max(1, (len(first) + len(second)) // 2000)],) * 2)
        )
    else:
        widths = np.atleast_1d(as_numbers(bandwidths, "bandwidths", "maximum_mean_discrepancy"))
        if not len(widths) or not (np.isfinite(widths) & (widths > 0)).all():
            must = "bandwidths must be numbers > 0"
            raise ParameterError(sentence("maximum_mean_discrepancy", must, repr(bandwidths)))

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _gaussian(cdist(x, y, "sqeuclidean"), widths)

    return 2.0 * _contrast(*(_mean(f(*xy)) for f, xy in _blocks(first, second, unbiased, kernel)))


def _blocks(a: np.ndarray, b: np.ndarray, unbiased: bool, between: Any) -> Any:
    """Yield what gives the matrices of a with a, of b with b and of a with b; own pairs NaN if unbiased."""

    def own(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = between(x, y)
        if unbiased:
            np.fill_diagonal(found, np.nan)
        return found

    yield own, (a, a)
    yield own, (b, b)
    yield between, (a, b)


def _mean(matrix: np.ndarray) -> float:
    return float(np.nanmean(matrix))


def _contrast(first: float, second: float, across: float) -> float:
    return 0.5 * (first + second) - across


def _bandwidths(distances: np.ndarray) -> np.ndarray:
    positive = distances[distances > 0]
    return np.array(_FACTORS) * (float(np.median(positive)) if len(positive) else 1.0)


def _gaussian(squared: np.ndarray, widths: np.ndarray) -> np.ndarray:
    return np.asarray(np.mean([np.exp(squared / (-2.0 * s * s)) for s in widths], axis=0))


def _squared(x: np.ndarray) -> np.ndarray:
    """Return squared distances of centred rows in single precision, never negative."""
    x = (x - x.mean(axis=0)).astype(np.float32)
    own = np.einsum("ij,ij->i", x, x)
    found = x @ x.T
    found *= -2.0
    found += own
    found += own[:, None]
    return np.maximum(found, 0.0, out=found)


class _Quadratic(PairedCheck):
    """A figure that is a mean over pairs of rows."""

    unit: ClassVar[str]
    words: ClassVar[str]

    @abstractmethod
    def _kernel(self, squared: np.ndarray) -> np.ndarray:
        """Turn squared distances into similarities, in place if it can."""

    def _matrix(self, exchange: Exchange) -> np.ndarray:
        matrix = self._kernel(_squared(exchange.design))
        np.fill_diagonal(matrix, 0.0)
        return matrix

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        exchange = whole(evidence).smaller(MOST // 2)  # unbiased: fewer rows make it rougher, not larger
        seen = np.repeat([1.0, 0.0], len(exchange)).astype(np.float32)[None]
        return float(_figure(self._matrix(exchange), seen, 1.0 - seen)[0])

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, null value, p-value and sentence."""
        exchange = whole(evidence).smaller(MOST)
        every = _figure(self._matrix(exchange), *exchange.parts)
        value, permuted = float(every[0]), every[1 : 1 + N_PERMUTATIONS]
        low, high = reach(value, every[1 + N_PERMUTATIONS :], floor=-np.inf)
        p = tail_p_value(value, permuted)
        null, usual = float(permuted.mean()), float(np.quantile(permuted, 0.95))
        told = (
            f"{self.words} {value:.4f} apart (equally good rows {null:.4f} on average, below {usual:.4f} in "
            "19 of 20 samples)"
        )
        told = worded(told, ": more than equally good rows", p, ": no more than equally good rows")
        caution = (
            "The figure depends on the coordinates: normal scores of numbers, one step a differing category."
        )
        return Finding(
            self.part, self.name, self.title, value, self.unit, low, high, null, p,
            len(exchange), told, caution,
        )  # fmt: skip


def _figure(matrix: np.ndarray, new: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return E k(X, X') + E k(Y, Y') - 2 E k(X, Y) for each pair of weightings (R, 2 k) of 0 and 1."""
    toward = [matrix @ np.ascontiguousarray(each.T) for each in (new, real)]
    count = [each.sum(axis=1, dtype=np.float64) for each in (new, real)]

    def total(weights: np.ndarray, k: int) -> np.ndarray:
        return np.einsum("rn,nr->r", weights.astype(np.float64), toward[k].astype(np.float64))

    own = [total(each, k) / (count[k] * (count[k] - 1)) for k, each in enumerate((new, real))]
    return np.asarray(own[0] + own[1] - 2.0 * total(new, 1) / (count[0] * count[1]))


class Energy(_Quadratic):
    """Energy distance of new and real rows (at most 2,000 a side), with a permutation test."""

    name, title = "energy", "Energy distance"
    unit, words = "distance", "By the energy distance, new and real rows are"

    def _kernel(self, squared: np.ndarray) -> np.ndarray:
        return -np.sqrt(squared, out=squared)


class MMD(_Quadratic):
    """Maximum mean discrepancy of new and real rows (at most 2,000 a side), with a permutation test."""

    name, title = "mmd", "Maximum mean discrepancy"
    unit, words = "squared discrepancy", "By the kernel discrepancy (MMD), new and real rows are"

    def _kernel(self, squared: np.ndarray) -> np.ndarray:
        part = squared[:: max(1, len(squared) // 500), :: max(1, len(squared) // 500)]
        widths = _bandwidths(np.sqrt(part))
        out = np.zeros_like(squared)
        for s in widths:
            out += np.exp(squared * np.float32(-0.5 / s**2))
        return out / np.float32(len(widths))
