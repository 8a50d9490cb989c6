"""Point masses of numeric columns: zeros, caps and other numbers that many rows repeat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["MISSING", "SMOOTH", "among_seen", "cell_states", "find_atoms", "seen_levels"]

MISSING, SMOOTH = -1, 0  # states of a table cell; 1, 2, ... are the atoms of its column
MIN_REPEATS = 5


def find_atoms(column: np.ndarray, share: float | None) -> np.ndarray:
    """Return the numbers that more than ``share`` of the rows (and at least five) repeat.

    Parameters
    ----------
    column : ndarray (n,)
        Numbers, NaN where missing (not counted).
    share : float or None
        None finds none.

    Examples
    --------
    >>> find_atoms(np.array([0.0] * 8 + [1.5, 2.5]), 0.1)
    array([0.])
    """
    if share is None:
        return np.empty(0)
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    return values[(counts > share * counts.sum()) & (counts >= MIN_REPEATS)]


def cell_states(z: np.ndarray, atoms: Sequence[np.ndarray]) -> np.ndarray:
    """Tell what each cell of a table is: missing, smooth, or one of its column's atoms.

    Examples
    --------
    >>> cell_states(np.array([[0.0], [2.0], [np.nan]]), [np.array([0.0])]).ravel().tolist()
    [1, 0, -1]
    """
    states = np.zeros(z.shape, dtype=np.int16)
    for j, known in enumerate(atoms):
        if known.size:
            found = np.minimum(np.searchsorted(known, z[:, j]), known.size - 1)
            states[:, j] = np.where(known[found] == z[:, j], found + 1, SMOOTH)
    states[np.isnan(z)] = MISSING
    return states


def seen_levels(z: np.ndarray, categorical: np.ndarray) -> list[np.ndarray]:
    """Return the codes that each of the categorical columns of rows (n, p) holds, ascending."""
    none = np.empty(0)
    return [
        np.unique(column[~np.isnan(column)]) if j in categorical else none for j, column in enumerate(z.T)
    ]


def among_seen(z: np.ndarray, seen: list[np.ndarray]) -> np.ndarray:
    """Return rows (n, p) with each cell as its position among the codes seen; NaN stays NaN."""
    places = [np.searchsorted(values, column) for values, column in zip(seen, z.T, strict=True)]
    return np.where(np.isnan(z), np.nan, np.stack(places, axis=1))
