"""How wide a kernel is: the scale of a column, the rules of thumb, and cross-validated likelihood.

A cell's rows are ``numeric`` (n, d), ``codes`` (n, q) level codes, both NaN where no
kernel smooths (missing cells, point masses), with weights ``w`` (n,).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from augsynth.generate.kernels import KERNELS, NumericKernel, level_kernel

__all__ = ["column_scales", "cross_validated_widths", "effective_size", "rule_factor", "rule_weight"]

CV_ROWS = 1000  # rows drawn from a cell to choose its widths: the search costs CV_ROWS ** 2
FACTOR_RANGE = (0.02, 8.0)  # of the cross-validated bandwidth, in units of Scott's


def effective_size(w: np.ndarray) -> float:
    """Kish's number of rows that equal weights would need for the same precision."""
    w = w / w.max()
    return float(w.sum() ** 2 / np.square(w).sum())


def weighted_quantile(x: np.ndarray, w: np.ndarray, share: float) -> float:
    """Value below which a share of the weight lies (each row's weight centred on it)."""
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(w[order]) - 0.5 * w[order]
    return float(np.interp(share * w.sum(), reached, x[order]))


def column_scales(x: np.ndarray, w: np.ndarray, rule: str = "robust") -> np.ndarray:
    """Measure the spread of every column: standard deviations, or Silverman's robust rule.

    Parameters
    ----------
    x : ndarray (n, d)
        Numbers in data units, NaN where missing.
    w : ndarray (n,)
        Weights.
    rule : {"std", "robust"}
        "robust" is the smaller of the standard deviation and IQR / 1.349; where
        half of the rows are equal (IQR 0) it is the standard deviation.

    Returns
    -------
    ndarray (d,)
        0 where a column is constant, or has fewer than two numbers.
    """
    scales = np.zeros(x.shape[1])
    for j, column in enumerate(x.T):
        seen = ~np.isnan(column)
        if seen.sum() < 2:
            continue
        unit = np.abs(column[seen]).max() or 1.0  # squares of large numbers would overflow
        v, share = column[seen] / unit, w[seen] / w[seen].sum()
        spread = float(np.sqrt(share @ np.square(v - share @ v)))
        # Unbiased for equal weights, as in scipy: divide by 1 - sum of squared shares.
        spread /= np.sqrt(max(1.0 - share @ share, 1e-12))
        if rule == "robust":
            quarter = weighted_quantile(v, share, 0.75) - weighted_quantile(v, share, 0.25)
            spread = min(spread, quarter / 1.349) if quarter > 0 else spread
        scales[j] = 0.0 if v.min() == v.max() else spread * unit
    return scales


def rule_factor(rule: str, n: float, d: int) -> float:
    """Scott's or Silverman's bandwidth for n rows and d numeric columns, in units of the scale.

    References
    ----------
    Scott (1992), Multivariate Density Estimation, doi:10.1002/9780470316849, eq. 6.42.
    Silverman (1986), Density Estimation for Statistics and Data Analysis, eq. 4.14.
    """
    base = n if rule == "scott" else n * (d + 2.0) / 4.0
    return float(max(base, 1.0) ** (-1.0 / (d + 4.0)))


def rule_weight(n: float) -> float:
    """Redraw weight of a categorical kernel by rule: one row more, spread over the levels."""
    return 1.0 / (n + 1.0)


class PairTable:
    """Kernel terms of all pairs of rows, prepared once, for many widths."""

    def __init__(
        self,
        numeric: np.ndarray,
        codes: np.ndarray,
        states: np.ndarray,
        sizes: Sequence[tuple[int, bool]],
        w: np.ndarray,
        kernel: NumericKernel,
    ) -> None:
        n = len(w)
        # A compact kernel's left-out likelihood is 0 as soon as one row is isolated, so the
        # Gaussian of the same variance chooses for it.
        self.power = 1 if kernel.name == "exponential" else 2
        self.codes, self.sizes, self.w = codes, sizes, w / w.sum()
        self.distance = np.zeros((n, n))
        allowed = np.ones((n, n), dtype=bool)
        for state in states.T:
            if state.any():
                allowed &= state[:, None] == state[None, :]
        for column in numeric.T:
            with np.errstate(over="ignore"):
                gap = np.abs(np.nan_to_num(column)[:, None] - np.nan_to_num(column)[None, :])
                self.distance += gap / kernel.unit if self.power == 1 else 0.5 * gap * gap
        self.n_numbers = (~np.isnan(numeric)).sum(axis=1)
        # All copies of a row are left out with it: repeated values would pull every width to 0.
        copies = (self.distance == 0.0) & (self.n_numbers > 0)[:, None]
        np.fill_diagonal(copies, True)
        self.allowed = allowed & ~copies
        self.rest = np.where(self.allowed, self.w[None, :], 0.0).sum(axis=1)
        self.judged = self.rest > 0
        with np.errstate(divide="ignore"):
            self.log_w = np.where(self.allowed, np.log(self.w)[None, :], -np.inf)

    def level_terms(self, weight: float) -> np.ndarray:
        """Log mass of the categorical kernels of all pairs, plus the log weights."""
        terms = self.log_w.copy()
        for column, (n_levels, ordered) in zip(self.codes.T, self.sizes, strict=True):
            v = np.nan_to_num(column)
            mass = level_kernel(n_levels, ordered, weight).log_mass(v[:, None], v[None, :])
            terms += np.where(np.isnan(column)[:, None], 0.0, mass)
        return terms

    def score(self, factor: float, level_terms: np.ndarray) -> float:
        """Mean left-out log likelihood, up to a constant."""
        rows = self.judged
        exponent = level_terms[rows] - self.distance[rows] / factor**self.power
        value = logsumexp(exponent, axis=1) - np.log(self.rest[rows]) - self.n_numbers[rows] * np.log(factor)
        return float(np.average(value, weights=self.w[rows]))


def cross_validated_widths(
    numeric: np.ndarray,
    codes: np.ndarray,
    states: np.ndarray,
    sizes: Sequence[tuple[int, bool]],
    w: np.ndarray,
    kernel: str,
    rng: np.random.Generator,
    *,
    weight: float | None = None,
    factor: float | None = None,
) -> tuple[float, float]:
    """Choose one factor for all bandwidths and one redraw weight by leave-one-out likelihood.

    Parameters
    ----------
    numeric : ndarray (n, d)
        Numbers divided by the bandwidth that factor 1 stands for.
    codes : ndarray (n, q)
        Level codes.
    states : ndarray (n, d + q) of int
        0 where a kernel smooths the cell; rows whose states differ are no neighbours.
    sizes : sequence of (n_levels, ordered)
        The categorical columns.
    weight, factor : float, optional
        Held at this value instead of being searched.

    Returns
    -------
    factor, weight : float
        A factor chosen on a subsample of ``CV_ROWS`` rows carries over to all by Scott's power of n.

    Notes
    -----
    Costs about 25 passes over at most ``CV_ROWS ** 2`` pairs, 0.3 CPU-s a cell.
    """
    n, d = numeric.shape
    if n > CV_ROWS:
        kept = np.sort(rng.choice(n, CV_ROWS, replace=False))
        numeric, codes, states, w = numeric[kept], codes[kept], states[kept], w[kept]
        if factor is None:  # fewer rows want wider kernels
            numeric = numeric * (CV_ROWS / n) ** (1.0 / (d + 4.0))
    start_weight = rule_weight(effective_size(w)) if weight is None else weight
    start_factor = 1.0 if factor is None else factor
    table = PairTable(numeric, codes, states, sizes, w, KERNELS[kernel])
    if not table.judged.any():
        return start_factor, start_weight
    terms = table.level_terms(start_weight)
    for _ in range(2):
        if factor is None and numeric.shape[1]:
            start_factor = _best_factor(table, terms)
        if weight is None and codes.shape[1]:
            candidates = np.geomspace(0.25 / len(w), 0.9, 8)
            tables = [table.level_terms(candidate) for candidate in candidates]
            best = int(np.argmax([table.score(start_factor, t) for t in tables]))
            start_weight, terms = float(candidates[best]), tables[best]
        if factor is not None or weight is not None or not (numeric.shape[1] and codes.shape[1]):
            break
    return start_factor, start_weight


def _best_factor(table: PairTable, terms: np.ndarray) -> float:
    """Search a coarse grid, then inside the best bracket."""
    grid = np.geomspace(*FACTOR_RANGE, 11)
    best = int(np.argmax([table.score(f, terms) for f in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        lambda log_f: -table.score(float(np.exp(log_f)), terms),
        bounds=(np.log(low), np.log(high)),
        method="bounded",
        options={"xatol": 0.03},
    )
    return float(np.exp(found.x))
