"""Conditional means under one normal distribution, learned from rows with holes: where a chain starts."""

from __future__ import annotations

import numpy as np

from augsynth.core.normal import Numbers, conditional_means, em_step
from augsynth.core.persistence import persistent

__all__ = ["GaussianFill"]

_ITERATIONS = 12, 36  # of EM, fewest and most: stopping early is what shrinks where rows are few
_SETTLED = 2e-3  # largest change of a correlation at which EM stops
_WORK = 200_000  # rows times columns that EM looks at
_FAR = 1e6  # standard deviations at which a cell is held


@persistent
class GaussianFill:
    """Fill the holes of a numeric matrix with their means given the row's other cells.

    One multivariate normal is fitted by expectation maximisation, its correlations
    shrunk a little towards zero (more with few rows a column). Categories come in as
    indicators, so that their fills are rough probabilities.

    Parameters
    ----------
    d : ndarray (n, q)
        Rows; NaN = missing; at most 200,000 / q of them, a random sample, are learned from.
    rng : Generator

    Attributes
    ----------
    means, scales : ndarray (q,)
        Of the observed cells.
    mean : ndarray (q,)
        The distribution's mean, in those scales.
    precision : ndarray (q, q)
        The inverse of its covariance, in those scales.

    Notes
    -----
    Each row is filled on its own, and the bits do not depend on the other rows. Filling
    costs one solve of the size of a row's holes. Where cells are missing at random the
    fit is consistent if the data are normal, and the best linear one if not.

    References
    ----------
    Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM
    algorithm", JRSS B 39(1), 1977. Schafer, "Analysis of Incomplete Multivariate Data",
    1997, sections 5.3 and 5.4.4 (the ridge prior).

    Examples
    --------
    >>> d = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, np.nan], [4.0, 4.0]])
    >>> filled = GaussianFill(np.tile(d, (50, 1)), np.random.default_rng(0)).expect(d)
    >>> filled[3].round(1).tolist()
    [3.0, 3.0]
    """

    def __init__(self, d: np.ndarray, rng: np.random.Generator):
        n, q = d.shape
        most = max(1000, _WORK // max(q, 1))
        if n > most:
            d = d[np.sort(rng.permutation(n)[:most])]
            n = most
        seen = ~np.isnan(d)
        counts = np.maximum(seen.sum(axis=0), 1)
        self.means = np.where(seen, d, 0.0).sum(axis=0) / counts
        spread = np.where(seen, d - self.means, 0.0)
        self.scales = np.sqrt((spread**2).sum(axis=0) / counts)
        self.scales[~(self.scales > 1e-12)] = 1.0
        self._learn(self._standard(d), 0.001 + 0.05 * q / max(n, 1))

    def _standard(self, d: np.ndarray) -> np.ndarray:
        return np.clip((d - self.means) / self.scales, -_FAR, _FAR)

    def _learn(self, x: np.ndarray, prior: float) -> None:
        n, q = x.shape
        numbers = Numbers(x)
        self.mean = np.zeros(q)
        correlation = numbers.x.T @ numbers.x / max(n, 1)
        covariance = 0.5 * correlation + np.diag(np.maximum(1.0 - 0.5 * np.diag(correlation), 1e-3))
        fewest, most = _ITERATIONS
        for _ in range(1 if numbers.seen.all() else min(fewest + n // (5 * max(q, 1)), most)):
            self.mean, new = em_step(numbers, self.mean, covariance)
            spread = np.maximum(np.diag(new), 1e-6)
            new = (new + prior * np.diag(spread)) / (1.0 + prior)
            np.fill_diagonal(new, spread)
            moved = float(np.abs(new - covariance).max(initial=0.0))
            covariance = new
            if moved < _SETTLED:
                break
        self.precision = np.linalg.inv(covariance)

    def expect(self, d: np.ndarray) -> np.ndarray:
        """Return rows d (n, q) with every NaN replaced by its conditional mean."""
        filled = conditional_means(self._standard(d), self.mean, self.precision)
        out, holes = d.copy(), np.isnan(d)
        gone = np.nonzero(holes)[1]
        out[holes] = filled[holes] * self.scales[gone] + self.means[gone]
        return out
