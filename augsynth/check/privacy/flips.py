"""If nothing was memorised, training and held-out rows may be exchanged: exact tests that rest on it alone.

Whatever the new rows look like, and however badly they fit: a generator that has not
memorised its training rows treats them like any other rows of their cell. Training and
held-out rows come in pairs of one cell; under the null hypothesis each pair may be
swapped by itself.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

__all__ = ["flip_sum_p_value", "flipped", "more_held"]

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


def more_held(positions: np.ndarray, n: int) -> float:
    """Return the exact chance that so many more of the nearest references are held-out rows."""
    counts = np.bincount(positions, minlength=2 * n)
    return flip_sum_p_value(counts[n:] - counts[:n])
