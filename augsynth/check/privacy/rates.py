"""How well a score tells members from others: area under the ROC curve, hits at few false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from augsynth.check.intervals import delong

__all__ = ["HitRate", "auc_interval", "hit_rate"]


class Area(NamedTuple):
    """What `auc_interval` returns: the area under a ROC curve and its interval."""

    auc: float
    low: float
    high: float


def auc_interval(members: np.ndarray, others: np.ndarray, confidence: float = 0.95) -> Area:
    """Return the area under the ROC curve of a score, and its interval by DeLong's method.

    Parameters
    ----------
    members, others : ndarray
        Scores, higher for members; ties count half.

    References
    ----------
    See `augsynth.check.intervals.delong`.

    Examples
    --------
    Of the four pairs three are in order; the placements are (1, 1/2) and (1, 1/2):

    >>> area, low, high = auc_interval(np.array([3.0, 1.0]), np.array([0.0, 2.0]), 0.5)
    >>> area, round(high - area, 4)  # 0.6745 sqrt(1/8 / 2 + 1/8 / 2)
    (0.75, 0.2385)
    """
    a, b = np.asarray(members, dtype=float), np.asarray(others, dtype=float)
    if len(a) < 2 or len(b) < 2:
        return Area(float("nan"), float("nan"), float("nan"))
    area, variance = delong(a, b)
    reach = float(stats.norm.ppf(0.5 + confidence / 2) * np.sqrt(variance))
    return Area(area, max(0.0, area - reach), min(1.0, area + reach))


@dataclass(frozen=True)
class HitRate:
    """Share of members found at a given share of false alarms.

    Attributes
    ----------
    rate, low, high : float
        The share, and its exact interval for the threshold as it is.
    false_alarms : float
        The share of others above the threshold: at most what was asked for.
    """

    rate: float
    low: float
    high: float
    false_alarms: float


def hit_rate(
    members: np.ndarray, others: np.ndarray, false_alarms: float, n_members: int | None = None
) -> HitRate:
    """Return the true-positive rate at a low false-positive rate, with the interval of Clopper and Pearson.

    Parameters
    ----------
    members, others : ndarray
        Scores, higher for members.
    false_alarms : float
        Largest share of the others above the threshold.
    n_members : int, optional
        How many members the interval counts, where one has several scores.

    References
    ----------
    Carlini et al. (2022), Membership inference attacks from first principles, arXiv:2112.03570.

    Examples
    --------
    >>> found = hit_rate(np.array([9.0, 8.0, 1.0, 0.0]), np.arange(5.0), 0.2)
    >>> found.rate, found.false_alarms
    (0.5, 0.2)
    """
    a, b = np.asarray(members, dtype=float), np.sort(np.asarray(others, dtype=float))[::-1]
    allowed = int(np.floor(false_alarms * len(b) + 1e-9))
    limit = b[allowed] if allowed < len(b) else -np.inf  # above it lie at most `allowed` others
    share = float(np.mean(a > limit))
    n = len(a) if n_members is None else n_members
    interval = stats.binomtest(int(round(share * n)), n).proportion_ci(0.95, "exact")
    return HitRate(share, float(interval.low), float(interval.high), float(np.mean(b > limit)))
