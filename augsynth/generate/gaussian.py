"""Gaussian components on rows with missing cells: densities, expected moments, conditional draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augsynth.core.normal import FEW, MOST, Numbers, expected
from augsynth.core.persistence import persistent

__all__ = ["Gaussians"]

LOG_2PI = float(np.log(2.0 * np.pi))


@persistent
@dataclass(frozen=True)
class Gaussians:
    """K Gaussian components over d numbers.

    Attributes
    ----------
    means : ndarray (K, d)
    covariances : ndarray (K, d) or (K, d, d)
        Variances of independent numbers, or full matrices.
    """

    means: np.ndarray
    covariances: np.ndarray

    @property
    def is_diagonal(self) -> bool:
        """Whether the numbers are independent within a component."""
        return self.covariances.ndim == 2

    def log_density(self, numbers: Numbers) -> np.ndarray:
        """Log density of the seen cells of every row under every component, (n, K)."""
        value = np.empty((len(numbers), len(self.means)))
        for k, mean in enumerate(self.means):
            gap = np.where(numbers.seen, numbers.x - mean, 0.0)
            if self.is_diagonal:
                variance = self.covariances[k]
                constant = numbers.shown @ (np.log(variance) + LOG_2PI)
                value[:, k] = -0.5 * (np.square(gap) @ (1.0 / variance) + constant[numbers.index])
                continue
            whitener, log_det = self._whiteners(k, numbers.shown)
            white = _apply(whitener, numbers, gap)
            constant = log_det + numbers.shown.sum(axis=1) * LOG_2PI
            value[:, k] = -0.5 * (np.square(white).sum(axis=1) + constant[numbers.index])
        return value

    def moments(self, numbers: Numbers, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum the expected first and second moments of all rows around the means.

        Parameters
        ----------
        share : ndarray (n, K)
            Weight of each row in each component.

        Returns
        -------
        first : ndarray (K, d)
            Sum of share * E[x - mean | seen cells].
        second : ndarray (K, d) or (K, d, d)
            Sum of share * E[(x - mean)(x - mean)' | seen cells]; its diagonal for independent numbers.
        """
        first, second = np.zeros_like(self.means), np.zeros_like(self.covariances)
        for k, mean in enumerate(self.means):
            r = share[:, k]
            if self.is_diagonal:
                gap = np.where(numbers.seen, numbers.x - mean, 0.0)
                first[k] = r @ gap
                second[k] = r @ np.square(gap) + self.covariances[k] * (r @ ~numbers.seen)
                continue
            gap, second[k] = expected(numbers, mean, self.covariances[k], r)
            first[k] = r @ gap
            second[k] += (gap * r[:, None]).T @ gap
        return first, second

    def draw(self, component: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Draw a row of each given component (n,) from standard normal noise (n, d)."""
        drawn = self.means[component]
        if self.is_diagonal:
            return drawn + noise * np.sqrt(self.covariances[component])
        for k in np.unique(component):
            rows = component == k
            drawn[rows] += noise[rows] @ np.linalg.cholesky(self.covariances[k]).T
        return drawn

    def fill(self, numbers: Numbers, component: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Draw the missing cells of every row given its seen cells and its component.

        Parameters
        ----------
        component : ndarray of int (n,)
        noise : ndarray (n, d)
            Standard normal; noughts give the conditional means.
        """
        drawn = np.where(numbers.seen, numbers.x, self.means[component])
        if self.is_diagonal:
            return np.where(numbers.seen, drawn, drawn + noise * np.sqrt(self.covariances[component]))
        for k in np.unique(component):
            rows = np.flatnonzero(component == k)
            own = numbers
            if len(rows) < len(numbers):
                own = Numbers(np.where(numbers.seen[rows], numbers.x[rows], np.nan))
            # The precision of the missing given the seen is the block of the joint precision.
            precision = np.linalg.inv(self.covariances[k])
            for part, some in own.parts():
                hidden = ~some.shown
                both = hidden[:, :, None] & hidden[:, None, :]
                root = np.linalg.cholesky(np.where(both, precision, np.eye(hidden.shape[1])))
                back = np.linalg.inv(root)
                gap = np.where(some.seen, some.x - self.means[k], 0.0)
                white = _apply(back, some, np.where(some.seen, 0.0, gap @ precision))
                shift = _apply(np.swapaxes(back, 1, 2), some, noise[rows[part]] - white)
                drawn[rows[part]] += np.where(some.seen, 0.0, shift)
        return drawn

    def _whiteners(self, k: int, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inverse Cholesky factors (P, d, d) of the seen blocks (identity elsewhere), log determinants."""
        both = shown[:, :, None] & shown[:, None, :]
        blocks = np.where(both, self.covariances[k], np.eye(shown.shape[1]))
        root = np.linalg.cholesky(blocks)
        log_det = 2.0 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        return np.linalg.inv(root), log_det


def _apply(matrices: np.ndarray, numbers: Numbers, rows: np.ndarray) -> np.ndarray:
    """Multiply every row by the matrix of its pattern."""
    if len(matrices) == 1:
        return rows @ matrices[0].T
    result = np.empty_like(rows)
    for pattern in np.flatnonzero(numbers.counts > FEW):
        stretch = slice(numbers.starts[pattern], numbers.starts[pattern + 1])
        chosen = stretch if numbers.is_sorted else numbers.order[stretch]
        result[chosen] = rows[chosen] @ matrices[pattern].T
    rare = np.flatnonzero(numbers.counts[numbers.index] <= FEW)
    step = max(1, MOST // max(rows.shape[1] ** 2, 1))
    for start in range(0, rare.size, step):
        chosen = rare[start : start + step]
        result[chosen] = np.einsum("nde,ne->nd", matrices[numbers.index[chosen]], rows[chosen])
    return result
