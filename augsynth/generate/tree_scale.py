"""A numeric column on the unit interval: even quantiles, exact atoms."""

from __future__ import annotations

import numpy as np

from augsynth.core.persistence import persistent

__all__ = ["CONTINUOUS", "MISSING", "ColumnScale"]

MISSING, CONTINUOUS = -1, -2
_KNOTS = 1024
_KNOT_ROWS = 16  # closer knots would follow the gaps between single training values
_WIDE = 1e6  # integers: beyond this range masses of single cells cancel to nothing


@persistent
class ColumnScale:
    """Map a numeric column to [0, 1] and back by interpolated quantiles.

    Values that occur ``atom_rows`` times or more are atoms: they keep their exact value
    and have a probability of their own. All others are drawn between the knots, never
    as stored. A column of integers has its knots between the integers.

    Attributes
    ----------
    atoms : ndarray
        Repeated values, ascending.
    values, scores : ndarray
        Knots in data units and their places in [0, 1], both increasing.
    by_density : bool
        Whether a value is priced by the density there rather than by the mass of its unit cell.
    """

    def __init__(self, column: np.ndarray, *, integer: bool, atom_rows: int):
        self.integer = integer
        present = column[~np.isnan(column)]
        distinct, counts = np.unique(present, return_counts=True)
        self.atoms = distinct[counts >= atom_rows]
        rest = np.sort(present[~np.isin(present, self.atoms)])
        low, high = float(distinct[0]), float(distinct[-1])
        self.by_density = not integer or high - low > _WIDE
        if integer or low == high:
            pad = max(0.5, float(np.spacing(max(abs(low), abs(high)))))  # half a unit is lost beside 2**70
            low, high = low - pad, high + pad
        share = np.linspace(0, 1, min(_KNOTS, -(-len(rest) // _KNOT_ROWS)))
        inner = np.quantile(rest, share, method="inverted_cdf") if len(rest) else rest
        knots = np.unique(np.concatenate([[low, high], inner, self.atoms]))
        if integer:
            knots = np.unique(np.concatenate([np.floor(knots) + 0.5, np.ceil(knots) - 0.5, [low, high]]))
            knots = knots[(knots >= low) & (knots <= high)]
        mass = np.diff(np.searchsorted(rest, knots, side="right")).astype(np.float64)
        mass[0] += (rest == low).sum()
        # A little mass in every gap: any value inside the range has a finite density.
        mass = mass / max(len(rest), 1) + 1e-3 / len(mass)
        self.values = knots
        self.scores = np.concatenate([[0.0], np.cumsum(mass) / mass.sum()])
        self.scores[-1] = 1.0

    def encode(self, column: np.ndarray) -> np.ndarray:
        """Return places in [0, 1]; NaN stays NaN."""
        return np.interp(column, self.values, self.scores)

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Return values; integers are rounded."""
        column = np.interp(scores, self.scores, self.values)
        return np.rint(column) if self.integer else column

    def slope(self, column: np.ndarray) -> np.ndarray:
        """Return d score / d value; 0 outside the range seen."""
        gap = np.clip(np.searchsorted(self.values, column, side="right") - 1, 0, len(self.values) - 2)
        slope = (self.scores[gap + 1] - self.scores[gap]) / (self.values[gap + 1] - self.values[gap])
        inside = (column >= self.values[0]) & (column <= self.values[-1])
        return np.where(inside, slope, 0.0)

    def code(self, column: np.ndarray) -> np.ndarray:
        """Return the atom of each cell, ``MISSING``, or ``CONTINUOUS``."""
        code = np.full(len(column), CONTINUOUS)
        if len(self.atoms):
            near = np.clip(np.searchsorted(self.atoms, column), 0, len(self.atoms) - 1)
            code = np.where(self.atoms[near] == column, near, CONTINUOUS)
        code[np.isnan(column)] = MISSING
        return code
