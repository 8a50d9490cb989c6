"""The training rows of each cell, laid out for drawing."""

from __future__ import annotations

import numpy as np

from augsynth.core.persistence import persistent

__all__ = ["CellRows"]


@persistent
class CellRows:
    """Draw training rows of wanted cells, by weight, in O(n log N).

    Parameters
    ----------
    c : ndarray of int, (N,)
        Cell of each training row.
    n_cells : int
    weights : ndarray, (N,), optional

    Attributes
    ----------
    order : ndarray of int, (N,)
        Row positions, sorted by cell.
    starts : ndarray of int, (n_cells + 1,)
        Where each cell begins in ``order``.
    """

    def __init__(self, c: np.ndarray, n_cells: int, weights: np.ndarray | None = None):
        self.order = np.argsort(c, kind="stable")
        self.starts = np.concatenate([[0], np.cumsum(np.bincount(c, minlength=n_cells))])
        # One cumulative sum over all rows: a cell is a stretch of it.
        self.running = None if weights is None else np.concatenate([[0.0], np.cumsum(weights[self.order])])

    def rows(self, cell: int) -> np.ndarray:
        """Return the positions of a cell's training rows."""
        return self.order[self.starts[cell] : self.starts[cell + 1]]

    def pick(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return one training row's position (n,) for each wanted cell (n,)."""
        low, high = self.starts[c], self.starts[c + 1]
        if self.running is None:
            return self.order[low + (rng.random(len(c)) * (high - low)).astype(np.intp)]
        begin, end = self.running[low], self.running[high]
        found = np.searchsorted(self.running, begin + rng.random(len(c)) * (end - begin), side="right") - 1
        return self.order[np.clip(found, low, high - 1)]
