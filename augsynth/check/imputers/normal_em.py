"""Mean and covariance of rows with holes: maximum likelihood under a normal distribution, by EM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["NormalFit", "fit_normal"]

_RIDGE = 1e-8  # of the unit variance of standardised columns
_CELLS = 1 << 21  # floats of small matrices held at once


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
    seen = ~np.isnan(z)
    x = np.where(seen, z, 0.0)
    masks, pattern = np.unique(seen, axis=0, return_inverse=True)
    pattern = pattern.reshape(-1)
    order = np.argsort(pattern, kind="stable")
    count = np.maximum(seen.sum(axis=0), 1)
    mean = x.sum(axis=0) / count
    covariance = np.diag(np.where(seen, (x - mean) ** 2, 0.0).sum(axis=0) / count + _RIDGE)
    converged = False
    for _ in range(max_iter):
        gap = np.where(seen, x - mean, 0.0)
        scores, information = _scores(gap, masks, pattern, order, covariance)
        step = scores @ covariance  # expected cells minus the mean
        centre = step.mean(axis=0)
        spread = (step - centre).T @ (step - centre) / len(x)
        made = spread + covariance - covariance @ (information / len(x)) @ covariance
        made = (made + made.T) / 2 + _RIDGE * np.eye(len(mean))
        moved = max(np.abs(centre).max(), np.abs(made - covariance).max())
        mean, covariance = mean + centre, made
        if moved < tol:
            converged = True
            break
    scores, _ = _scores(np.where(seen, x - mean, 0.0), masks, pattern, order, covariance)
    return NormalFit(mean, covariance, masks, pattern, scores, converged)


def _precisions(masks: np.ndarray, covariance: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield batches of patterns, and the inverse covariance of their seen cells (b, p, p), 0 elsewhere."""
    p = len(covariance)
    step = max(1, _CELLS // (p * p))
    for start in range(0, len(masks), step):
        part = slice(start, start + step)
        both = masks[part, :, None] & masks[part, None, :]
        yield part, np.where(both, np.linalg.inv(np.where(both, covariance, np.eye(p))), 0.0)


def _scores(
    gap: np.ndarray, masks: np.ndarray, pattern: np.ndarray, order: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores (n, p) and information (p, p) of rows; ``order`` sorts them by pattern."""
    scores, information = np.empty_like(gap), np.zeros_like(covariance)
    ends = np.concatenate([[0], np.cumsum(np.bincount(pattern, minlength=len(masks)))])
    for part, precisions in _precisions(masks, covariance):
        edges = ends[part.start : part.stop + 1]
        information += np.tensordot(np.diff(edges), precisions, axes=1)
        step = max(1, _CELLS // covariance.size)
        for start in range(edges[0], edges[-1], step):
            rows = order[start : min(start + step, edges[-1])]
            scores[rows] = np.einsum("nde,ne->nd", precisions[pattern[rows] - part.start], gap[rows])
    return scores, information
