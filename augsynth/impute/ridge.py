"""Ridge regression whose penalty the evidence chooses, with its posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["MOST_PREDICTORS", "RidgeFit", "fit_ridge"]

MOST_PREDICTORS = 200  # design columns of one fit: those most correlated with the target
_TINY = np.finfo(float).tiny


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """A ridge regression whose penalty maximises the evidence, with its posterior.

    Attributes
    ----------
    columns : ndarray (k,) of int
        Design columns that are used.
    coefficients, intercept : ndarray (k,), float
        Posterior means.
    fitted : ndarray (n,)
        Predictions of the rows of fit.
    sigma : float
        Residual standard deviation.
    freedom, effective : float
        Degrees of freedom of the residuals, and effective number of slopes.
    """

    columns: np.ndarray
    coefficients: np.ndarray
    intercept: float
    fitted: np.ndarray
    sigma: float
    freedom: float
    effective: float
    _means: np.ndarray
    _values: np.ndarray
    _vectors: np.ndarray
    _penalty: float
    _n: int

    def drawn(self, rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
        """Return one draw of (coefficients, intercept, sigma) from their posterior."""
        sigma = self.sigma * np.sqrt(self.freedom / max(rng.chisquare(self.freedom), _TINY))
        noise = rng.standard_normal(len(self.columns) + 1)
        # width 1 / sqrt(penalty) of the prior, but 1 / sqrt(value + penalty) along what the rows tell of
        wide = 1.0 / np.sqrt(self._penalty)
        narrow = 1.0 / np.sqrt(self._values + self._penalty) - wide
        step = wide * noise[1:] + self._vectors @ (narrow * (self._vectors.T @ noise[1:]))
        coefficients = self.coefficients + sigma * step
        center = self.intercept + self._means @ self.coefficients + sigma * noise[0] / np.sqrt(self._n)
        return coefficients, float(center - self._means @ coefficients), float(sigma)


def fit_ridge(x: np.ndarray, y: np.ndarray, *, flat: bool = False) -> RidgeFit:
    """Fit a ridge regression of y (n,) on x (n, q) with an unpenalised intercept.

    Parameters
    ----------
    x : ndarray (n, q)
        Roughly standardised columns.
    y : ndarray (n,)
    flat : bool, default=False
        Keep the penalty negligible where rows abound, so that slopes are unbiased, as
        draws for multiple imputation need; with few rows a column the evidence rules.
    """
    n, columns = len(y), np.arange(x.shape[1])
    means, center = x.mean(axis=0), y.mean()
    if len(columns) > MOST_PREDICTORS:
        strength = np.abs((y - center) @ x) / np.maximum(x.std(axis=0), 1e-9)
        columns = np.sort(np.argsort(-strength, kind="stable")[:MOST_PREDICTORS])
        x, means = x[:, columns], means[columns]
    x = x - means
    y = y - center
    values, vectors = _axes(x)
    rotated = vectors.T @ (x.T @ y)
    penalty = _evidence(values, rotated, float(y @ y), n)
    if flat:
        penalty = min(penalty, 1.0 + max(0.0, 10.0 * len(columns) - n))
    coefficients = vectors @ (rotated / (values + penalty))
    effective = float((values / (values + penalty)).sum())
    fitted = x @ coefficients
    residual = y - fitted
    freedom = max(n - 1.0 - effective, 1.0)
    return RidgeFit(
        columns,
        coefficients,
        float(center - means @ coefficients),
        fitted + center,
        float(np.sqrt(residual @ residual / freedom)),
        freedom,
        effective,
        means,
        values,
        vectors,
        penalty,
        n,
    )


def _axes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues (r,) and eigenvectors (q, r) of x'x, at least those that are not zero."""
    n, q = x.shape
    if n >= q:
        values, vectors = np.linalg.eigh(x.T @ x)
        return np.maximum(values, 0.0), vectors
    values, left = np.linalg.eigh(x @ x.T)  # the same numbers, from the smaller matrix
    kept = values > 1e-10 * values.max(initial=0.0)
    return values[kept], x.T @ left[:, kept] / np.sqrt(values[kept])


def _evidence(values: np.ndarray, rotated: np.ndarray, total: float, n: int) -> float:
    """Return the penalty of largest evidence (MacKay's fixed point), eigenvalues (q,) given."""
    penalty = 1.0
    if not len(values) or total <= 0 or n < 3:
        return penalty
    for _ in range(30):
        b = rotated / (values + penalty)
        used = float((values / (values + penalty)).sum())
        rss = max(total - 2.0 * float(b @ rotated) + float(b * b @ values), 1e-12 * total)
        size = max(float(b @ b), 1e-12)
        new = used * rss / (max(n - 1.0 - used, 1.0) * size)
        new = min(max(new, 1e-6), 1e6 * n)
        if abs(new - penalty) <= 0.02 * penalty:
            return new
        penalty = new
    return penalty
