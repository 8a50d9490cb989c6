"""Tests of "same distribution" by swapping new and real rows in pairs, with a bound for the far tail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Swaps", "exchange", "partners"]


@dataclass(frozen=True, eq=False)
class Swaps:
    """Sums of paired differences, in units of their spread under swaps.

    Attributes
    ----------
    z : ndarray (c,)
        Of each column; 0 where no pair differs.
    swapped : ndarray (B, c)
        The same after random swaps.
    """

    z: np.ndarray
    swapped: np.ndarray

    def p_greatest(self, two_sided: bool = False) -> float:
        """Return the chance of a largest column at least as large.

        The share of swaps, or where it is smaller the bound
        ``c exp(-z^2 / 2)`` (Hoeffding's for sums of signed numbers, for any of c columns),
        which holds without drawing.
        """
        z, swapped = (np.abs(self.z), np.abs(self.swapped)) if two_sided else (self.z, self.swapped)
        if not len(z):
            return 1.0
        top = float(z.max())
        drawn = (1 + np.sum(swapped.max(axis=1) >= top - 1e-9)) / (1 + len(swapped))
        bound = (1 + two_sided) * len(z) * np.exp(-0.5 * max(top, 0.0) ** 2)
        return float(min(1.0, drawn, bound))


def exchange(differences: np.ndarray, n_swaps: int, rng: np.random.Generator) -> Swaps:
    """Swap the two rows of each pair at random.

    Parameters
    ----------
    differences : ndarray (k, c)
        Score of the new row less score of its real partner, a column a measure.

    Notes
    -----
    Scores may be learned from all rows together, as long as they do not know which are
    new. Then under "same distribution within cells" every swap is as likely as the
    pairing seen, so the test is exact. Cost: one matrix product (B, k) x (k, c).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> exchange(rng.normal(size=(200, 3)) + [0, 0, 1.0], 199, rng).p_greatest() < 1e-9
    True
    >>> exchange(rng.normal(size=(200, 3)), 199, rng).p_greatest() > 0.05
    True
    """
    differences = np.asarray(differences, dtype=float)
    differences = differences[(differences != 0).any(axis=1)]
    spread = np.sqrt((differences**2).sum(axis=0))
    scaled = differences / np.where(spread > 0, spread, 1.0)
    swapped = np.empty((n_swaps, scaled.shape[1]))
    step = max(1, (1 << 22) // max(1, len(scaled)))
    for start in range(0, n_swaps, step):
        part = swapped[start : start + step]
        signs = rng.integers(0, 2, size=(len(part), len(scaled)), dtype=np.int8).astype(float) * 2 - 1
        part[:] = signs @ scaled
    return Swaps(scaled.sum(axis=0), swapped)


def partners(cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return for each place of a matched pair's one side a random place of the same cell on the other.

    Examples
    --------
    >>> cells = np.array([0, 0, 1])
    >>> bool((cells[partners(cells, np.random.default_rng(0))] == cells).all())
    True
    """
    own = np.lexsort((rng.random(len(cells)), cells))
    place = np.empty(len(cells), dtype=int)
    place[np.argsort(cells, kind="stable")] = own
    return place
