"""If nothing was memorised, training and held-out rows may be exchanged: exact tests that rest on it alone.

Whatever the new rows look like, and however badly they fit: a generator that has not
memorised its training rows treats them like any other rows of their cell. Training and
held-out rows come in pairs of one cell; under the null hypothesis each pair may be
swapped by itself.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

__all__ = ["flip_sum_p_value", "flipped", "stratified_p_value", "wilson"]

_MOST_SUM = 20_000  # terms of several sizes: convolving them takes the square of this


def flipped(n_pairs: int, n_flips: int, rng: np.random.Generator) -> np.ndarray:
    """Return labellings (n_flips, 2 n_pairs) of bool, True for "training"; row i is paired with n_pairs + i.

    Examples
    --------
    >>> flipped(3, 2, np.random.default_rng(0)).sum(axis=1)
    array([3, 3])
    """
    swap = rng.integers(2, size=(n_flips, n_pairs), dtype=np.int8).astype(bool)
    return np.hstack([~swap, swap])


def flip_sum_p_value(differences: np.ndarray) -> float:
    """Return the exact chance that a sum is as large as it is, if every term could as well be negative.

    Parameters
    ----------
    differences : ndarray of int
        Of each pair: what the training row counts less what the held-out row counts.

    Notes
    -----
    Terms of one size make a binomial; the distributions of the sizes are convolved.
    Where that would be too long, Hoeffding's bound, which is never too small.

    References
    ----------
    Hoeffding (1963), Probability inequalities for sums of bounded random variables, theorem 2.

    Examples
    --------
    >>> flip_sum_p_value(np.array([1, 1, 1, 0]))
    0.125
    >>> flip_sum_p_value(np.array([2, -1]))  # sums 3, 1, -1, -3
    0.5
    """
    d = np.asarray(differences)
    d = d[d != 0].astype(np.int64)
    if not len(d):
        return 1.0
    sizes, counts = np.unique(np.abs(d), return_counts=True)
    total, reach = int(d.sum()), int(np.abs(d).sum())
    if len(sizes) > 1 and reach > _MOST_SUM:
        return float(min(1.0, np.exp(-(max(total, 0) ** 2) / (2.0 * np.sum(d.astype(float) ** 2)))))
    chances = np.ones(1)  # of the positive part: k terms of a size s are positive, k s units
    for size, count in zip(sizes, counts, strict=True):
        own = np.zeros(size * count + 1)
        own[::size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, own)
    least = (total + reach) // 2  # sum = 2 positive - reach
    return float(min(1.0, chances[least:].sum()))


def stratified_p_value(
    hits: np.ndarray, draws: np.ndarray, successes: np.ndarray, totals: np.ndarray
) -> float:
    """Return the chance of so many hits or more in all strata together, each hypergeometric (one-sided).

    Parameters
    ----------
    hits : ndarray (s,)
        Successes among the rows of the first kind in each stratum.
    draws : ndarray (s,)
        Rows of the first kind.
    successes, totals : ndarray (s,)
        Successes and rows of both kinds.

    References
    ----------
    Mantel and Haenszel (1959), doi:10.1093/jnci/22.4.719; here exact up to a few thousand
    successes, by the normal approximation with correction of continuity beyond.

    Examples
    --------
    One stratum is Fisher's exact test:

    >>> round(stratified_p_value(np.array([3]), np.array([4]), np.array([4]), np.array([8])), 4)
    0.2429
    """
    hits, draws, successes, totals = (np.asarray(a, dtype=np.int64) for a in (hits, draws, successes, totals))
    used = (successes > 0) & (draws > 0) & (draws < totals)
    fixed = int(hits[used].sum())
    if not used.any():
        return 1.0
    if successes[used].sum() > 4000:
        n, k, m = (a[used].astype(float) for a in (totals, successes, draws))
        mean = (k * m / n).sum()
        spread = np.sqrt((k * m / n * (1 - k / n) * (n - m) / np.maximum(n - 1, 1)).sum())
        return float(stats.norm.sf((fixed - 0.5 - mean) / spread)) if spread else 1.0
    chances = np.ones(1)
    for n, k, m in zip(totals[used], successes[used], draws[used], strict=True):
        chances = np.convolve(chances, stats.hypergeom.pmf(np.arange(min(k, m) + 1), n, k, m))
    return float(min(1.0, chances[fixed:].sum()))


def wilson(share: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share of n (effective) rows; n need not be whole.

    Reference: Wilson (1927), doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> tuple(round(end, 3) for end in wilson(0.5, 100))
    (0.404, 0.596)
    """
    if not n > 0 or not np.isfinite(share):
        return float("nan"), float("nan")
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(0.0, centre - reach)), float(min(1.0, centre + reach))
