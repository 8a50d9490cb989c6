"""Small p-values from few permutations: a curve beyond the permuted figures."""

from __future__ import annotations

import numpy as np
from scipy import stats

from augsynth.check.permutation import permutation_p_value

__all__ = ["LEAST", "tail_p_value"]

LEAST = 1e-12  # no tail is known better than that
_SKEW = 0.05  # below, the third moment says nothing and the tail is normal


def tail_p_value(value: float, permuted: np.ndarray) -> float:
    """Return the chance of a figure at least as large, also where no permutation came near it.

    As long as one permuted figure reaches ``value`` the count decides, so the level is
    exact. Beyond them all the tail of a Pearson type III curve with the mean, spread and
    skewness of the permuted figures says how far beyond (and never more than the count would).

    References
    ----------
    Minas and Montana, "Distance-based analysis of variance: approximate inference",
    Statistical Analysis and Data Mining 7(6), 2014, arXiv:1205.2417.

    Examples
    --------
    >>> drawn = np.random.default_rng(0).chisquare(5, 199)
    >>> tail_p_value(5.0, drawn) > 0.2, tail_p_value(60.0, drawn) < 1e-6
    (True, True)
    """
    permuted = np.asarray(permuted, dtype=float)
    counted = permutation_p_value(value, permuted)
    spread = float(permuted.std(ddof=1)) if len(permuted) > 1 else 0.0
    if counted > 1.5 / (1 + len(permuted)) or not spread > 0:
        return counted
    z = (value - float(permuted.mean())) / spread
    skew = max(float(stats.skew(permuted)), 0.0)
    beyond = stats.norm.sf(z) if skew < _SKEW else stats.pearson3.sf(z, skew)
    return float(min(counted, max(beyond, LEAST)))
