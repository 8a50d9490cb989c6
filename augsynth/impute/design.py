"""Encoded columns as the columns of a linear model, and back."""

from __future__ import annotations

import numpy as np

from augsynth.core.persistence import persistent
from augsynth.encode.layout import Layout

__all__ = ["Design", "center_and_scale", "most_likely"]

_MOST_INDICATORS = 30  # levels of one column with a coefficient of their own; the rarer ones share the origin
_MOST_ORDERED = 10  # ordinal columns of more levels are scores, not indicators


@persistent
class Design:
    """How encoded columns become the columns of a linear model.

    Numbers are standardised by the mean and standard deviation of the observed cells;
    categories become indicators of their levels but the commonest (at most 30 a
    column; rarer levels stay at the origin); ordinal columns of more than 10 levels
    are scores. There is no column of ones.

    Parameters
    ----------
    z : ndarray (n, p)
        Encoded rows; NaN = missing.
    layout : Layout

    Attributes
    ----------
    slices : list of slice
        The design columns of each encoded column.
    width : int
        Number of design columns, of all encoded columns together.
    """

    def __init__(self, z: np.ndarray, layout: Layout):
        self.layout = layout
        self.centers, self.scales = np.zeros(len(layout)), np.ones(len(layout))
        self._levels: list[np.ndarray | None] = []
        self._low, self._high = np.full(len(layout), -np.inf), np.full(len(layout), np.inf)
        self._commonest = np.zeros(len(layout), dtype=np.intp)
        self.slices: list[slice] = []
        self.width = 0
        for j, block in enumerate(layout):
            seen = z[~np.isnan(z[:, j]), j]
            levels = None
            if block.is_numeric or (block.ordered and block.n_levels > _MOST_ORDERED):
                self.centers[j], self.scales[j] = center_and_scale(seen)
            else:
                counts = np.bincount(seen.astype(np.intp), minlength=block.n_levels)
                order = np.argsort(-counts, kind="stable")
                self._commonest[j] = order[0]
                levels = np.sort(order[1 : _MOST_INDICATORS + 1][counts[order[1 : _MOST_INDICATORS + 1]] > 0])
            if block.is_numeric and len(seen):
                half = 0.5 * float(np.ptp(seen / 2.0)) * 2.0
                self._low[j], self._high[j] = seen.min() - half, seen.max() + half
            self._levels.append(levels)
            size = 1 if levels is None else len(levels)
            self.slices.append(slice(self.width, self.width + size))
            self.width += size

    def encode(self, j: int, values: np.ndarray) -> np.ndarray:
        """Return the design columns (n, size) of values (n,) of encoded column ``j``."""
        levels = self._levels[j]
        if levels is None:
            return ((values - self.centers[j]) / self.scales[j])[:, None]
        return (values[:, None] == levels).astype(np.float64)

    def expectation(self, j: int, columns: np.ndarray) -> np.ndarray:
        """Return means (n,) or probabilities (n, n_levels) of encoded column ``j`` from its design columns.

        Means are held to the observed range and half its width beyond; linear
        probabilities to 0 and 1.
        """
        levels, block = self._levels[j], self.layout[j]
        if levels is None:
            means = columns[:, 0] * self.scales[j] + self.centers[j]
            if block.is_numeric:
                return np.clip(means, self._low[j], self._high[j])
            codes = np.clip(np.rint(means), 0, block.n_levels - 1)
            return (codes[:, None] == np.arange(block.n_levels)).astype(np.float64)
        out = np.zeros((len(columns), block.n_levels), order="F")
        total = np.zeros(len(columns))
        for k, level in enumerate(levels):
            out[:, level] = np.clip(columns[:, k], 0.0, 1.0)
            total += out[:, level]
        out[:, self._commonest[j]] += np.maximum(1.0 - total, 0.0)
        return out / np.maximum(total, 1.0)[:, None]

    def encode_expected(self, j: int, expected: np.ndarray) -> np.ndarray:
        """Return the design columns (n, size) of means (n,), or of probabilities (n, n_levels)."""
        if expected.ndim == 1:
            return self.encode(j, expected)
        levels = self._levels[j]
        if levels is None:
            return self.encode(j, expected.argmax(axis=1))
        return expected[:, levels]

    def holed(self, z: np.ndarray) -> np.ndarray:
        """Return the design (n, width) of encoded rows (n, p), NaN where a cell is missing."""
        out = np.empty((len(z), self.width), order="F")
        for j, part in enumerate(self.slices):
            out[:, part] = self.encode(j, z[:, j])
            out[np.isnan(z[:, j]), part] = np.nan
        return out

    def decode(self, matrix: np.ndarray) -> np.ndarray:
        """Return encoded rows (n, p) of design rows (n, width): means, and most probable levels."""
        out = np.empty((len(matrix), len(self.layout)), order="F")
        for j, part in enumerate(self.slices):
            out[:, j] = most_likely(self.expectation(j, matrix[:, part]))
        return out


def most_likely(expected: np.ndarray) -> np.ndarray:
    """Return means (n,) as they are, and of probabilities (n, n_levels) the level of the largest."""
    return expected if expected.ndim == 1 else expected.argmax(axis=1).astype(np.float64)


def center_and_scale(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation (1 where it is 0) of values, however large."""
    if not len(values):
        return 0.0, 1.0
    size = float(np.abs(values).max()) or 1.0
    scaled = values / size
    mean, sd = float(scaled.mean()), float(scaled.std())
    return mean * size, sd * size if sd * size > 0 and sd > 1e-13 else 1.0
