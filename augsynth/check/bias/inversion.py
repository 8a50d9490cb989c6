"""The largest gap between groups, tested at every size it might have: hybrid resampling.

The plain bootstrap of max - min fails where it matters most: with equal groups every
sample has a gap, so its interval never holds 0. Here each candidate gap gets its own
null distribution: the groups are moved to the nearest configuration that has exactly this gap
(equal ones at 0), samples are drawn there, and the candidate stays in the interval if the
observed groups look ordinary among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from augsynth.check.bias.ends import IN_TAIL, beyond_draws, edge_of
from augsynth.core.random import keyed_rng

__all__ = ["Contrast", "Sample", "holds", "interval_of", "shrunken"]

_STREAM = 331
_EXACT_BELOW = 9.0  # variance of a count below which binomial draws come from the exact table
_MANY = 200  # such groups at once: the approximation must do
# How far the shrunken groups go back to what was observed, for either end of the interval: spread raises
# the lower tail's draws (a higher lower end), its lack raises the upper end. Chosen once, on normal data.
_OWN_FOR_LOW, _OWN_FOR_HIGH = 0.5, 0.25
_FEW = 24  # groups up to which every pair is weighed by itself
_FAR = 6.0  # standard errors short of the gap: such a pair of groups cannot be the largest one


@dataclass(frozen=True, eq=False)
class Sample:
    """Estimates of ``k`` families of groups, and how they would scatter.

    Attributes
    ----------
    values : ndarray (k, g)
        Rates (``kind`` "rate") or means ("mean"); NaN where a group has no rows.
    counts : ndarray (k, g)
        Rows behind each; need not be whole numbers (effective sizes under weights).
    errors : ndarray (k, g)
        Standard errors of means; for rates they follow from the rates and are not read.
    """

    values: np.ndarray
    counts: np.ndarray
    errors: np.ndarray
    kind: str = "rate"
    n_draws: int = 2000
    seed: int = 0

    @property
    def is_rate(self) -> bool:
        """Whether the values are shares between 0 and 1."""
        return self.kind == "rate"

    @cached_property
    def known(self) -> np.ndarray:
        """Return (k, g) of bool: groups with a value, in families that have two."""
        known = np.isfinite(self.values)
        return known & (known.sum(axis=1, keepdims=True) >= 2)

    @cached_property
    def _pulled(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the values (k, g), off 0 and 1, and the same without the spread that noise explains."""
        values = self.values
        if self.is_rate:
            values = (values * self.counts + 0.5) / (self.counts + 1)
        pulled = np.full(values.shape, np.nan)
        for k, known in enumerate(self.known):
            if known.any():
                pulled[k, known] = shrunken(values[k, known], self.errors_at(values)[k, known])
        return values, pulled

    def start(self, own: float) -> np.ndarray:
        """Return the shrunken values (k, g), but for a share ``own`` of the way back to the observed ones."""
        values, pulled = self._pulled
        return own * values + (1 - own) * pulled

    def errors_at(self, centre: np.ndarray) -> np.ndarray:
        """Return the standard errors (k, g) of estimates whose true values are ``centre``."""
        if not self.is_rate:
            return self.errors
        inner = (centre * self.counts + 0.5) / (self.counts + 1)
        return np.sqrt(inner * (1 - inner) / self.counts)

    @cached_property
    def weights(self) -> np.ndarray:
        """Return how much a value resists being moved (k, g)."""
        return self.counts if self.is_rate else 1 / self.errors**2

    @cached_property
    def _scores(self) -> np.ndarray:
        """Return standard normal numbers (n_draws, k, g), each with its mirror image."""
        rng = keyed_rng(self.seed, _STREAM)
        half = rng.standard_normal((self.n_draws // 2, *self.values.shape))
        return np.concatenate([half, -half])

    @cached_property
    def _noise(self) -> np.ndarray:
        """Return standardised errors of means: Student's t numbers of each group's own degrees of freedom."""
        freedom = np.maximum(np.where(self.known, self.counts, 2) - 1, 1)
        if (freedom > 200).all():
            return self._scores
        return np.clip(special.stdtrit(freedom, special.ndtr(self._scores)), -1e3, 1e3)

    def draws(self, centre: np.ndarray) -> np.ndarray:
        """Return samples (n_draws, k, g) of estimates whose true values are ``centre``."""
        if not self.is_rate:
            return centre + self.errors * self._noise
        n, z = self.counts, self._scores
        p = np.clip(centre, 0.0, 1.0)
        variance = n * p * (1 - p)
        drawn = n * p + np.sqrt(variance) * z + (1 - 2 * p) * (z**2 - 1) / 6  # skewness: Cornish and Fisher
        whole = self.known & (np.abs(n - np.round(n)) < 1e-9)
        drawn[:, whole] = np.round(drawn[:, whole])
        small = whole & (variance < _EXACT_BELOW)
        for k, g in zip(*np.nonzero(small & (small.sum() <= _MANY)), strict=True):
            drawn[:, k, g] = _binomial(int(round(n[k, g])), float(p[k, g]), z[:, k, g])
        return np.clip(drawn, 0, n) / n


def _binomial(n: int, p: float, z: np.ndarray) -> np.ndarray:
    """Turn normal scores into binomial counts of small variance, exactly."""
    if p > 0.5:
        return n - _binomial(n, 1 - p, -z)
    most = min(n, int(n * p + 10 * np.sqrt(n * p * (1 - p)) + 12))
    return np.searchsorted(special.bdtr(np.arange(most), n, p), special.ndtr(z)).astype(float)


def shrunken(values: np.ndarray, errors: np.ndarray, rounds: int = 40) -> np.ndarray:
    """Return estimates (g,) with the part of their spread taken out that noise explains.

    Empirical Bayes: posterior means under the maximum-likelihood prior on a grid. Groups that
    lie within their noise are drawn together, one that stands apart stays where it is.

    References
    ----------
    Kiefer and Wolfowitz (1956), doi:10.1214/aoms/1177728066; Jiang and Zhang (2009),
    General maximum likelihood empirical Bayes estimation of normal means, arXiv:0908.1709.

    Examples
    --------
    >>> shrunken(np.array([0.49, 0.51, 0.5, 0.9]), np.full(4, 0.02)).round(2)
    array([0.5, 0.5, 0.5, 0.9])
    """
    if np.ptp(values) == 0:
        return values.copy()
    grid = np.linspace(values.min(), values.max(), 40)
    errors = np.maximum(errors, 1e-9 * np.ptp(values))
    distance = -0.5 * ((values[:, None] - grid) / errors[:, None]) ** 2
    likelihood = np.exp(distance - distance.max(axis=1, keepdims=True))
    prior = np.full(len(grid), 1 / len(grid))
    for _ in range(rounds):
        posterior = likelihood * prior
        posterior /= posterior.sum(axis=1, keepdims=True)
        prior = posterior.mean(axis=0)
    posterior = likelihood * prior
    return posterior @ grid / posterior.sum(axis=1)


class Contrast:
    """The gap as a difference (high - low <= c) or relative to the highest (low >= (1 - c) high)."""

    def __init__(self, sample: Sample, relative: bool):
        self.sample, self.relative = sample, relative

    def terms(self, c: float) -> tuple[float, float]:
        """Return (a, b): a pair of groups has more than the gap c where ``a * high - b > low``."""
        return (1 - c, 0.0) if self.relative else (1.0, c)

    def observed(self) -> float:
        """Return the largest gap of the values."""
        sizes = []
        for values, known in zip(self.sample.values, self.sample.known, strict=True):
            if known.any():
                low, high = values[known].min(), values[known].max()
                sizes.append((1 - low / high if high > 0 else 0.0) if self.relative else high - low)
        return float(max(sizes))

    def configuration(self, c: float, own: float = 0.0) -> np.ndarray:
        """Return the values (k, g) nearest to the shrunken ones whose largest gap is exactly ``c``."""
        sample = self.sample
        centre = sample.start(own)
        a, b = self.terms(c)
        met = False
        for k, known in enumerate(sample.known):
            row = centre[k, known]
            if known.any() and a * row.max() - b >= row.min():
                centre[k, known] = _confined(row, sample.weights[k, known], a, b)
                met = True
        return centre if met else self._stretched(centre, a, b)

    def _stretched(self, centre: np.ndarray, a: float, b: float) -> np.ndarray:
        """Move the one pair of groups that costs least apart until it has the gap."""
        errors = self.sample.errors_at(centre)
        best, found = np.inf, None
        for k, known in enumerate(self.sample.known):
            if not known.any():
                continue
            own, variance = centre[k], np.where(known, errors[k] ** 2, np.nan)
            short = own[:, None] - a * own + b  # [low, high]
            spread = variance[:, None] + a**2 * variance
            cost = np.where(
                np.isfinite(spread) & ~np.eye(len(own), dtype=bool), short / np.sqrt(spread), np.inf
            )
            if cost.min() < best:
                low, high = np.unravel_index(int(cost.argmin()), cost.shape)
                best, found = float(cost.min()), (k, low, high, short[low, high] / spread[low, high])
        if found is None:
            return centre
        k, low, high, step = found
        down = centre[k, low] - step * errors[k, low] ** 2
        if self.sample.is_rate and down < 0:
            down = 0.0
        up = (down + b) / a if a > 0 else max(centre[k, high], down)
        if self.sample.is_rate and up > 1:
            up, down = 1.0, a - b
        moved = centre.copy()
        moved[k] = np.clip(centre[k], down, up)
        moved[k, low], moved[k, high] = down, up
        return moved

    def statistic(self, values: np.ndarray, errors: np.ndarray, centre: np.ndarray, c: float) -> np.ndarray:
        """Return how far the worst pair of each sample (..., k, g) exceeds the gap c, in standard errors."""
        a, b = self.terms(c)
        worst = np.full(values.shape[:-2], -np.inf)
        for k, known in enumerate(self.sample.known):
            if not known.any():
                continue
            bins, error = _bins(errors[k, known])
            alone = np.bincount(bins) == 1
            columns = np.ascontiguousarray(np.moveaxis(values[..., k, known], -1, 0))
            lows, highs = _extremes(columns, bins)
            at_low, at_high = _extremes(centre[k, known], bins)
            low, high = (each.ravel() for each in np.meshgrid(np.arange(len(error)), np.arange(len(error))))
            two = (low != high) | ~alone[low]
            low, high = low[two], high[two]
            scale = 1 / np.sqrt(error[low] ** 2 + (a * error[high]) ** 2)
            short = (a * at_high[high] - b - at_low[low]) * scale
            kept = short > min(short.max(), 0.0) - _FAR
            for i, j, w in zip(low[kept], high[kept], scale[kept], strict=True):
                np.maximum(worst, (a * highs[j] - lows[i] - b) * w, out=worst)
        return worst

    def smaller(self, c: float, own: float = 0.0) -> float:
        """Return the chance of a sample with a smaller excess than the one seen; ties count half."""
        centre = self.configuration(c, own)
        errors = self.sample.errors_at(centre)
        drawn = self.statistic(self.sample.draws(centre), errors, centre, c)
        seen = float(self.statistic(self.sample.values, errors, centre, c))
        slack = 1e-9 * max(1.0, abs(seen))
        ties = np.mean(np.abs(drawn - seen) <= slack)
        return float(np.mean(drawn < seen - slack) + 0.5 * ties)

    @cached_property
    def unit(self) -> float:
        """Return a typical standard error of a difference, on the scale of the gap."""
        sample = self.sample
        unit = float(np.sqrt(2) * np.median(sample.errors_at(sample.start(0.0))[sample.known]))
        if self.relative:
            unit /= max(float(sample.start(0.0)[sample.known].max()), 1e-12)
        return max(unit, 1e-12)

    def above(self, c: float, alpha: float) -> float:
        """Return the part of alpha for a larger excess than seen: all of it at 0, half of it far off."""
        return alpha / 2 * (1 + float(np.exp(-((c / self.unit) ** 2))))

    def room_below(self, c: float, alpha: float) -> float:
        """Return by how much the lower tail exceeds its part of alpha: negative where ``c`` is too large."""
        return self.smaller(c, _OWN_FOR_HIGH) - (alpha - self.above(c, alpha))

    def room_above(self, c: float, alpha: float) -> float:
        """Return by how much the upper tail exceeds its part of alpha: negative where ``c`` is too small."""
        return 1 - self.smaller(c, _OWN_FOR_LOW) - self.above(c, alpha)

    def p_value(self) -> float:
        """Return the chance of such an excess with equal groups; far tails from a curve, by Bonferroni.

        The normal one; for means Student's of the smallest group, which is never too light.
        """
        p = 1 - self.smaller(0.0)
        if p > 5 / self.sample.n_draws:
            return p
        centre = self.configuration(0.0)
        seen = float(self.statistic(self.sample.values, self.sample.errors_at(centre), centre, 0.0))
        pairs = sum(n * (n - 1) for n in self.sample.known.sum(axis=1))
        beyond = special.ndtr(-seen)
        if not self.sample.is_rate:
            beyond = special.stdtr(max(float(self.sample.counts[self.sample.known].min()) - 1, 1), -seen)
        return float(min(max(p, 5 / self.sample.n_draws), pairs * beyond))


def _bins(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin of each group (g,) and the error of each bin: a group each, or alike ones of many.

    Whatever errors weigh the pairs, the draws are weighed as the observed values are.
    """
    if len(errors) <= _FEW:
        return np.arange(len(errors)), errors
    _, bins = np.unique(np.round(np.log(errors) / np.log(1.2)), return_inverse=True)
    return bins, np.sqrt(np.bincount(bins, errors**2) / np.bincount(bins))


def _extremes(columns: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest of the groups of each bin."""
    if bins[-1] == len(bins) - 1 and len(bins) <= _FEW:
        return columns, columns
    order = np.argsort(bins, kind="stable")
    starts = np.searchsorted(bins[order], np.arange(bins.max() + 1))
    return np.minimum.reduceat(columns[order], starts), np.maximum.reduceat(columns[order], starts)


def _confined(values: np.ndarray, weights: np.ndarray, a: float, b: float) -> np.ndarray:
    """Return the values nearest to these with ``a * max - b <= min``."""
    low, high = float(values.min()), float(values.max())
    if a <= 0 or a * high - b <= low:
        return values
    for _ in range(50):
        floor = 0.5 * (low + high)
        ceiling = (floor + b) / a
        pull = np.sum(weights * np.maximum(floor - values, 0))
        if pull > np.sum(weights * np.maximum(values - ceiling, 0)) / a:
            high = floor
        else:
            low = floor
    return np.clip(values, floor, (floor + b) / a)


def interval_of(
    sample: Sample, alpha: float, *, relative: bool = False, p_value: float | None = None
) -> tuple[float, float, float, float]:
    """Return the largest gap, the ends of its interval, and the p-value of "no gap".

    The p-value is the same for differences and relative gaps: pass it on if it is known.

    A candidate gap is in the interval if neither tail of the observed excess among samples
    with exactly this gap is too thin; the whole of alpha lies on the side of "larger than" at a gap
    of 0 (nothing can be smaller), and half of it a few standard errors further.

    References
    ----------
    Chuang and Lai (2000), Hybrid resampling methods for confidence intervals, Statistica
    Sinica 10, 1-50.
    """
    contrast = Contrast(sample, relative)
    seen, unit, limit = contrast.observed(), contrast.unit, 1.0 if sample.is_rate else np.inf
    p_value = contrast.p_value() if p_value is None else p_value
    freedom = np.inf if sample.is_rate else float(np.where(sample.known, sample.counts, np.inf).min()) - 1
    drawn, longer = beyond_draws(alpha, sample.n_draws, freedom)
    low = 0.0
    if p_value <= alpha:
        low = edge_of(lambda c: contrast.room_above(c, drawn), seen, -unit, 0.0)
        low = max(seen + longer * (low - seen), 1e-3 * unit if longer > 1 else 0.0)
    high = edge_of(lambda c: contrast.room_below(c, drawn), seen, unit, limit)
    high = min(seen + longer * (high - seen), limit)
    return seen, min(low, seen), max(high, seen), p_value


def holds(sample: Sample, gap: float, alpha: float = 0.05, *, relative: bool = False) -> bool:
    """Say whether the interval of `interval_of` holds this gap, at the cost of one of its steps."""
    contrast = Contrast(sample, relative)
    if gap and alpha < IN_TAIL / sample.n_draws:
        _, low, high, _ = interval_of(sample, alpha, relative=relative)
        return low <= gap <= high
    if gap == 0:
        return contrast.p_value() > alpha
    return contrast.room_above(gap, alpha) >= 0 and contrast.room_below(gap, alpha) >= 0
