"""Intervals for paired cross-validation scores, shares and ROC areas, and Holm's allowance for many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

__all__ = ["Interval", "corrected_interval", "delong", "holm", "holm_levels", "wilson"]

_MIN_FOLDS_WITHOUT_SPREAD = 10  # equal differences over fewer folds may be an accident of coarse scores


@dataclass(frozen=True)
class Interval:
    """A mean paired difference with the corrected standard error of that mean.

    Attributes
    ----------
    mean : float
        Mean of the paired differences, in units of the score.
    error : float
        Its standard error, corrected for overlapping training folds.
    n : int
        Number of paired differences (folds times repeats).
    """

    mean: float
    error: float
    n: int

    def bounds(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the two-sided interval of this confidence."""
        if not np.isfinite(self.error):
            return float("nan"), float("nan")
        reach = float(stats.t.ppf(0.5 + confidence / 2, self.n - 1)) * self.error if self.error else 0.0
        return self.mean - reach, self.mean + reach

    @property
    def p_greater(self) -> float:
        """One-sided p-value of "the true mean is not above zero"."""
        return self._p_value(self.mean)

    @property
    def p_less(self) -> float:
        """One-sided p-value of "the true mean is not below zero"."""
        return self._p_value(-self.mean)

    def _p_value(self, mean: float) -> float:
        if not np.isfinite(self.error):
            return 1.0
        if self.error == 0.0:  # no spread at all: a t value does not exist
            return 0.0 if mean > 0 and self.n >= _MIN_FOLDS_WITHOUT_SPREAD else 1.0
        return float(stats.t.sf(mean / self.error, self.n - 1))


def corrected_interval(differences: Sequence[float] | np.ndarray, test_train_ratio: float) -> Interval:
    """Turn paired differences over (repeated) folds into an interval that keeps its level.

    Training folds overlap, so the differences are correlated and the plain
    standard error ``sqrt(var / J)`` is far too small. The corrected resampled t
    statistic replaces it by ``sqrt((1 / J + n_test / n_train) * var)`` with
    ``J - 1`` degrees of freedom; Bouckaert and Frank use the same form for
    repeated k-fold cross-validation.

    Parameters
    ----------
    differences : array of shape (J,)
        One difference a fold and repeat. NaN (undefined scores) are left out.
    test_train_ratio : float
        Test rows over training rows of a fold: 0.25 for five folds.

    Returns
    -------
    Interval
        Its error is NaN when fewer than two differences are defined.

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error, Machine
    Learning 52, doi:10.1023/A:1024068626366. Bouckaert and Frank (2004),
    Evaluating the replicability of significance tests for comparing learning
    algorithms, PAKDD, doi:10.1007/978-3-540-24775-3_3.

    Examples
    --------
    >>> found = corrected_interval([0.02, 0.04, 0.03, 0.05, 0.01], test_train_ratio=0.25)
    >>> round(found.mean, 3), [round(float(end), 4) for end in found.bounds()]
    (0.03, [0.0006, 0.0594])
    """
    values = np.asarray(differences, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Interval(float(values.mean()) if len(values) else float("nan"), float("nan"), len(values))
    variance = float(values.var(ddof=1))
    if np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())):  # rounding is not spread
        variance = 0.0
    error = float(np.sqrt((1.0 / len(values) + test_train_ratio) * variance))
    return Interval(float(values.mean()), error, len(values))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p-values for their number (Holm's step-down method).

    Rejecting where the adjusted value is at most alpha keeps the chance of any
    false rejection at most alpha, whatever the dependence between the tests.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure,
    Scandinavian Journal of Statistics 6(2), 65-70.

    Examples
    --------
    >>> [float(p) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def holm_levels(p_values: Sequence[float] | np.ndarray, alpha: float) -> np.ndarray:
    """Return the level at which Holm's method ended up testing each p-value.

    An interval of confidence ``1 - level`` (one-sided) leaves zero out exactly
    where Holm rejects, so that a picture and a verdict never contradict each other.

    Examples
    --------
    >>> [round(float(level), 4) for level in holm_levels([0.001, 0.04, 0.03], alpha=0.05)]
    [0.0167, 0.025, 0.025]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = alpha / np.arange(len(p), 0, -1)
    failed = np.flatnonzero(p[order] > steps)
    if len(failed):
        steps[failed[0] :] = steps[failed[0]]
    levels = np.empty_like(p)
    levels[order] = steps
    return levels


def wilson(share: Any, n: Any, confidence: float = 0.95) -> tuple[Any, Any]:
    """Return the interval of shares of n (effective) rows; NaN where there are no rows.

    Parameters
    ----------
    share, n : float or array
        n need not be whole.

    Reference: Wilson (1927), doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> tuple(round(float(end), 3) for end in wilson(0.5, 100))
    (0.404, 0.596)
    """
    p, rows = np.asarray(share, dtype=float), np.asarray(n, dtype=float)
    rows = np.where(rows > 0, rows, np.nan)
    z2 = stats.norm.isf((1 - confidence) / 2) ** 2
    middle = (rows * p + z2 / 2) / (rows + z2)
    reach = np.sqrt(z2 * (rows * p * (1 - p) + z2 / 4)) / (rows + z2)
    return np.clip(middle - reach, 0, 1)[()], np.clip(middle + reach, 0, 1)[()]


def delong(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the area under the ROC curve of a score that is higher in the first sample, and its variance.

    Ties count half; the variance is NaN with fewer than two rows a side.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), doi:10.2307/2531595; computed from ranks as in
    Sun and Xu (2014), doi:10.1109/LSP.2014.2337313.

    Examples
    --------
    Of the four pairs three are in order; the placements are (1, 1/2) and (1, 1/2):

    >>> delong(np.array([3.0, 1.0]), np.array([0.0, 2.0]))
    (0.75, 0.125)
    """
    n, m = len(first), len(second)
    every = stats.rankdata(np.concatenate([first, second]))
    below = (every[:n] - stats.rankdata(first)) / m  # share of the second below each of the first
    above = 1.0 - (every[n:] - stats.rankdata(second)) / n
    if min(n, m) < 2:
        return float(below.mean()), float("nan")
    return float(below.mean()), float(below.var(ddof=1) / n + above.var(ddof=1) / m)
