"""Mean and covariance of rows with holes: maximum likelihood under a normal distribution, by EM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from augsynth.core.normal import MOST, Numbers, em_step, expected

__all__ = ["NormalFit", "fit_normal"]

_RIDGE = 1e-8  # of the unit variance of standardised columns


@dataclass(frozen=True)
class NormalFit:
    """A normal distribution fitted to rows with holes.

    Attributes
    ----------
    mean, covariance : ndarray (p,), (p, p)
    masks : ndarray of bool (P, p)
        Which cells are seen in each pattern.
    pattern : ndarray of int (n,)
        The pattern of each row.
    scores : ndarray (n, p)
        Derivative of each row's log likelihood by the mean; the sum over all rows is 0.
    converged : bool
    """

    mean: np.ndarray
    covariance: np.ndarray
    masks: np.ndarray
    pattern: np.ndarray
    scores: np.ndarray
    converged: bool

    def information(self, rows: np.ndarray) -> np.ndarray:
        """Return the information (p, p) of some rows (positions or a mask) on the mean.

        It is the sum of the inverse covariances of each row's seen cells.
        """
        found, counts = np.unique(self.pattern[rows], return_counts=True)
        total = np.zeros_like(self.covariance)
        for part, precisions in _precisions(self.masks[found], self.covariance):
            total += np.tensordot(counts[part], precisions, axes=1)
        return total


def fit_normal(z: np.ndarray, *, max_iter: int = 300, tol: float = 1e-5) -> NormalFit:
    """Fit a normal distribution to standardised rows (n, p), NaN where missing.

    Every column must have a seen cell. Cost: a round inverts one (p, p) matrix a pattern.

    References
    ----------
    Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
    Journal of the Royal Statistical Society B 39(1), 1977.

    Examples
    --------
    >>> z = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.1], [3.0, np.nan]])
    >>> bool(fit_normal(z).mean[1] > 2.0)  # the last row's first cell says that the second is large
    True
    """
    numbers = Numbers(z)
    count = np.maximum(numbers.seen.sum(axis=0), 1)
    mean = numbers.x.sum(axis=0) / count
    covariance = np.diag(np.where(numbers.seen, (z - mean) ** 2, 0.0).sum(axis=0) / count + _RIDGE)
    converged = False
    for _ in range(max_iter):
        centre, made = em_step(numbers, mean, covariance)
        made = (made + made.T) / 2 + _RIDGE * np.eye(len(mean))
        moved = max(np.abs(centre - mean).max(), np.abs(made - covariance).max())
        mean, covariance = centre, made
        if moved < tol:
            converged = True
            break
    # The score of a row is the precision times its expected gap: 0 for the missing cells.
    gap, _ = expected(numbers, mean, covariance)
    scores = np.where(numbers.seen, gap @ np.linalg.inv(covariance), 0.0)
    return NormalFit(mean, covariance, numbers.shown, numbers.index, scores, converged)


def _precisions(masks: np.ndarray, covariance: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield batches of patterns, and the inverse covariance of their seen cells (b, p, p), 0 elsewhere."""
    p = len(covariance)
    step = max(1, MOST // (p * p))
    for start in range(0, len(masks), step):
        part = slice(start, start + step)
        both = masks[part, :, None] & masks[part, None, :]
        yield part, np.where(both, np.linalg.inv(np.where(both, covariance, np.eye(p))), 0.0)
