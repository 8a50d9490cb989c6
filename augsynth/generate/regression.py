"""The conditional mean: the baseline that shows what averaging does to new rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from augsynth.encode.image import ImageLayout
from augsynth.generate.base import BaseGenerator

__all__ = ["RegressionGenerator"]

CHUNK = 4096  # images summed at a time


class RegressionGenerator(BaseGenerator):
    """The average row of each class and group, the same one every time: a baseline, not a generator to use.

    A regression of the row on its condition answers with the mean, and the mean of
    rows that differ is a row that nobody has: between two groups of points it lies
    where there are none, and the mean of many images is a blur. Measure any other
    generator against it to see what drawing, rather than averaging, is worth.

    Parameters
    ----------
    schema : mapping or Schema, optional
        Column kinds that are not what inference would say.
    random_state : None, int or Generator
        Without effect: nothing is drawn.

    Attributes
    ----------
    mean_ : ndarray, (n_cells, p) or (n_cells, channels, height, width)
        The encoded row of each cell.

    Notes
    -----
    Numbers: the weighted mean of the seen cells, which is the exact least-squares
    regression of the number on the cell; whole numbers and dates are rounded.
    Categories: the most frequent level (the one of least squared error among levels; the first of
    equals). A column that is missing in most of a cell's rows is missing. Images: the mean of
    each pixel, rounded to a level. Within a cell the variance is zero, so
    ``log_prob`` does not exist. Fit costs O(n p), a draw a copy of p numbers.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [2.0], [10.0], [20.0]])
    >>> RegressionGenerator().fit(X, ["a", "a", "b", "b"]).sample(y=["b", "a", "b"]).ravel().tolist()
    [15.0, 1.0, 15.0]
    """

    _takes_images: ClassVar[bool] = True
    _takes_unlabelled: ClassVar[bool] = True

    def __init__(self, *, schema: Any = None, random_state: Any = None):
        self.schema = schema
        self.random_state = random_state

    def _fit(self, z: np.ndarray, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        w = np.ones(len(c)) if w is None else np.asarray(w, dtype=np.float64)
        n_cells = self.condition_.n_cells
        if isinstance(self.layout_, ImageLayout):
            self.mean_ = _mean_images(z, c, w, n_cells)
            return
        self.mean_ = np.empty((n_cells, z.shape[1]))
        for j, block in enumerate(self.layout_):
            seen = ~np.isnan(z[:, j])
            column, cell, weight = z[seen, j], c[seen], w[seen]
            mass = np.bincount(cell, weight, minlength=n_cells)
            if block.is_numeric:
                # relative to a number of the column: sums of dates would lose their last digits
                origin = column[0] if len(column) else 0.0
                total = np.bincount(cell, weight * (column - origin), minlength=n_cells)
                answer = origin + total / np.where(mass > 0, mass, 1.0)
            else:
                place = cell.astype(np.intp) * block.n_levels + column.astype(np.intp)
                counts = np.bincount(place, weight, minlength=n_cells * block.n_levels)
                answer = counts.reshape(n_cells, block.n_levels).argmax(axis=1).astype(np.float64)
            absent = np.bincount(c[~seen], w[~seen], minlength=n_cells)
            self.mean_[:, j] = np.where((absent > mass) | (mass == 0), np.nan, answer)

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.mean_[c]


def _mean_images(z: np.ndarray, c: np.ndarray, w: np.ndarray, n_cells: int) -> np.ndarray:
    """Return the weighted mean image of each cell, in the coded type."""
    total = np.zeros((n_cells, int(np.prod(z.shape[1:]))))
    for start in range(0, len(z), CHUNK):
        rows = slice(start, start + CHUNK)
        member = np.zeros((n_cells, len(c[rows])))
        member[c[rows], np.arange(len(c[rows]))] = w[rows]
        total += member @ z[rows].reshape(len(c[rows]), -1)
    mean = total / np.bincount(c, w, minlength=n_cells)[:, None]
    mean = np.rint(mean) if z.dtype.kind == "u" else mean
    return mean.astype(z.dtype).reshape(n_cells, *z.shape[1:])
