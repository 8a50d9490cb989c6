"""How far the largest gap between groups changed, on the same rows: every size of the change tested."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from augsynth.check.bias.ends import beyond_draws, edge_of
from augsynth.check.bias.inversion import Contrast, Sample
from augsynth.core.random import keyed_rng

__all__ = ["PairedGap"]

_STREAM = 334
_WORK = 6_000  # draws times groups, at most; between 400 and 1,000 draws
_MANY_ROWS = 200
_NEAR = 5  # groups at either end, at most, that are weighed as the true extremes
_OUTER = 10  # groups at either end, at most, that the true extremes may not pass
_STEPS = 20  # changes looked at on either side, twice


@dataclass(frozen=True, eq=False)
class PairedGap:
    """Values of groups before and after on the same rows, and how they would scatter together.

    A change d of the largest gap is tested among samples whose true gaps differ by d: the groups'
    values, with the spread that noise explains taken out, are moved to the nearest such pair of gaps
    (the change split evenly between before and after). The statistic is the change less d over its
    standard error, that of the groups which are the extremes of the sample.

    Which groups are the extremes is itself uncertain, and where their order turns between before and
    after the change of the gap scatters quite differently (a sum of errors in place of a difference). So the
    interval also holds every change that the true values may have with another pair of groups before
    or after: those within the usual distance of what was seen, a likelihood-ratio test, whichever of the
    near-extreme groups are the true ones.

    Attributes
    ----------
    values, errors : ndarray (2, g)
        Rates or means before and after, and their standard errors.
    steps : ndarray (g,)
        Standard errors of the groups' changes: with ``errors`` they say how before and after go together.
    counts : ndarray (g,)
    kind : {"rate", "mean"}

    References
    ----------
    Chuang and Lai (2000), Hybrid resampling methods for confidence intervals, Statistica
    Sinica 10, 1-50. Berger (1982), Multiparameter hypothesis testing and acceptance sampling,
    Technometrics 24, 295-300 (a union of hypotheses is refused where each of them is).
    """

    values: np.ndarray
    errors: np.ndarray
    steps: np.ndarray
    counts: np.ndarray
    kind: str = "rate"
    seed: int = 0

    @cached_property
    def change(self) -> float:
        """The largest gap after less that before."""
        before, after = np.ptp(self.values, axis=1)
        return float(after - before)

    @cached_property
    def _covariance(self) -> np.ndarray:
        """Covariance (g,) of each group's values before and after."""
        most = self.errors[0] * self.errors[1]
        return np.clip((self.errors[0] ** 2 + self.errors[1] ** 2 - self.steps**2) / 2, -most, most)

    @cached_property
    def _noise(self) -> np.ndarray:
        """Errors (2, n_draws, g) of the values before and after, each draw with its mirror image."""
        g = self.values.shape[1]
        half = keyed_rng(self.seed, _STREAM).standard_normal((2, int(np.clip(_WORK // g, 400, 1000)) // 2, g))
        z = np.concatenate([half, -half], axis=1)
        together = self._covariance / (self.errors[0] * self.errors[1])
        z[1] = together * z[0] + np.sqrt(1 - together**2) * z[1]
        freedom = np.maximum(self.counts - 1, 1)
        if (freedom <= _MANY_ROWS).any():  # the errors are estimates as well: Student's t of each group
            z = np.clip(special.stdtrit(freedom, special.ndtr(z)), -1e3, 1e3)
        return self.errors[:, None] * z

    @cached_property
    def _sides(self) -> list[Contrast]:
        kind, n = self.kind, self.counts[None]
        return [
            Contrast(Sample(v[None], n, e[None], kind), False)
            for v, e in zip(self.values, self.errors, strict=True)
        ]

    @property
    def _own(self) -> float:
        """How much of their spread the groups keep: two of them do not tell how much of it is noise."""
        return 1.0 if self.values.shape[1] == 2 else 0.0

    @cached_property
    def _pulled(self) -> np.ndarray:
        """The largest gaps before and after (2,), without the spread that noise explains."""
        return np.array([np.ptp(each.sample.start(self._own)) for each in self._sides])

    def configuration(self, d: float) -> np.ndarray:
        """Return values (2, g) whose largest gaps differ by ``d``, near to what was seen."""
        before, after = self._pulled
        middle = max(0.5 * (before + after), 0.5 * abs(d))
        if self.kind == "rate":
            middle = min(middle, 1 - 0.5 * abs(d))
        gaps = (middle - 0.5 * d, middle + 0.5 * d)
        sides = zip(self._sides, gaps, strict=True)
        return np.array([each.configuration(gap, self._own)[0] for each, gap in sides])

    def _error(self, values: np.ndarray) -> np.ndarray:
        """Return the standard errors (...) of the change of the gap of samples (2, ..., g)."""
        (low, low_2), (high, high_2) = values.argmin(axis=-1), values.argmax(axis=-1)
        squares, shared = self.errors**2, 2 * self._covariance
        variance = squares[0][low] + squares[0][high] + squares[1][low_2] + squares[1][high_2]
        for a, b, sign in ((high, high_2, -1), (low, low_2, -1), (low, high_2, 1), (high, low_2, 1)):
            variance = variance + sign * shared[a] * (a == b)
        return np.sqrt(np.maximum(variance, (1e-3 * self.errors.min()) ** 2))

    def smaller(self, d: float) -> float:
        """Return the chance of a smaller statistic than was seen, had the gap changed by ``d``; ties half."""
        drawn = self.configuration(d)[:, None] + self._noise
        before, after = np.ptp(drawn, axis=-1)
        told = (after - before - d) / self._error(drawn)
        seen = float((self.change - d) / self._error(self.values))
        slack = 1e-9 * max(1.0, abs(seen))
        return float(np.mean(told < seen - slack) + 0.5 * np.mean(np.abs(told - seen) <= slack))

    def _ends(self, row: int, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the groups that may be the lowest, and those that may be the highest, nearest first."""
        values, errors = self.values[row], self.errors[row]
        order = np.argsort(values, kind="stable")
        sides = []
        for places in (order, order[::-1]):
            far = np.abs(values[places] - values[places[0]])
            sides.append(places[far <= reach * np.hypot(errors[places], errors[places[0]])][:_NEAR])
        return sides[0], sides[1]

    def _choices(self, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return signs (m, 2, g) of each choice of extremes, low (m, 2) and high groups (m, 2)."""
        places = np.meshgrid(*self._ends(0, reach), *self._ends(1, reach), indexing="ij")
        i, j, k, m = (each.ravel() for each in places)
        apart = (i != j) & (k != m)
        low, high = np.stack([i, k], axis=1)[apart], np.stack([j, m], axis=1)[apart]
        each, sides = np.arange(len(low))[:, None], np.arange(2)
        signs = np.zeros((len(low), *self.values.shape))
        signs[each, sides, high] = (-1.0, 1.0)
        signs[each, sides, low] = (1.0, -1.0)
        return signs, low, high

    def within(self, changes: np.ndarray, alpha: float) -> np.ndarray:
        """Say of each change (k,) whether values that have it, with some choice of extremes, are near."""
        usual = -float(special.ndtri(alpha / 2))
        signs, low, high = self._choices(usual)
        squares, freedom = self.errors**2, np.maximum(self.counts - 1, 1)
        turned = squares * signs + self._covariance * signs[:, ::-1]  # covariance times signs
        variance = np.maximum((signs * turned).sum(axis=(1, 2)), (1e-3 * self.errors.min()) ** 2)
        seen = (signs * self.values).sum(axis=(1, 2))
        parts = np.abs(signs) * squares
        nu = parts.sum(axis=(1, 2)) ** 2 / (parts**2 / freedom).sum(axis=(1, 2))
        limit = special.stdtrit(nu, alpha / 2) ** 2
        each, sides = np.arange(len(low))[:, None], np.arange(2)
        far_low = squares + squares[sides, low][..., None]  # (m, 2, g)
        far_high = squares + squares[sides, high][..., None]
        held = np.zeros(len(changes), dtype=bool)
        for place, d in enumerate(changes):
            step = (seen - d) / variance
            moved = self.values - step[:, None, None] * turned
            under = np.maximum(moved[each, sides, low][..., None] - moved, 0) ** 2 / far_low
            over = np.maximum(moved - moved[each, sides, high][..., None], 0) ** 2 / far_high
            # Others must lie between the two: what that costs a group at least, before or after.
            beyond = np.maximum(under, over).max(axis=1).sum(axis=1)
            held[place] = (step**2 * variance + beyond <= limit).any()
        return held

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the changes of the gap that neither tail of alpha / 2 refuses."""
        if not self.steps.any():
            return self.change, self.change
        unit = float(self._error(self.values))
        limit = 1.0 if self.kind == "rate" else np.inf
        freedom = max(float(self.counts.min()) - 1, 1.0)
        drawn, longer = beyond_draws(alpha, self._noise.shape[1], freedom)
        high = edge_of(lambda d: self.smaller(d) - drawn / 2, self.change, unit, limit)
        low = edge_of(lambda d: 1 - self.smaller(d) - drawn / 2, self.change, -unit, -limit)
        high, low = (self.change + longer * (end - self.change) for end in (high, low))
        outer = self._outermost()
        return outer._further(low, -1.0, limit, alpha), outer._further(high, 1.0, limit, alpha)

    def _outermost(self) -> PairedGap:
        """Return this without the groups in the middle, of many."""
        order = np.argsort(self.values, axis=1, kind="stable")
        kept = np.unique(np.concatenate([order[:, :_OUTER], order[:, -_OUTER:]], axis=1))
        given = self.values[:, kept], self.errors[:, kept], self.steps[kept], self.counts[kept]
        return PairedGap(*given, self.kind, self.seed)

    def _further(self, end: float, sign: float, limit: float, alpha: float) -> float:
        """Return the end of the interval on one side (``sign``), moved on to where no change is `within`."""
        end = sign * min(max(sign * end, sign * self.change), limit)
        unit = -float(special.ndtri(alpha / 2)) * float(self.errors.max())
        widest = sign * min(float(np.ptp(self.values, axis=1).max()) + 6 * unit, limit)
        for _ in range(2):
            if sign * (widest - end) <= 0:
                break
            further = np.linspace(end, widest, _STEPS)
            held = np.flatnonzero(self.within(further[1:], alpha))
            last = int(held[-1]) + 1 if len(held) else 0
            end, widest = float(further[last]), float(further[min(last + 1, _STEPS - 1)])
        return end
