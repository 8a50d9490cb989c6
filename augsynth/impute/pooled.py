"""The pooled estimates of several completed tables, and tests of several of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.core.errors import DataError, ParameterError, offenders, sentence

__all__ = ["JointTest", "Pooled", "dof_observed"]

_WHERE = "Pooled.test"


class JointTest(NamedTuple):
    """A test of several estimates at once: ``statistic`` is F with ``dof`` (k, nu)."""

    statistic: float
    dof: tuple[int, float]
    p_value: float


@dataclass(frozen=True, eq=False)
class Pooled:
    """What m completed tables say together.

    Every quantity is a float for a scalar estimate, else an ndarray (k,). Under a
    ``transform`` they are on the transformed scale, apart from ``estimate``,
    ``standard_error``, ``low`` and ``high``, which are in the user's units.

    Attributes
    ----------
    estimate : the mean of the m estimates
    standard_error : square root of the total variance
    low, high : the interval of level ``level``
    dof : degrees of freedom of the interval and the test
    statistic, p_value : two-sided t test of the value zero
    within, between, total : variances; total = within + (1 + 1 / m) between
    relative_increase : r, the increase in variance that missing cells cause; inf where ``within`` is 0
    missing_information : the fraction of information about the estimate that is missing, in [0, 1]
    m, level, names : as given
    within_covariance, between_covariance : ndarray (k, k) or None
        Where covariances were given.
    dof_complete : float
        Degrees of freedom that the complete table would have.
    """

    estimate: Any
    standard_error: Any
    low: Any
    high: Any
    dof: Any
    statistic: Any
    p_value: Any
    within: Any
    between: Any
    total: Any
    relative_increase: Any
    missing_information: Any
    m: int
    level: float
    names: list[Any]
    dof_complete: float
    location: np.ndarray  # (k,) the mean on the scale on which it was pooled
    within_covariance: np.ndarray | None = None
    between_covariance: np.ndarray | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return one row an estimate, as a table of coefficients is printed."""
        columns = ("estimate", "standard_error", "low", "high", "statistic", "dof", "p_value")
        more = ("relative_increase", "missing_information")
        data = {name: np.atleast_1d(getattr(self, name)) for name in columns + more}
        return pd.DataFrame(data, index=pd.Index(self.names))

    def __str__(self) -> str:
        head = f"{self.m} completed tables, intervals of {self.level:.0%}\n"
        return head + self.to_frame().to_string(float_format=lambda value: f"{value:.4g}")

    def test(self, which: Sequence[Any] | None = None, value: Any = 0.0) -> JointTest:
        """Test whether several estimates all have a given value (the D1 statistic).

        Parameters
        ----------
        which : list of names, optional
            Default: all.
        value : float or array-like, (k,), default=0.0
            What they are under the null hypothesis, on the scale on which they were pooled.

        Returns
        -------
        JointTest
            F = (q - value)' (W (1 + r))^-1 (q - value) / k, with W the mean covariance and
            r the mean relative increase, equal for all directions by assumption.

        Raises
        ------
        ParameterError
            Where `pool` was given no covariances, or ``which`` names unknown estimates.
        DataError
            Where the covariances are singular.

        Notes
        -----
        Deviation: with finite ``dof_complete`` the denominator's degrees of freedom are
        combined with those of the complete data as in Barnard and Rubin; Li et al. give
        the large-sample ones only. A single estimate gets exactly the t test.

        References
        ----------
        Li, Raghunathan and Rubin, "Large-sample significance levels from multiply imputed
        data using moment-based statistics and an F reference distribution", JASA 1991,
        doi:10.1080/01621459.1991.10475152.
        """
        if self.within_covariance is None or self.between_covariance is None:
            todo = "Pass variances of shape (m, k, k)."
            raise ParameterError(
                sentence(_WHERE, "a joint test needs covariances", "squared standard errors", todo)
            )
        chosen = list(self.names) if which is None else list(which)
        unknown = [name for name in chosen if name not in self.names]
        if unknown or not chosen or len(set(chosen)) < len(chosen):
            todo = f"There are {offenders(self.names, 10)}."
            raise ParameterError(
                sentence(_WHERE, "which must name estimates, each once", offenders(unknown or chosen), todo)
            )
        at = np.array([self.names.index(name) for name in chosen])
        away = self.location[at] - np.broadcast_to(np.asarray(value, dtype=float), len(at))
        if len(at) == 1:
            total, dof = float(np.atleast_1d(self.total)[at[0]]), float(np.atleast_1d(self.dof)[at[0]])
            statistic = float(away[0] ** 2 / total) if total > 0 else float(np.where(away[0], np.inf, np.nan))
        else:
            grid = np.ix_(at, at)
            statistic, dof = self._joint(away, self.within_covariance[grid], self.between_covariance[grid])
        return JointTest(statistic, (len(at), dof), float(stats.f.sf(statistic, len(at), dof)))

    def _joint(self, away: np.ndarray, within: np.ndarray, between: np.ndarray) -> tuple[float, float]:
        k, m = len(away), self.m
        scale = np.sqrt(np.diag(within))
        scale[scale == 0] = 1.0
        away, within, between = (
            away / scale,
            within / np.outer(scale, scale),
            between / np.outer(scale, scale),
        )
        rank = int(np.linalg.matrix_rank(within, hermitian=True))
        if rank < k:
            must = "the estimates' mean covariance must be regular for a joint test"
            raise DataError(sentence(_WHERE, must, f"rank {rank} of {k}", "Name fewer estimates."))
        r = (1 + 1 / m) * float(np.trace(np.linalg.solve(within, between))) / k
        statistic = float(away @ np.linalg.solve(within, away)) / (k * (1 + r))
        t = k * (m - 1)
        if r <= 0:
            rate = 0.0
        elif t > 4:
            rate = 1 / (4 + (t - 4) * (1 + (1 - 2 / t) / r) ** 2)
        else:
            rate = 2 / (t * (1 + 1 / k) * (1 + 1 / r) ** 2)
        rate += float(1 / dof_observed(self.dof_complete, np.array(r / (1 + r))))
        return statistic, 1 / rate if rate > 0 else np.inf


def dof_observed(complete: float, share: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom that the seen cells leave of the complete table's."""
    if np.isinf(complete):
        return np.full_like(share, np.inf, dtype=float)
    left = (complete + 1) / (complete + 3) * complete * (1 - share)
    return np.maximum(left, np.finfo(float).tiny)
