"""Conditional means under one normal distribution, learned from rows with holes: where a chain starts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["GaussianFill"]

_ITERATIONS = 12, 36  # of EM, fewest and most: stopping early is what shrinks where rows are few
_SETTLED = 2e-3  # largest change of a correlation at which EM stops
_WORK = 200_000  # rows times columns that EM looks at
_CELLS = 1 << 20  # numbers of one batch of small matrices
_FAR = 1e6  # standard deviations at which a cell is held


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
        holes = np.isnan(x)
        groups = list(_by_holes(holes))
        filled = np.where(holes, 0.0, x)
        self.mean = np.zeros(q)
        correlation = filled.T @ filled / max(n, 1)
        covariance = 0.5 * correlation + np.diag(np.maximum(1.0 - 0.5 * np.diag(correlation), 1e-3))
        self.precision = np.linalg.inv(covariance)
        fewest, most = _ITERATIONS
        for _ in range(min(fewest + n // (5 * max(q, 1)), most) if groups else 1):
            extra = np.zeros(q * q)
            for rows, gone in groups:
                filled[rows[:, None], gone], inverse = self._solved(x[rows], gone, with_inverse=True)
                cells = gone[:, :, None] * q + gone[:, None, :]
                extra += np.bincount(cells.ravel(), weights=inverse.ravel(), minlength=q * q)
            self.mean = filled.mean(axis=0)
            centred = filled - self.mean
            new = (centred.T @ centred + extra.reshape(q, q)) / n
            spread = np.maximum(np.diag(new), 1e-6)
            new = (new + prior * np.diag(spread)) / (1.0 + prior)
            np.fill_diagonal(new, spread)
            moved = float(np.abs(new - covariance).max(initial=0.0))
            covariance = new
            self.precision = np.linalg.inv(covariance)
            if moved < _SETTLED:
                break

    def _solved(
        self, x: np.ndarray, gone: np.ndarray, *, with_inverse: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the means (b, k) of the cells ``gone`` (b, k) of rows x (b, q), and their covariances."""
        centred = x - self.mean
        np.put_along_axis(centred, gone, 0.0, axis=1)
        pull = np.zeros_like(centred)
        for column in range(x.shape[1]):  # not a matrix product: its last bits depend on the number of rows
            pull += centred[:, column, None] * self.precision[column]
        pull = np.take_along_axis(pull, gone, axis=1)
        within = self.precision[gone[:, :, None], gone[:, None, :]]
        if with_inverse:
            inverse = np.linalg.inv(within)
            return self.mean[gone] - np.einsum("bij,bj->bi", inverse, pull), inverse
        return self.mean[gone] - np.linalg.solve(within, pull[:, :, None])[:, :, 0], within

    def expect(self, d: np.ndarray) -> np.ndarray:
        """Return rows d (n, q) with every NaN replaced by its conditional mean."""
        holes = np.isnan(d)
        out = d.copy()
        for rows, gone in _by_holes(holes):
            means, _ = self._solved(self._standard(d[rows]), gone)
            out[rows[:, None], gone] = means * self.scales[gone] + self.means[gone]
        return out


def _by_holes(holes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows with equally many holes, a batch at a time, and the positions of the holes (b, k)."""
    counts = holes.sum(axis=1)
    for k in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == k)
        size = max(1, _CELLS // max(int(k) ** 2, holes.shape[1]))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield part, np.nonzero(holes[part])[1].reshape(len(part), k)
