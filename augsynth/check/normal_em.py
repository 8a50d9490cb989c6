"""Mean and covariance of rows with holes: maximum likelihood under a normal distribution, by EM."""

from __future__ import annotations

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
    pattern : ndarray of int (n,)
        The pattern of seen cells of each row.
    precisions : ndarray (P, p, p)
        Inverse covariance of the seen cells of each pattern, 0 elsewhere.
    scores : ndarray (n, p)
        Derivative of each row's log likelihood by the mean; the sum over all rows is 0.
    converged : bool
    """

    mean: np.ndarray
    covariance: np.ndarray
    pattern: np.ndarray
    precisions: np.ndarray
    scores: np.ndarray
    converged: bool


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
    counts = np.bincount(pattern)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = x.sum(axis=0) / count
    covariance = np.diag(np.where(seen, (x - mean) ** 2, 0.0).sum(axis=0) / count + _RIDGE)
    converged = False
    for _ in range(max_iter):
        precisions, scores = _scores(x, seen, masks, pattern, mean, covariance)
        step = scores @ covariance  # expected cells minus the mean
        centre = step.mean(axis=0)
        information = np.tensordot(counts, precisions, axes=1) / len(x)
        spread = (step - centre).T @ (step - centre) / len(x)
        made = spread + covariance - covariance @ information @ covariance
        made = (made + made.T) / 2 + _RIDGE * np.eye(len(mean))
        moved = max(np.abs(centre).max(), np.abs(made - covariance).max())
        mean, covariance = mean + centre, made
        if moved < tol:
            converged = True
            break
    precisions, scores = _scores(x, seen, masks, pattern, mean, covariance)
    return NormalFit(mean, covariance, pattern, precisions, scores, converged)


def _scores(
    x: np.ndarray,
    seen: np.ndarray,
    masks: np.ndarray,
    pattern: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    p = len(mean)
    precisions = np.empty((len(masks), p, p))
    step = max(1, _CELLS // (p * p))
    for start in range(0, len(masks), step):
        part = masks[start : start + step]
        both = part[:, :, None] & part[:, None, :]
        precisions[start : start + step] = np.where(
            both, np.linalg.inv(np.where(both, covariance, np.eye(p))), 0.0
        )
    gap = np.where(seen, x - mean, 0.0)
    scores = np.empty_like(gap)
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        scores[rows] = np.einsum("nde,ne->nd", precisions[pattern[rows]], gap[rows])
    return precisions, scores
